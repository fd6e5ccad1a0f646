"""Who drives a run: wanting, claiming and releasing it. Every move is one conditional UPDATE."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F
from django.utils import timezone

from agentdesk import faults
from agentdesk.audit.record import Actor, record
from agentdesk.live.push import push
from runs.engine.locks import ALIVE
from runs.models import Run
from runs.states import ENDED, RunStatus, run_sources_of

POISON = 6  # deaths of a worker under one run, after which nobody tries again


@dataclass(frozen=True, slots=True)
class Claim:
    """The process of ``key`` drives the run. ``wanted`` is how often it had been wanted; ``orphaned`` when another one had died
    of it."""

    run: Run
    attempt: int
    key: int
    wanted: int
    orphaned: bool


class ClaimInDoubt(Exception):
    """The connection broke while the claim was being committed: nobody can tell whether this process holds the run."""

    def __init__(self, claim: Claim, error: Exception) -> None:
        super().__init__(f"the claim of run {claim.run.pk} may or may not stand: {error}")
        self.claim = claim


CLAIM = f"""
WITH was AS (SELECT id, status FROM runs_run WHERE id = %(run)s FOR UPDATE)
UPDATE runs_run SET status = 'running', attempt = runs_run.attempt + 1, claimed_by = %(key)s, changed_at = now(),
    started_at = coalesce(started_at, now()), dispatched_at = now(), revision = revision + 1,
    counters = CASE WHEN was.status = 'running'
        THEN jsonb_set(counters, '{{deaths}}', to_jsonb(coalesce((counters->>'deaths')::int, 0) + 1)) ELSE counters END
FROM was WHERE runs_run.id = was.id
    AND (was.status IN ('queued', 'waiting') OR (was.status = 'running' AND NOT {ALIVE}))
RETURNING was.status, runs_run.attempt, runs_run.wanted
"""  # noqa: S608 - only constants are put in


def want(run_id: UUID) -> bool:
    """Mark that the run is to be looked at. First this, then :func:`claim`: whoever holds it now looks again when it lets go.
    False when there is no such run, or it has ended."""
    return bool(Run.objects.filter(pk=run_id).exclude(status__in=ENDED).update(wanted=F("wanted") + 1))


def claim(run_id: UUID, key: int) -> Claim | None:
    """Take the run with a new attempt number, or None while somebody else who is alive holds it, or it has ended. Raises
    ClaimInDoubt, after which the claim is to be released: where it does not stand, that does nothing."""
    faults.at("claim.before")
    taken: Claim | None = None
    try:
        with transaction.atomic():
            taken = _claim(run_id, key)
    except (OperationalError, InterfaceError) as error:
        if taken is None:
            raise
        raise ClaimInDoubt(taken, error) from error
    return taken


def _claim(run_id: UUID, key: int) -> Claim | None:
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, {"run": run_id, "key": key})
        row = cursor.fetchone()
    if row is None:
        return None
    status, attempt, wanted = row
    run = Run.objects.select_related("agent").get(pk=run_id)
    orphaned = status == RunStatus.RUNNING
    if orphaned:
        _record(run, "run.lost", {"attempt": attempt - 1})
    push("run", run_id, run.revision)
    faults.at("claim.after")
    return Claim(run, attempt, key, wanted, orphaned)


def release(claim: Claim, to: RunStatus, *, because: str = "", **fields: Any) -> bool | None:
    """Let go of the run in state ``to``. True when it was wanted meanwhile, so that somebody must look again. None, and nothing
    done, for a claim that does not stand: the run has a newer one, or this one was never committed."""
    now = timezone.now()
    ended = to in ENDED
    faults.at("release.before")
    with transaction.atomic():
        rows = Run.objects.filter(
            pk=claim.run.pk, attempt=claim.attempt, claimed_by=claim.key,
            status__in=set(run_sources_of(to)) & {RunStatus.RUNNING},
        )  # fmt: skip
        moved = rows.update(
            status=to, claimed_by=None, changed_at=now, revision=F("revision") + 1, stop_reason=because,
            **({"finished_at": now} if ended else {}), **fields,
        )  # fmt: skip
        if not moved:
            return None
        run = Run.objects.only("wanted", "revision", "team_id", "title").get(pk=claim.run.pk)
        if to in _ACTIONS:
            _record(
                claim.run, _ACTIONS[to], {"status": to, "attempt": claim.attempt, **({"reason": because} if because else {})}
            )
        push("run", claim.run.pk, run.revision)
        faults.at("release.after")
    faults.at("release.commit.after")
    return not ended and run.wanted != claim.wanted


_ACTIONS = {
    RunStatus.WAITING: "run.waiting",
    RunStatus.SUCCEEDED: "run.succeeded",
    RunStatus.FAILED: "run.failed",
    RunStatus.CANCELLED: "run.cancelled",
    RunStatus.STOPPED: "run.stopped",
}


def _record(run: Run, action: str, after: dict[str, Any]) -> None:
    record(
        action, actor=Actor.desk(), object_type="run", object_id=run.pk, object_label=run.record_label, team_id=run.team_id,
        run_id=run.pk, after=after,
    )  # fmt: skip
