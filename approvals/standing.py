"""Standing approvals: made in advance by somebody who may decide, used by calls that fit, revoked by one click.

A use is a decision like any other: the owner's vote on an approval of its own, cast by :func:`approvals.decisions.decide`, with
all its checks, held for recall like any, and on record. What only a person at the screen may do, it never does: more than one
reviewer, a second factor, critical risk, a tool that is new or has changed, a call beyond its fences. An argument that may come
from untrusted content, and that the owner has not bounded, is asked about too: a manipulated agent gains nothing by it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from agentdesk import masking
from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor, record
from agentdesk.digests import canonical, decode, encode
from agentdesk.people.models import Role, User
from approvals import access
from approvals.decisions import decide
from approvals.errors import Invalid, NotAllowed, NotFound
from approvals.models import Approval, Decision, StandingApproval, StandingUse, Tool
from approvals.policy.conditions import problems_of_all, ready
from approvals.policy.evaluate import Facts
from approvals.policy.measure import number_at
from approvals.policy.replay import AGREED, facts_of
from approvals.policy.requirements import freeze
from approvals.states import Kind, Risk, Verdict

MOST_DAYS = 30
MOST_USES = 100
MOST_TRIED = 100  # of one tool; those that end first come first
OWN_RISK = Risk.MEDIUM  # what a reviewer may approve in advance; more takes an admin
BOUNDING = frozenset({"=", "in", "<", "<="})  # what keeps a value within bounds that a person chose


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a reviewer makes of a decision. ``exactly``: the names of arguments that must be as decided; ``at_most``: by the
    name of an argument that is a number, the most it may be. All others may be anything. ``budget`` is in the unit of the
    argument ``budget_at``."""

    reason: str
    days: int
    most_uses: int
    exactly: frozenset[str] = frozenset()
    at_most: Mapping[str, Decimal] = field(default_factory=dict)
    budget_at: str = ""
    budget: Decimal | None = None


@transaction.atomic
def make(approval_id: UUID | str, wanted: Wanted, *, actor: Actor) -> StandingApproval:
    """Approve calls like this one, which people have approved, in advance; the actor becomes the owner. Raises NotFound,
    NotAllowed and Invalid."""
    if actor.user is None:
        raise NotAllowed
    approval = Approval.objects.visible_to(actor.user).select_related("evaluation").filter(pk=approval_id).first()
    if approval is None:
        raise NotFound
    reason = why_not(actor.user, approval)
    if reason is not None:
        raise NotAllowed(reason)
    args = args_of(approval)
    if errors := _problems(wanted, args):
        raise Invalid(errors)
    return create(
        StandingApproval(
            team_id=approval.team_id, agent=approval.agent, action=approval.action, code_version=code_version_of(approval),
            args=encode({name: args[name] for name in sorted(wanted.exactly)}),
            conditions=[{"path": name, "op": "<=", "value": str(most)} for name, most in sorted(wanted.at_most.items())],
            risk=approval.risk, owner=actor.user, made_from=approval, reason=wanted.reason.strip(),
            expires_at=timezone.now() + timedelta(days=wanted.days), most_uses=wanted.most_uses,
            budget_at=wanted.budget_at if wanted.budget is not None else "", budget=wanted.budget,
        ),
        actor,
    )  # fmt: skip


@transaction.atomic
def make_by_admin(standing: StandingApproval, *, actor: Actor) -> StandingApproval:
    """The same by an admin, for any owner who reviews for the team; ``standing`` is not saved yet. Raises Invalid."""
    if errors := problems_for_admin(standing):
        raise Invalid(errors)
    standing.code_version = Tool.objects.get(agent=standing.agent, name=standing.action, team=standing.team_id).code_version
    return create(standing, actor)


def problems_for_admin(standing: StandingApproval) -> dict[str, list[str]]:
    """What is wrong with what an admin means, by field; empty when nothing is."""
    errors: dict[str, list[str]] = {}
    if not Tool.objects.filter(agent=standing.agent, name=standing.action, team=standing.team_id).exists():
        errors["action"] = [_("This team's agent has no such tool.")]
    if not access.teams_reviewed_by([standing.owner_id], [standing.team_id]):
        errors["owner"] = [_("Name a reviewer of this team.")]
    if not isinstance(standing.args, dict):
        errors["args"] = [_("Arguments by their names, in braces.")]
    if found := problems_of_all(standing.conditions, allows=True):
        errors["conditions"] = found
    if not standing.args and not standing.conditions:
        errors["conditions"] = [_("Bound at least one argument: this would approve every call of the tool.")]
    if not timezone.now() < standing.expires_at <= timezone.now() + timedelta(days=MOST_DAYS):
        errors["expires_at"] = [_("Within the next %(days)d days.") % {"days": MOST_DAYS}]
    if not 1 <= standing.most_uses <= MOST_USES:
        errors["most_uses"] = [_("Between 1 and %(most)d.") % {"most": MOST_USES}]
    if standing.budget is not None and not standing.budget_at:
        errors["budget_at"] = [_("Name the argument that the budget is of.")]
    return errors


