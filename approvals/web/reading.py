"""How an approval's state, votes and rules read: icon, tone and words."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from agentdesk import masking
from agentdesk.audit.models import AuditEntry
from agentdesk.digests import decode
from approvals.models import Approval, Decision, Review
from approvals.models.rules import Effect, Rule
from approvals.policy.conditions import EXPRESSION, is_reference
from approvals.policy.replay import facts_of
from approvals.policy.tallies import tally_of
from approvals.states import Kind, Status, Verdict
from approvals.web import display

HOW_MANY_BEFORE = 5
HOW_MANY_COUNTED = 50
HOW_FAR_BACK = 1_000  # closed ones: where nearly all were approved in advance, no longer is looked for what people decided

_OPERATORS = {
    "=": gettext_lazy("is"), "!=": gettext_lazy("is not"), "<": gettext_lazy("is under"), "<=": gettext_lazy("is at most"),
    ">": gettext_lazy("is over"), ">=": gettext_lazy("is at least"), "in": gettext_lazy("is one of"),
    "domain-in": gettext_lazy("goes to one of the domains"),
    "contains": gettext_lazy("contains"), "starts": gettext_lazy("starts with"), "ends": gettext_lazy("ends with"),
    "glob": gettext_lazy("is like"), "exists": gettext_lazy("is given"), "length": gettext_lazy("has the length"),
    "between": gettext_lazy("is between"),
    "untrusted": gettext_lazy("comes from untrusted content"), "from": gettext_lazy("comes from"),
}  # fmt: skip
_FACTS = {"@effect": gettext_lazy("effect"), "@egress": gettext_lazy("leaves the house"), "@risk": gettext_lazy("risk"),
    "@confidence": gettext_lazy("the agent's own confidence"),
}  # fmt: skip
_CLOCK = {"@time": gettext_lazy("the time of day"), "@weekday": gettext_lazy("the day of the week")}
_ICONS = {
    Verdict.APPROVE: "check", Verdict.MODIFY: "pencil", Verdict.REJECT: "cross", Verdict.RESPOND: "comment",
    Verdict.ASK: "ask",
    Verdict.EXPIRE: "clock", Verdict.WITHDRAW: "undo",
}  # fmt: skip
_IN_SHORT = {
    Verdict.APPROVE: gettext_lazy("Approved"), Verdict.MODIFY: gettext_lazy("Modified"),
    Verdict.REJECT: gettext_lazy("Rejected"), Verdict.RESPOND: gettext_lazy("Answered"), Verdict.ASK: gettext_lazy("Sent back"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class State:
    """The state of an approval in sight: an icon of the sprite, a tone class or none, and the word."""

    icon: str
    tone: str
    word: str


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a rule with the value that it met."""

    words: str
    actual: str
    met: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Explained:
    """A rule that matched, as the record of the evaluation tells it."""

    name: str
    verdict: str
    note: str
    conditions: list[Condition]


@dataclass(frozen=True, slots=True)
class Past:
    """An earlier decision on the same action."""

    id: UUID
    sentence: str
    state: State
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """What became of the call that was decided about."""

    state: State
    text: str
    is_same: bool  # it ran with exactly the arguments that were approved
    args: str
    undo_url: str  # where it can be taken back; empty where nothing does that

    @classmethod
    def read(cls, call: Mapping[str, Any]) -> Self:
        """From what a source tells of a call: status, result, error, args, digest, approved_digest, undo."""
        error = call.get("error")
        result = call.get("result")
        text = error.get("message", "") if isinstance(error, Mapping) else "" if result is None else display.as_text(result)
        return cls(
            state=_call_state(str(call.get("status", ""))),
            text=str(text),
            is_same=bool(call.get("digest")) and call.get("digest") == call.get("approved_digest"),
            args=display.as_json(decode(call.get("args"))) if call.get("args") is not None else "",
            undo_url=str(call.get("undo") or ""),
        )


def _call_state(status: str) -> State:
    known = {
        "succeeded": State("check", "ok", _("Done")), "failed": State("warn", "bad", _("Failed")),
        "executing": State("spin", "live", _("Running now")), "in_doubt": State("doubt", "bad", _("In doubt")),
        "rejected": State("cross", "", _("Did not run")), "denied": State("lock", "bad", _("Denied, did not run")),
        "undone": State("undo", "", _("Done, and undone since")),
    }  # fmt: skip
    return known.get(status, State("clock", "live", _("The run takes it up")))


