"""The people, approvals and decisions of the samples: made up, never saved. Ids are made up too, so what a template asks the
database about them finds nothing."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from agentdesk.digests import digest
from agentdesk.people.models import Role, Team, User
from approvals.models import Approval, Claim, Comment, Decision, Evaluation, Review
from approvals.policy.origins import Found, Origin, Origins
from approvals.states import Risk, Status, Verdict

ALL = [Verdict.APPROVE, Verdict.MODIFY, Verdict.REJECT, Verdict.ASK, Verdict.RESPOND]
REFUND: dict[str, Any] = {
    "type": "object",
    "properties": {
        "amount": {"type": "string", "pattern": r"^\d+\.\d{2}$"},
        "order_id": {"type": "string", "title": "Order"},
        "currency": {"type": "string", "enum": ["EUR", "GBP", "USD"]},
        "destination": {"type": "string", "title": "Pay to"},
        "notify": {"type": "boolean", "default": True},
        "note": {"type": "string", "maxLength": 400},
    },
    "required": ["amount", "order_id", "currency", "destination"],
    "additionalProperties": False,
}
ARGS = {
    "amount": "240.00", "order_id": "48102", "currency": "EUR", "destination": "Card •••• 4417", "notify": True,
    "note": "Torn outer tent, seen on two photos. The customer asked for the money back, not for another tent of that kind.",
}  # fmt: skip
REASON = "The photos show a torn outer tent. Our terms promise the money back within 30 days, so I recommend a full refund."
SUBJECT = "Order 48102: the tent arrived torn. Please refund 240.00 to my card."


def person(first: str, last: str, team: Team, *roles: Role) -> User:
    made = User(username=first.lower(), first_name=first, last_name=last)
    made._memberships = [(team.pk, role) for role in roles]  # what team_ids() reads
    return made


@dataclass(frozen=True)
class Cast:
    """Who plays. ``now`` is the moment of all samples."""

    now: datetime
    team: Team
    robin: User
    sam: User
    jo: User

    @classmethod
    def at(cls, now: datetime) -> "Cast":
        team = Team(slug="support-care", name="Support care", reject_reasons="Not our fault\nAmount is wrong")
        robin = person("Robin", "Vale", team, Role.REVIEWER)
        return cls(now, team, robin, person("Sam", "Ashby", team, Role.REVIEWER), person("Jo", "Merrow", team))

    def before(self, **span: float) -> datetime:
        return self.now - timedelta(**span)

    def after(self, **span: float) -> datetime:
        return self.now + timedelta(**span)

    def approval(self, *, votes: Iterable[Review] = (), decision: Decision | None = None, **facts: Any) -> Approval:
        """An approval with the votes and the decision on it; ``facts`` are fields."""
        args = facts.pop("args", ARGS)
        given: dict[str, Any] = {
            "source": "styleguide", "agent": "support", "agent_version": "3f1c9a7e", "team": self.team,
            "action": "issue_refund", "asked_args": args, "args_schema": REFUND, "allowed": list(ALL), "risk": Risk.LOW,
            "effect": "write", "egress": True, "reason": REASON, "subject": SUBJECT, "policy_version": 17,
            "requested_at": self.before(minutes=11), "expires_at": self.after(minutes=41),
        }  # fmt: skip
        made = Approval(**{**given, "args": args, **facts})
        made.digest = digest({"action": made.action, "args": made.args})
        if made.evaluation is None:
            made.evaluation = self.evaluation(made)
        made._state.fields_cache["claim"] = None
        related: dict[str, Any] = {"reviews": list(votes), "decisions": [decision] if decision else []}
        for one in (*related["reviews"], *related["decisions"]):
            one.approval = made
        made._prefetched_objects_cache = related  # type: ignore[attr-defined]  # as for_display() loads them
        return made

    def evaluation(self, approval: Approval, **facts: Any) -> Evaluation:
        """One rule that asked, and where the arguments came from."""
        traced = {"amount": "record", "order_id": "input", "destination": "untrusted"}
        found = {
            "record": Found("record", "read_order", 1),
            "input": Found("input"),
            "untrusted": Found("untrusted", "read_mail", 2),
        }
        origins = Origins(tuple(Origin((name,), (found[kind],)) for name, kind in traced.items()))
        condition = {"path": "amount", "op": ">", "value": "200", "actual": "240.00", "holds": True}
        rule = {
            "name": "Refund over 200",
            "verdict": "ask",
            "mode": "active",
            "matched": True,
            "note": "",
            "conditions": [condition],
        }
        return Evaluation(facts={"tool_known": True, "origins": origins.as_json(), **facts}, rules=[rule], verdict="ask")

    def claimed(self, approval: Approval, by: User, *, until: datetime | None = None) -> Approval:
        """``approval`` with somebody who looks after it: until then, or assigned."""
        approval.claim = Claim(approval=approval, user=by, assigned_by=None, until=until, at=self.now)
        return approval

    def vote(self, by: User, verdict: Verdict = Verdict.APPROVE, message: str = "", version: int = 1) -> Review:
        return Review(reviewer=by, verdict=verdict, message=message, version=version, at=self.before(minutes=4))

    def decision(self, verdict: Verdict, by: str = "Sam Ashby", **facts: Any) -> Decision:
        given = {"version": 1, "args": ARGS, "decided_at": self.before(minutes=2), "delivered_at": self.before(minutes=2)}
        return Decision(verdict=verdict, decided_by_label=by, **{**given, **facts})

    def decided(self, verdict: Verdict, status: Status = Status.DECIDED, by: str = "Sam Ashby", **facts: Any) -> Approval:
        """An approval with a decision; ``facts`` are fields of the decision."""
        made = self.approval(decision=self.decision(verdict, by, **facts), status=status, closed_at=self.before(minutes=2))
        if verdict == Verdict.MODIFY:
            made.args = {**ARGS, "amount": "212.50"}
        return made

    def comment(self, by: User, text: str, minutes: int) -> Comment:
        return Comment(author_label=by.label, text=text, at=self.before(minutes=minutes))