@transaction.atomic
def revoke(standing_id: UUID | str, *, actor: Actor) -> bool:
    """No call uses it from now on; what it approved stays approved. False: it was revoked already. Whoever sees it and reviews
    for its team may, as may its owner, whoever it is offered to, and an admin. Raises NotFound, NotAllowed."""
    if actor.user is None:
        raise NotAllowed
    standing = StandingApproval.objects.visible_to(actor.user).select_for_update().filter(pk=standing_id).first()
    if standing is None:
        raise NotFound
    if not may_revoke(actor.user, standing):
        raise NotAllowed(_("Its owner, reviewers and admins of its team revoke it."))
    if standing.revoked_at is not None:
        return False
    StandingApproval.objects.filter(pk=standing.pk).update(revoked_at=timezone.now(), revoked_by_label=actor.label[:200])
    enter("standing.revoked", standing, actor, {"uses": standing.uses, "spent": standing.spent})
    return True


def may_revoke(user: User, standing: StandingApproval) -> bool:
    """Whether this user may revoke it."""
    if user.is_superuser or user.pk in (standing.owner_id, standing.offered_to_id):
        return user.is_active
    return standing.team_id in user.team_ids(Role.REVIEWER, Role.ADMIN)


def why_not(user: User, approval: Approval) -> str | None:
    """Why this user makes no standing approval of this one; None when they may."""
    if approval.kind != Kind.TOOL_CALL:
        return _("Only calls of tools are approved in advance.")
    standing = approval.standing
    if standing is None or standing.verdict not in AGREED:
        return _("Only what was approved can be approved in advance.")
    if not approval.args:
        return _("It has no arguments, or they were erased: nothing would bound the calls to come.")
    if (reason := access.why_not(user, approval)) is not None:
        return reason
    if Risk(approval.risk).rank > OWN_RISK.rank:
        return _("Calls of this risk are decided one by one.")
    if not is_for_one(approval):
        return _("What needs more than one reviewer, or a second factor, is decided one by one.")
    return None


def args_of(approval: Approval) -> dict[str, Any]:
    """The arguments that were approved, plain."""
    args: dict[str, Any] = decode(approval.args)
    return args


def is_masked(name: str, value: Any) -> bool:
    """Whether a part of an argument is not shown: nobody approves in advance what they do not see."""
    return canonical(encode(masking.value(value, name))) != canonical(encode(value))


def use(approval: Approval) -> Decision | None:
    """Let the first standing approval that fits decide about a call that has just been asked. None: people decide. In the
    caller's transaction."""
    evaluation = approval.evaluation
    if approval.kind != Kind.TOOL_CALL or approval.version != 1 or not approval.is_pending:
        return None
    if Verdict.APPROVE not in approval.allowed or evaluation is None or not evaluation.facts or not is_for_one(approval):
        return None
    in_force = StandingApproval.objects.in_force().filter(agent=approval.agent, action=approval.action, team=approval.team_id)
    candidates = list(in_force.select_related("owner").order_by("expires_at", "pk")[:MOST_TRIED])
    if not candidates:
        return None
    facts, version = facts_of(evaluation.facts), code_version_of(approval)
    if facts.doubts() or facts.crossed():
        return None
    for standing in candidates:
        if standing.code_version != version or standing.owner_id in (approval.requester_id, approval.owner_id):
            continue
        if not fits(standing, approval, facts) or access.why_not(standing.owner, approval) is not None:
            continue
        amount = number_at(facts.args, tuple(standing.budget_at.split("."))) if standing.budget_at else None
        if _take(standing, amount):
            return _decide(standing, approval, amount)
    return None


def fits(standing: StandingApproval, approval: Approval, facts: Facts) -> bool:
    """Whether the call is one of those that the owner meant."""
    if Risk(approval.risk).rank > Risk(standing.risk).rank:
        return False
    if not all(name in facts.args and _same(facts.args[name], exact) for name, exact in standing.args.items()):
        return False
    scope = facts.scope()
    if not all(ready(one, allows=True).tell(scope, every=True).holds is True for one in standing.conditions):
        return False
    return _is_bounded(standing, facts)


def _same(value: Any, exact: Any) -> bool:
    """Whether a plain value is the encoded one that was approved, of its type too."""
    return canonical(encode(value)) == canonical(exact)


def _is_bounded(standing: StandingApproval, facts: Facts) -> bool:
    """Whether all that may come from untrusted content is what the owner chose, or within bounds that the owner chose."""
    bounds = {tuple(one["path"].split(".")): one["op"] for one in standing.conditions if one["op"] in BOUNDING}

    def is_bounded(at: tuple[str, ...]) -> bool:
        if at[0] in standing.args:
            return True
        op = bounds.get(at)
        # A number below zero is less than any that was meant.
        return op is not None and (op in ("=", "in") or number_at(facts.args, at) is not None)

    if set(facts.args) <= standing.args.keys():
        return True
    traced = facts.origins
    if traced is None or traced.left_out:
        return False
    return all(is_bounded(one.at) or traced.is_untrusted(one) is False for one in traced.values)


