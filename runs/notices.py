"""Runs as others are told of them: that one failed or was stopped. Its title is made from its input, so it stays here."""

from collections.abc import Collection

from django.urls import reverse

from agentdesk.notices import subjects
from agentdesk.notices.announcing import announce
from agentdesk.notices.models import Event
from agentdesk.notices.subjects import Facts, Subject
from agentdesk.people.models import Role
from runs.models import Run
from runs.states import RunStatus

KIND = "run"
TOLD_OF = frozenset({RunStatus.FAILED, RunStatus.STOPPED})


def register() -> None:
    subjects.register(KIND, Subject(facts_of, open_of))


def tell_ended(run: Run, status: RunStatus, attempt: int) -> None:
    """Called in the transaction that ends an attempt at the run with ``status``."""
    if status in TOLD_OF:
        announce(Event.RUN_FAILED, KIND, run.pk, mark=attempt)


def facts_of(run_id: str, event: str) -> Facts | None:
    run = Run.objects.filter(pk=run_id).select_related("agent", "team").first()
    if run is None:
        return None
    team = frozenset({run.team_id})
    return Facts(
        title=f"{run.agent.slug} {str(run.pk)[-8:]}", agent=run.agent.slug, path=reverse("runs:detail", args=[run.pk]),
        team=run.team.name, teams=team, members_of=team, role=Role.OPERATOR,
        outcome=run.status if run.status in TOLD_OF else RunStatus.FAILED,
        people=frozenset({run.requester_id} if run.requester_id else ()),
    )  # fmt: skip


def open_of(ids: Collection[str]) -> set[str]:
    return set()
