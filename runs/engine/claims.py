"""Who drives a run: wanting, claiming and releasing it. Every move is one conditional UPDATE."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from agentdesk import faults
from agentdesk.audit.record import Actor, record
from agentdesk.live.push import hint, push
from approvals.models import Decision
from runs import notices
from runs.engine.locks import ALIVE
from runs.lifecycle import SOURCE
from runs.limits import CONCURRENT_RUNS
from runs.models import Run
from runs.queues import ADVANCE
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


# Runs of an agent beyond its limit of those at work wait in line, the oldest first. Far from the limit one statement tells.
# Close to it, claims of one agent come one after the other (HOLD), each seeing what those before it have done.
NEAR = 32
CLAIM = f"""
WITH was AS (SELECT id, status, agent_id, held_at FROM runs_run WHERE id = %(run)s FOR UPDATE),
room AS (SELECT was.id, (SELECT count(*) FROM runs_run b WHERE b.agent_id = was.agent_id AND b.status = 'running')
    + (SELECT count(*) FROM runs_run h WHERE h.agent_id = was.agent_id AND h.held_at IS NOT NULL AND h.id <> was.id
        AND h.held_at < coalesce(was.held_at, 'infinity') AND h.status = 'queued')
    < coalesce((a.limits->>'concurrent_runs')::numeric, %(most)s) - %(near)s AS is_free
    FROM was JOIN runs_agent a ON a.id = was.agent_id)
UPDATE runs_run SET status = 'running', attempt = runs_run.attempt + 1, claimed_by = %(key)s, changed_at = now(),
    started_at = coalesce(started_at, now()), dispatched_at = now(), held_at = NULL, revision = revision + 1,
    counters = CASE WHEN was.status = 'running'
        THEN jsonb_set(counters, '{{deaths}}', to_jsonb(coalesce((counters->>'deaths')::int, 0) + 1)) ELSE counters END
FROM was JOIN room ON room.id = was.id WHERE runs_run.id = was.id
    AND ((was.status IN ('queued', 'waiting') AND room.is_free) OR (was.status = 'running' AND NOT {ALIVE}))
RETURNING was.status, runs_run.attempt, runs_run.wanted, was.held_at
"""  # noqa: S608 - only constants are put in
HOLD = """
SELECT a.id FROM runs_agent a JOIN runs_run r ON r.agent_id = a.id
WHERE r.id = %(run)s AND r.status IN ('queued', 'waiting') FOR NO KEY UPDATE OF a
"""


def want(run_id: UUID) -> bool:
    """Mark that the run is to be looked at. First this, then :func:`claim`: whoever holds it now looks again when it lets go.
    False when there is no such run, it has ended, or it waits for people and there is no news for it: a hint that comes late or
    twice costs this one statement."""
    runs = Run.objects.filter(pk=run_id).exclude(status__in=ENDED)
    # Of any time: the clock of whoever decided may be ahead of this one's.
    waiting = Decision.objects.filter(delivered_at__isnull=True, voided_at__isnull=True)
    decided = waiting.filter(approval__source=SOURCE, approval__source_ref=str(run_id))
    idle = Q(status=RunStatus.WAITING, cancel_requested_at__isnull=True) & ~Exists(decided)
    return bool(runs.exclude(idle).update(wanted=F("wanted") + 1))


def claim(run_id: UUID, key: int) -> Claim | None:
    """Take the run with a new attempt number, or None while somebody else who is alive holds it, or it has ended. Raises
    ClaimInDoubt, after which the claim is to be released: where it does not stand, that does nothing."""
    faults.at("claim.before")
    taken: Claim | None = None
    try:
        with transaction.atomic():
            taken = _claim(run_id, key, NEAR)
        if taken is None:
            with transaction.atomic():
                taken = _claim_in_line(run_id, key)
    except (OperationalError, InterfaceError) as error:
        if taken is None:
            raise
        raise ClaimInDoubt(taken, error) from error
    return taken


def _claim_in_line(run_id: UUID, key: int) -> Claim | None:
    """Take a run whose agent has almost as many at work as it may, or queue it until there is room."""
    with connection.cursor() as cursor:
        cursor.execute(HOLD, {"run": run_id})
        if cursor.fetchone() is None:
            return None
    taken = _claim(run_id, key, 0)
    if taken is None:
        idle = Run.objects.filter(pk=run_id, status__in=(RunStatus.QUEUED, RunStatus.WAITING), held_at__isnull=True)
        now = timezone.now()
        if idle.update(status=RunStatus.QUEUED, held_at=now, changed_at=now, revision=F("revision") + 1):
            run = Run.objects.get(pk=run_id)
            _record(run, "run.held", {"status": RunStatus.QUEUED})
            push("run", run_id, run.revision)
    return taken


def _claim(run_id: UUID, key: int, near: int) -> Claim | None:
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, {"run": run_id, "key": key, "near": near, "most": settings.RUN_LIMITS[CONCURRENT_RUNS]})
        row = cursor.fetchone()
    if row is None:
        return None
    status, attempt, wanted, held_at = row
    run = Run.objects.select_related("agent").get(pk=run_id)
    orphaned = status == RunStatus.RUNNING
    if orphaned:
        _record(run, "run.lost", {"attempt": attempt - 1})
    push("run", run_id, run.revision)
    if held_at is not None and (follower := next_in_line(run.agent_id)):
        hint(ADVANCE, str(follower))
    faults.at("claim.after")
    return Claim(run, attempt, key, wanted, orphaned)


def release(claim: Claim, to: RunStatus, *, because: str = "", **fields: Any) -> bool | None:
    """Let go of the run in state ``to``. True when it was wanted meanwhile, so that somebody must look again. None, and nothing
    done, for a claim that does not stand: the run has a newer one, or this one was never committed."""
    now = timezone.now()
    ended = to in ENDED
    faults.at("release.before")
    with transaction.atomic(savepoint=False):
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
        follower = Subquery(in_line().filter(agent=OuterRef("agent")).values("pk")[:1])
        run = Run.objects.values("wanted", "revision", follower=follower).get(pk=claim.run.pk)
        if to in _ACTIONS:
            _record(
                claim.run, _ACTIONS[to], {"status": to, "attempt": claim.attempt, **({"reason": because} if because else {})}
            )
        push("run", claim.run.pk, run["revision"])
        notices.tell_ended(claim.run, to, claim.attempt)
        if run["follower"] is not None:
            hint(ADVANCE, str(run["follower"]))
        faults.at("release.after")
    faults.at("release.commit.after")
    return not ended and bool(run["wanted"] != claim.wanted)


def in_line() -> QuerySet[Run]:
    """Runs that wait for room, in their order."""
    return Run.objects.filter(held_at__isnull=False, status=RunStatus.QUEUED).order_by("held_at")


def next_in_line(agent_id: UUID) -> UUID | None:
    return in_line().filter(agent=agent_id).values_list("pk", flat=True).first()


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