def code_version_of(asked: Approval | StandingApproval) -> str:
    """Of the tool as it is now; empty when there is no such tool."""
    tool = Tool.objects.filter(agent=asked.agent, name=asked.action, team=asked.team_id).first()
    return tool.code_version if tool else ""


def is_for_one(approval: Approval) -> bool:
    """Whether one reviewer's word is enough, and needs nothing that only a person at the screen can give."""
    wanted = freeze(approval.requirements, approval.team_id)
    return wanted["count"] == 1 and not wanted["second_factor"] and approval.risk != Risk.CRITICAL


def _take(standing: StandingApproval, amount: Decimal | None) -> bool:
    """One use, and of the budget as much as the call comes to; of two at once for the last one, one gets it."""
    if standing.budget is not None and amount is None:
        return False
    left = Q(budget__isnull=True) | Q(spent__lte=F("budget") - (amount or 0))
    rows = StandingApproval.objects.in_force().filter(left, pk=standing.pk)
    return bool(rows.update(uses=F("uses") + 1, spent=F("spent") + (amount or 0)))


def _decide(standing: StandingApproval, approval: Approval, amount: Decimal | None) -> Decision:
    StandingUse.objects.create(approval=approval, standing=standing, amount=amount)
    actor = Actor.of(standing.owner, AuditEntry.Via.STANDING)
    enter("standing.used", standing, actor, {"approval": approval.pk, "use": standing.uses + 1, "amount": amount})
    outcome = decide(
        approval.pk, actor=actor, verdict=Verdict.APPROVE, digest=approval.digest, version=approval.version,
        message=f"Approved in advance: {standing.reason}",
    )  # fmt: skip
    if outcome.decision is None:
        raise RuntimeError(f"approval {approval.pk} needs more than the word of one reviewer")
    approval.refresh_from_db()
    return outcome.decision


def _problems(wanted: Wanted, args: Mapping[str, Any]) -> dict[str, list[str]]:
    errors: dict[str, list[str]] = {}
    if not wanted.reason.strip():
        errors["reason"] = [_("Say why, for those who come later.")]
    if not 1 <= wanted.days <= MOST_DAYS:
        errors["days"] = [_("Between 1 and %(most)d.") % {"most": MOST_DAYS}]
    if not 1 <= wanted.most_uses <= MOST_USES:
        errors["most_uses"] = [_("Between 1 and %(most)d.") % {"most": MOST_USES}]
    for name in _unknown([*wanted.exactly, *wanted.at_most], args):
        errors[f"arg-{name}"] = [_("The call has no such argument.")]
    for name, most in wanted.at_most.items():
        had = number_at(args, (name,))
        if had is None:
            errors[f"arg-{name}"] = [_("This is no number.")]
        elif had > most:
            errors[f"arg-{name}"] = [_("The call that was approved had more.")]
    for name in (wanted.exactly | wanted.at_most.keys()) & args.keys():
        if is_masked(name, args[name]):
            # Instead of what was found above, which would tell something of it.
            errors[f"arg-{name}"] = [_("A secret in this is masked; it cannot be a part of what is approved in advance.")]
    if not wanted.exactly and not wanted.at_most:
        errors["args"] = [_("Bound at least one argument: this would approve every call of the tool.")]
    if wanted.budget is not None and number_at(args, tuple(wanted.budget_at.split("."))) is None:
        errors["budget_at"] = [_("Name an argument that is a number.")]
    return errors


def _unknown(names: Iterable[str], args: Mapping[str, Any]) -> list[str]:
    return sorted({name for name in names if name not in args})


def create(standing: StandingApproval, actor: Actor) -> StandingApproval:
    """Store one that was checked, with its entry."""
    standing.made_by_label = actor.label[:200]
    standing.save(force_insert=True)
    facts = {
        "owner": standing.owner_id, "risk": standing.risk, "until": standing.expires_at, "most_uses": standing.most_uses,
        "budget": standing.budget, "budget_at": standing.budget_at, "made_from": standing.made_from_id,
        "taken_from": standing.taken_from_id,
    }  # fmt: skip
    content = {"args": standing.args, "conditions": standing.conditions, "reason": standing.reason}
    enter("standing.made", standing, actor, facts, content)
    return standing


def enter(action: str, standing: StandingApproval, actor: Actor, after: dict[str, Any], content: Any = None) -> None:
    """Write the audit entry of an act on ``standing``."""
    record(
        action, actor=actor, object_type="standing", object_id=standing.pk, object_label=str(standing),
        team_id=standing.team_id, after=after, content=content,
    )  # fmt: skip
