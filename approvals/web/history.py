"""How people decided before about the same action, and what they think of that since."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from agentdesk import masking
from agentdesk.audit.models import AuditEntry
from approvals.models import Approval, Decision, Regret
from approvals.sources import Source
from approvals.states import Verdict
from approvals.web import display
from approvals.web.reading import ICONS, State

HOW_MANY = 5
HOW_MANY_COUNTED = 50
HOW_FAR_BACK = 1_000  # closed ones: where nearly all were approved in advance, no longer is looked for what people decided
LONGEST_REASON = 160  # characters of a reason beside an earlier decision
_IN_SHORT = {
    Verdict.APPROVE: gettext_lazy("Approved"), Verdict.MODIFY: gettext_lazy("Modified"),
    Verdict.REJECT: gettext_lazy("Rejected"), Verdict.RESPOND: gettext_lazy("Answered"), Verdict.ASK: gettext_lazy("Sent back"),
}  # fmt: skip
_LET_HAPPEN = frozenset({Verdict.APPROVE, Verdict.MODIFY})


@dataclass(frozen=True, slots=True)
class Past:
    """An earlier decision on the same action. ``since``: what came of it that somebody may regret; None: nothing is known."""

    id: UUID
    sentence: str
    state: State
    by: str
    at: datetime
    reason: str
    since: State | None
    regret: str


@dataclass(frozen=True, slots=True)
class History:
    """The last ones, and ``Of the last 41: 37 approved, 3 changed, 1 rejected; 2 later regretted.``, empty under two."""

    last: list[Past]
    base_rate: str


def history(approval: Approval, source: Source | None) -> History:
    """The decisions that people made on the same action of the same agent and team, before it. Four queries at most."""
    counted = list(_like(approval).values_list("approval_id", "verdict")[:HOW_MANY_COUNTED])
    if not counted:
        return History([], "")
    regrets = {one.approval_id: one for one in _standing([pk for pk, _verdict in counted])}
    fates = source.fates([pk for pk, verdict in counted if verdict in _LET_HAPPEN]) if source else {}
    with masking.masked():  # the page of this approval may be one that reveals
        last = [_past(decision, regrets, fates) for decision in _like(approval).select_related("approval")[:HOW_MANY]]
    bad = sum(pk in regrets or fates.get(pk) in ("undone", "failed") for pk, _verdict in counted)
    return History(last, _base_rate([verdict for _pk, verdict in counted], bad))


def _past(decision: Decision, regrets: Mapping[UUID, Regret], fates: Mapping[UUID, str]) -> Past:
    verdict = Verdict(decision.verdict)
    regret = regrets.get(decision.approval_id)
    return Past(
        id=decision.approval_id,
        sentence=display.sentence(decision.approval),
        state=State(ICONS[verdict], "", str(_IN_SHORT[verdict])),
        by=decision.decided_by_label,
        at=decision.decided_at,
        reason=_short(decision.message),
        since=_since(regret, fates.get(decision.approval_id, "")),
        regret=_short(regret.reason) if regret else "",
    )


def _short(text: str) -> str:
    """Masked whole before it is cut: half a secret is recognised by nobody."""
    told = masking.text(text)
    return told if len(told) <= LONGEST_REASON else f"{told[:LONGEST_REASON]}…"


def _since(regret: Regret | None, fate: str) -> State | None:
    if regret is not None:
        return State("warn", "bad", _("Turned out wrong"))
    known = {"undone": State("undo", "bad", _("Later undone")), "failed": State("cross", "bad", _("Failed"))}
    return known.get(fate)


def _base_rate(verdicts: Collection[str], bad: int) -> str:
    """Empty where there were fewer than two."""
    if len(verdicts) < 2:
        return ""
    count = Counter(verdicts)
    words = {
        Verdict.APPROVE: _("%(n)s approved"), Verdict.MODIFY: _("%(n)s changed"), Verdict.REJECT: _("%(n)s rejected"),
        Verdict.RESPOND: _("%(n)s answered"), Verdict.ASK: _("%(n)s asked back"),
    }  # fmt: skip
    parts = [word % {"n": count[verdict]} for verdict, word in words.items() if count[verdict]]
    told = {"total": len(verdicts), "parts": ", ".join(parts), "bad": bad}
    if bad:
        return _("Of the last %(total)s: %(parts)s; %(bad)s later regretted, undone or failed.") % told
    return _("Of the last %(total)s: %(parts)s.") % told


def _standing(approvals: Collection[UUID]) -> QuerySet[Regret]:
    return Regret.objects.filter(approval__in=approvals, withdrawn_at__isnull=True)


def _like(approval: Approval) -> QuerySet[Decision]:
    """What people decided before it was asked, among the last closed ones on the same action of the same agent and team, the
    newest first. ``approval_like`` finds them."""
    closed = Approval.objects.filter(
        team=approval.team_id, agent=approval.agent, action=approval.action, closed_at__lt=approval.requested_at
    ).order_by("-closed_at")
    # The card is one for all who see it: guests of another team read of those alone that they are shown, too.
    guests = [team for team in approval.reviewer_teams if team != approval.team_id]
    return (
        Decision.objects.filter(
            approval__in=closed.values("pk")[:HOW_FAR_BACK], approval__reviewer_teams__contains=guests, voided_at=None
        )
        .exclude(Q(verdict__in=[Verdict.EXPIRE, Verdict.WITHDRAW]) | Q(via=AuditEntry.Via.STANDING))
        .order_by("-decided_at")
    )
