"""Questions of other programs: their agents run elsewhere, in any framework; what they want to do is asked here."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _
from jsonschema import Draft202012Validator, SchemaError

from agentdesk.audit.record import Actor, record
from agentdesk.digests import decode, digest
from agentdesk.ids import new_id
from agentdesk.people.models import Role, Team, User
from approvals import sources, switches, tools
from approvals.answers import problems
from approvals.errors import InvalidAnswer, KeyReused, NotAllowed
from approvals.models import Approval, Evaluation, Halt, Tool
from approvals.models.rules import Effect as RuleVerdict
from approvals.policy.evaluate import Facts
from approvals.policy.record import evaluate_action
from approvals.requests import Ask, followed_by, request_approval
from approvals.states import Kind, Risk, Verdict


class Denied(NotAllowed):
    """A rule forbids this action."""

    code = "denied"


@dataclass(frozen=True, slots=True)
class Question:
    """What a program asks. ``team`` is a slug; None: the only team of the asking account."""

    agent: str
    action: str
    args: dict[str, Any] = field(default_factory=dict)
    args_schema: dict[str, Any] | None = None
    allowed: list[str] | None = None
    answer_schema: dict[str, Any] | None = None
    team: str | None = None
    request_key: str | None = None
    source_ref: str = ""
    agent_version: str = ""
    description: str = ""
    reason: str = ""
    subject: str = ""
    evidence: list[dict[str, str]] = field(default_factory=list)
    alternatives: list[str] = field(default_factory=list)
    risk: Risk = Risk.MEDIUM
    confidence: float | None = None  # of the agent in itself, 0 to 1


@dataclass(frozen=True, slots=True)
class Asked:
    """``approval`` is None when a rule allows the action: then nobody is asked. ``new``: made by this call. ``because``: why
    it is denied, where that is no rule."""

    verdict: str
    approval: Approval | None
    evaluation_id: UUID | None
    new: bool
    because: str = ""


def ask(question: Question, *, actor: Actor) -> Asked:
    """Let the rules judge what a program's agent wants to do, and ask people where they say so.

    The same ``request_key`` of the same account finds the same approval. Raises NotAllowed (a person's token, a team of
    somebody else, an agent of another team), Denied, InvalidAnswer (a bad schema, arguments that do not fit it), KeyReused
    and TooLarge.
    """
    if actor.user is None or not actor.user.is_service:
        raise NotAllowed(_("Programs ask with a service account's token. You start a run instead."))
    _check_schemas(question)
    asked = _ask(question, actor, actor.user)
    if asked.verdict == RuleVerdict.DENY:  # raised outside the transaction: the evaluation stays on record
        raise Denied(asked.because)
    return asked


@transaction.atomic
def _ask(question: Question, actor: Actor, user: User) -> Asked:
    team = _team(user, question.team)
    tool = _tool(question, team)
    request_key = f"{sources.API}:{user.pk}:{question.request_key or new_id()}"
    known = Approval.objects.filter(request_key=request_key).first()
    if known is not None:
        if _action(known.agent, known.action, decode(known.asked_args)) != _action(
            question.agent, question.action, question.args
        ):
            raise KeyReused
        return Asked(RuleVerdict.ASK, known, known.evaluation_id, new=False)
    if off := switches.why_off(tool, halted=Halt.standing().exists()):
        record(
            "call.denied", actor=actor, object_type="tool", object_id=tool.pk, object_label=str(tool), team_id=team.pk,
            after={"reason": off, "source_ref": question.source_ref},
        )  # fmt: skip
        return Asked(RuleVerdict.DENY, None, None, new=False, because=off)
    evaluation = evaluate_action(_facts(question, team, tool, user), sources.API, question.source_ref)
    if evaluation.verdict != RuleVerdict.ASK:
        return Asked(evaluation.verdict, None, evaluation.pk, new=False)
    approval, new = request_approval(_question(question, request_key, team, tool, evaluation, user), actor=actor)
    if not new:  # another post with this key was quicker; one question counts once
        Evaluation.objects.filter(pk=evaluation.pk).update(counted=False)
    return Asked(RuleVerdict.ASK, approval, approval.evaluation_id, new)


def _team(user: User, slug: str | None) -> Team:
    """The team that answers for the question. Raises NotAllowed."""
    teams = list(Team.objects.filter(pk__in=user.team_ids(Role.OPERATOR, Role.ADMIN)))
    named = [team for team in teams if slug in (None, team.slug)]
    if len(named) == 1:
        return named[0]
    if slug is None and teams:
        raise NotAllowed(_("Your account works for several teams: name one of them as team."))
    raise NotAllowed(_("Your account is no operator of that team."))


def _tool(question: Question, team: Team) -> Tool:
    """The action as the desk's admins know it; seen for the first time it is written down, for an admin to label. Raises
    NotAllowed for an agent of another team."""
    if Tool.objects.filter(agent=question.agent).exclude(team=team).exists():
        raise NotAllowed(_("That agent belongs to another team."))
    known = Tool.objects.filter(agent=question.agent, name=question.action).first()
    description = known.accepted_description if known else ""  # that of a question is not the tool's
    schema = decode(known.accepted_schema) if known and known.accepted_schema_version else None
    code = tools.Code(question.action, description, question.args_schema or schema, {"risk": question.risk})
    return tools.seen(question.agent, team.pk, code)


def _facts(question: Question, team: Team, tool: Tool, user: User) -> Facts:
    is_bare = not question.args_schema and bool(tool.accepted_schema_version)  # nothing has checked its arguments
    return Facts(
        agent=question.agent, team_id=team.pk, action=question.action, args=question.args, effect=tool.effect,
        egress=tool.egress, risk=_risk(question, tool), tool_known=tool.labels_from != "run",
        schema_changed=tool.is_changed or is_bare, run_input=None,
        schema_version=_schema_version(question), confidence=question.confidence,
        bounds=tools.bounds_of(tool), requester=user.pk,
    )  # fmt: skip


def _question(question: Question, request_key: str, team: Team, tool: Tool, evaluation: Evaluation, user: User) -> Ask:
    usual: list[str] = [Verdict.APPROVE, Verdict.REJECT, *([Verdict.MODIFY] if question.args_schema else [])]
    return Ask(
        source=sources.API, source_ref=question.source_ref, request_key=request_key, kind=Kind.TOOL_CALL,
        agent=question.agent, agent_version=question.agent_version, team_id=team.pk, action=question.action,
        args=question.args, args_schema=question.args_schema, schema_version=_schema_version(question),
        description=question.description, reason=question.reason, subject=question.subject,
        evidence=question.evidence, alternatives=question.alternatives,
        allowed=question.allowed or usual, answer_schema=question.answer_schema, risk=_risk(question, tool),
        effect=tool.effect, egress=tool.egress, requirements=evaluation.requirements, evaluation=evaluation,
        policy_version=evaluation.policy_version, requester_id=user.pk,
        follows_id=followed_by(sources.API, question.source_ref, question.action),
    )  # fmt: skip


def _risk(question: Question, tool: Tool) -> Risk:
    """The higher of what the program and the admins say."""
    return max(question.risk, Risk(tool.risk), key=lambda risk: risk.rank)


def _schema_version(question: Question) -> str:
    return digest(question.args_schema) if question.args_schema else ""


def _action(agent: str, action: str, args: Any) -> str:
    return digest([agent, action, args])


def _check_schemas(question: Question) -> None:
    """Refuse schemas that nobody could fill in, and arguments that break their own."""
    if question.answer_schema is not None:
        try:
            Draft202012Validator.check_schema(question.answer_schema)
        except SchemaError as error:
            raise InvalidAnswer({"answer_schema": [error.message]}) from error
    found = problems(question.args_schema, question.args)
    if found:
        raise InvalidAnswer({f"args.{path}" if path else "args_schema": texts for path, texts in found.items()})
