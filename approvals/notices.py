"""Approvals as others are told of them: what may be said, and that time is running out.

The target of an approval is its expiry: 50, 80 and 100 % are shares of the time that its requirements give people."""

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.urls import reverse

from agentdesk.notices import subjects
from agentdesk.notices.announcing import announce, is_listened_to
from agentdesk.notices.models import Event
from agentdesk.notices.subjects import Facts, Subject
from agentdesk.people.models import Role, User
from agentdesk.templatetags.desk import human
from approvals.models import Approval, Decision
from approvals.states import Status

KIND = "approval"

# Those of which a share of the time is over that was not told yet; of several shares the highest.
_DUE = """
SELECT id, expires_at, share FROM (
    SELECT id, expires_at, CASE WHEN left_ <= 0 THEN 100 WHEN left_ <= 0.2 * given THEN 80 ELSE 50 END AS share
    FROM (
        SELECT id, expires_at, extract(epoch FROM expires_at - now()) AS left_,
            coalesce((requirements->>'expires_after')::numeric, %(given)s::numeric) AS given
        FROM approvals_approval WHERE status = 'pending' AND expires_at IS NOT NULL
    ) open WHERE left_ <= 0.5 * given
) due
WHERE NOT EXISTS (
    SELECT 1 FROM notices_announcement
    WHERE key = %(event)s::text || ':' || due.id || ':' || floor(extract(epoch FROM due.expires_at))::bigint || ':' || due.share
)
ORDER BY expires_at LIMIT %(limit)s
"""


def register() -> None:
    subjects.register(KIND, Subject(facts_of, open_of))


def tell_asked(approval: Approval) -> None:
    """Once for each version, and once more where another team is asked because nobody decided."""
    mark = f"{approval.version}:escalated" if approval.escalated_at else approval.version
    announce(Event.ASKED, KIND, approval.pk, mark=mark)


def tell_reminded(approval: Approval) -> None:
    announce(Event.REMINDED, KIND, approval.pk, mark=f"{approval.version}:{approval.reminded_at}")


def tell_decided(approval: Approval) -> None:
    """An approval that expired has reached 100 % of its time as well."""
    if approval.status == Status.EXPIRED and approval.expires_at is not None:
        announce(Event.DUE, KIND, approval.pk, mark=_mark(int(approval.expires_at.timestamp()), 100), share=100)
    announce(Event.DECIDED, KIND, approval.pk, mark=approval.version)


def tell_assigned(approval: Approval, user: User) -> None:
    """``user`` is to decide it. Called in the transaction that gives it to them; they are told once for each version."""
    announce(Event.ASSIGNED, KIND, approval.pk, mark=f"{approval.version}:{user.pk}", person=user.pk)


def tell_due(limit: int = 500) -> int:
    """Tell of pending approvals that have reached 50, 80 or 100 % of their time since the last look. A share is told once for
    each expiry; what was passed over while nobody looked is not told late. Returns how many."""
    if not is_listened_to(Event.DUE):
        return 0
    given = timedelta(hours=settings.APPROVAL_EXPIRES_HOURS).total_seconds()
    with connection.cursor() as cursor:
        cursor.execute(_DUE, {"given": given, "event": Event.DUE.value, "limit": limit})
        found = cursor.fetchall()
    return sum(
        announce(Event.DUE, KIND, pk, mark=_mark(int(expires_at.timestamp()), share), share=share)
        for pk, expires_at, share in found
    )


def facts_of(approval_id: str, event: str) -> Facts | None:
    approval = Approval.objects.filter(pk=approval_id).select_related("team").first()
    if approval is None:
        return None
    decision = Decision.objects.filter(approval=approval).order_by("-decided_at").first() if event == Event.DECIDED else None
    omit: set[UUID | None] = {decision.decided_by_id} if decision else set()
    if event in (Event.ASKED, Event.DUE, Event.REMINDED) and not approval.requirements.get("self_approval"):
        omit.add(approval.requester_id)  # who asked does not decide
    reviewing = frozenset(approval.reviewing_teams())
    return Facts(
        title=human(approval.action), agent=approval.agent, path=reverse("approvals:detail", args=[approval.pk]),
        team=approval.team.name, teams=reviewing | {approval.team_id}, members_of=reviewing, role=Role.REVIEWER,
        risk=approval.risk, due_at=approval.expires_at, outcome=decision.verdict if decision else "",
        omit=frozenset(pk for pk in omit if pk is not None),
    )  # fmt: skip


def open_of(ids: Collection[str]) -> set[str]:
    pending = Approval.objects.filter(pk__in=ids, status=Status.PENDING)
    return {str(pk) for pk in pending.values_list("pk", flat=True)}


def _mark(expires_at: int, share: int) -> str:
    return f"{expires_at}:{share}"