def state_of(approval: Approval, have: int) -> State:
    """``have``: votes for the current version."""
    if approval.status == Status.PENDING:
        if approval.need > 1:
            return State("clock", "live", _("Waiting, %(have)s of %(need)s") % {"have": have, "need": approval.need})
        return State("clock", "live", _("Waiting"))
    standing = approval.standing
    if approval.status == Status.SUPERSEDED:
        return State("undo", "", _("Superseded"))
    if (void := voided(approval)) is not None:
        return State("lock", "bad", _("%(outcome)s, did not count") % {"outcome": outcome_words(void)})
    if standing is None:
        return State("clock", "", _("Expired")) if approval.status == Status.EXPIRED else State("undo", "", _("Withdrawn"))
    if approval.status == Status.HELD:
        return State("clock", "live", _("%(outcome)s, held") % {"outcome": outcome_words(standing)})
    return State(_ICONS[Verdict(standing.verdict)], "", outcome_words(standing))


def voided(approval: Approval) -> Decision | None:
    """The decision of an approval that is decided, and whose action was stopped after all."""
    if approval.status != Status.DECIDED or approval.standing is not None:
        return None
    return max(approval.decisions.all(), key=lambda decision: decision.decided_at, default=None)


def outcome_words(decision: Decision) -> str:
    """``Approved by Sam Ashby``."""
    by = {"name": decision.decided_by_label}
    match decision.verdict:
        case Verdict.APPROVE:
            return _("Approved by %(name)s") % by
        case Verdict.MODIFY:
            return _("Modified by %(name)s") % by
        case Verdict.REJECT:
            return _("Rejected by %(name)s") % by
        case Verdict.RESPOND:
            return _("Answered by %(name)s") % by
        case Verdict.ASK:
            return _("Sent back with a question by %(name)s") % by
        case Verdict.EXPIRE:
            return _("Expired")
    return _("Withdrawn")


def vote_words(review: Review) -> dict[str, Any]:
    """A vote as the panel tells it."""
    words = {
        Verdict.APPROVE: _("approved as asked"),
        Verdict.MODIFY: _("changed the arguments and approved"),
        Verdict.REJECT: _("rejected"),
        Verdict.RESPOND: _("answered"),
        Verdict.ASK: _("asked the agent"),
    }
    verdict = Verdict(review.verdict)
    return {
        "reviewer": review.reviewer, "version": review.version, "message": review.message, "at": review.at,
        "icon": _ICONS[verdict], "words": words[verdict],
    }  # fmt: skip


def explained(approval: Approval) -> list[Explained]:
    """The rules in force that matched, with each condition and the value it saw, from the evaluation on record."""
    if approval.evaluation is None:
        return []
    rules = [decode(rule) for rule in approval.evaluation.rules]
    return [_explained(rule) for rule in rules if rule["matched"] and rule["mode"] == Rule.Mode.ACTIVE]


def doubts(approval: Approval) -> list[str]:
    """Why it is asked whatever rules allow, from the evaluation on record."""
    if approval.evaluation is None or approval.kind == Kind.INTERRUPT:
        return []
    facts = decode(approval.evaluation.facts)
    told = []
    if not facts.get("tool_known", True):
        told.append(_("No admin has labelled this tool yet, so a person is asked."))
    if facts.get("schema_changed"):
        told.append(_("The tool changed since an admin reviewed it, so a person is asked."))
    if facts.get("bounds"):
        told += [fence.text for fence in facts_of(approval.evaluation.facts).crossed()]
    return told


def _explained(rule: Mapping[str, Any]) -> Explained:
    verdicts = {Effect.ASK: _("asks people"), Effect.ALLOW: _("allows"), Effect.DENY: _("denies")}
    return Explained(
        name=rule["name"],
        verdict=verdicts[Effect(rule["verdict"])],
        note=rule["note"],
        conditions=[_condition(condition) for condition in rule["conditions"]],
    )


def _condition(told: Mapping[str, Any]) -> Condition:
    if told["path"] == EXPRESSION:
        words = _("the expression %(cel)s") % {"cel": told["value"]}
        return Condition(words=words, actual="", met=_met(told), holds=bool(told["holds"]))
    words = words_of(str(told["path"]), str(told["op"]), told["value"])
    return Condition(words=words, actual=display.as_text(told["actual"]), met=_met(told), holds=bool(told["holds"]))


def words_of(path: str, operator: str, value: Any) -> str:
    """A condition in words."""
    what = (
        _FACTS.get(path)
        or _clock_or_tally(path)
        or (_led_to(path) if path.startswith("@reporter") else path.replace("@input.", _("input ")))
    )
    words = f"{what} {_OPERATORS.get(operator, operator)}"
    if operator == "untrusted" and value is False:
        words = _("%(what)s does not come from untrusted content") % {"what": what}
    elif operator not in ("exists", "untrusted"):
        words += f" {', '.join(map(str, value)) if isinstance(value, list) else _led_to(value)}"
    return words


def _led_to(value: Any) -> Any:
    """What a condition compares with, where that stands elsewhere."""
    if not is_reference(value):
        return value
    fact, _dot, part = value.partition(".")
    return (_("the run's input %(part)s") if fact == "@input" else _("the %(part)s of who started the run")) % {"part": part}


def _met(told: Mapping[str, Any]) -> str:
    return {True: _("met"), False: _("not met"), None: _("cannot be told")}[told["holds"]]


def _clock_or_tally(path: str) -> str:
    """``@count.1h`` as words; empty for another path."""
    fact, _dot, zone = path.partition(".")
    if fact in _CLOCK:
        return f"{_CLOCK[fact]} ({zone})" if zone else str(_CLOCK[fact])
    tally = tally_of(path)
    if tally is None:
        return ""
    window = path.split(".")[1]
    words = {"argument": ".".join(tally.argument), "window": window}
    if tally.window is None:
        return (_("the sum of %(argument)s in this run") if tally.argument else _("the number of calls in this run")) % words
    return (
        _("the sum of %(argument)s within %(window)s") if tally.argument else _("the number of calls within %(window)s")
    ) % words


@dataclass(frozen=True, slots=True)
class History:
    """The last decisions that people made on the same action, and how they decided: ``Of the last 41: 37 approved, 3 changed,
    1 rejected.`` (empty where there were fewer than two)."""

    before: list[Past]
    base_rate: str


def history_of(approval: Approval) -> History:
    """What people decided before it was asked on the same action of the same agent and team. Two queries."""
    found = list(_like(approval)[:HOW_MANY_COUNTED])
    newest = found[:HOW_MANY_BEFORE]
    approvals = Approval.objects.in_bulk([decision.approval_id for decision in newest])
    with masking.masked():  # the page of this approval may be one that reveals
        before = [_past(decision, approvals[decision.approval_id]) for decision in newest]
    return History(before, _base_rate(Counter(decision.verdict for decision in found)))


def _past(decision: Decision, approval: Approval) -> Past:
    return Past(
        id=approval.pk,
        sentence=display.sentence(approval),
        state=State(_ICONS[Verdict(decision.verdict)], "", str(_IN_SHORT[Verdict(decision.verdict)])),
        by=decision.decided_by_label,
        at=decision.decided_at,
    )


def _base_rate(verdicts: Counter[str]) -> str:
    if verdicts.total() < 2:
        return ""
    words = {
        Verdict.APPROVE: _("%(n)s approved"), Verdict.MODIFY: _("%(n)s changed"), Verdict.REJECT: _("%(n)s rejected"),
        Verdict.RESPOND: _("%(n)s answered"), Verdict.ASK: _("%(n)s asked back"),
    }  # fmt: skip
    parts = [word % {"n": verdicts[verdict]} for verdict, word in words.items() if verdicts[verdict]]
    return _("Of the last %(total)s: %(parts)s.") % {"total": verdicts.total(), "parts": ", ".join(parts)}


def _like(approval: Approval) -> QuerySet[Decision]:
    """The decisions of people among the last closed ones that are like it, the newest first. ``approval_like`` finds them."""
    closed = Approval.objects.filter(
        team=approval.team_id, agent=approval.agent, action=approval.action, closed_at__lt=approval.requested_at
    ).order_by("-closed_at")
    return (
        Decision.objects.filter(approval__in=closed.values("pk")[:HOW_FAR_BACK], voided_at=None)
        .exclude(Q(verdict__in=[Verdict.EXPIRE, Verdict.WITHDRAW]) | Q(via=AuditEntry.Via.STANDING))
        .only("approval_id", "verdict", "decided_by_label", "decided_at")
        .order_by("-decided_at")
    )
