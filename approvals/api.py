"""The API of approvals: read them, decide them, and ask for one from another program."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest
from django.urls import reverse
from ninja import Router, Schema, Status
from pydantic import Field

from agentdesk.audit.record import Actor
from agentdesk.people.models import User
from agentdesk.wire import PAGE_SIZE, REFUSALS, Args, Failure, Limit, Page, Text, Value, caller, plain, shown, slice_of
from approvals import decisions, sources
from approvals.asked import Question, ask
from approvals.errors import AlreadyDecided, ApprovalError, InvalidAnswer, NotCurrent
from approvals.evidence import LONGEST, LONGEST_ALTERNATIVE, MOST_ALTERNATIVES, MOST_SOURCES
from approvals.models import Approval, Decision
from approvals.states import Kind, Risk, Verdict
from approvals.states import Status as State
from approvals.votes import UNSET

router = Router(tags=["approvals"])
PeoplesVerdict = Literal["approve", "modify", "reject", "respond", "ask"]


class DecisionOut(Schema):
    id: UUID
    verdict: Verdict
    version: int
    args: Any = Field(description="The final arguments.")
    digest: str
    answer: Any
    message: str
    decided_by: str
    decided_at: datetime
    via: str

    @classmethod
    def of(cls, decision: Decision, *, exact: bool = False) -> Self:
        """``exact``: for the program that asked, which has to do exactly this; for others, secrets are masked."""
        told = plain if exact else shown
        return cls(
            id=decision.id, verdict=Verdict(decision.verdict), version=decision.version, args=told(decision.args),
            digest=decision.digest, answer=told(decision.answer), message=decision.message,
            decided_by=decision.decided_by_label, decided_at=decision.decided_at, via=decision.via,
        )  # fmt: skip


class ApprovalOut(Schema):
    id: UUID
    status: State
    kind: Kind
    source: str
    source_ref: str
    agent: str
    agent_version: str
    team: str
    action: str
    args: Any = Field(description="The arguments that the digest stands for.")
    asked_args: Any
    args_schema: Any
    description: str = Field(description="The agent's own words: not verified.")
    reason: str = Field(description="The agent's own words: not verified.")
    subject: str = Field(description="From outside: not verified.")
    evidence: list[dict[str, str]] = Field(description="What the agent quotes: title, quote, url. Not verified.")
    alternatives: list[str] = Field(description="What the agent did not choose: its own words.")
    payload: Any
    allowed: list[str] = Field(description="Verdicts that people may give.")
    answer_schema: Any
    risk: Risk
    effect: str
    egress: bool
    requirements: dict[str, Any]
    policy_version: int | None
    digest: str = Field(description="Send it back with the decision.")
    version: int = Field(description="Send it back with the decision.")
    need: int = Field(description="How many reviewers must agree.")
    requested_at: datetime
    expires_at: datetime | None
    closed_at: datetime | None
    reopened_because: str
    release_at: datetime | None = Field(description="While held: until then whoever may decide can take the decision back.")
    decision: DecisionOut | None = Field(description="None while it is held.")
    url: str

    @classmethod
    def of(cls, approval: Approval, reader: User | None = None) -> Self:
        """``approval`` with ``team`` and ``decisions`` loaded, or each costs a query. Secrets are masked, unless the ``reader``
        is the very program that asked."""
        standing = approval.standing
        is_held = approval.status == State.HELD
        exact = reader is not None and reader.pk == approval.requester_id and sources.get(approval.source) is None
        told = plain if exact else shown
        return cls(
            id=approval.id, status=State(approval.status), kind=Kind(approval.kind), source=approval.source,
            source_ref=approval.source_ref, agent=approval.agent, agent_version=approval.agent_version,
            team=approval.team.slug, action=approval.action, args=told(approval.args),
            asked_args=told(approval.asked_args), args_schema=approval.args_schema, description=told(approval.description),
            reason=told(approval.reason), subject=told(approval.subject), evidence=told(approval.evidence),
            alternatives=told(approval.alternatives), payload=told(approval.payload),
            allowed=approval.allowed, answer_schema=approval.answer_schema, risk=Risk(approval.risk),
            effect=approval.effect, egress=approval.egress, requirements=approval.requirements,
            policy_version=approval.policy_version, digest=approval.digest, version=approval.version,
            need=approval.need, requested_at=approval.requested_at, expires_at=approval.expires_at,
            closed_at=approval.closed_at, reopened_because=approval.reopened_because,
            release_at=standing.release_at if is_held and standing else None,
            decision=DecisionOut.of(standing, exact=exact) if standing and not is_held else None,
            url=settings.AGENTDESK_URL + reverse("approvals:detail", args=[approval.id]),
        )  # fmt: skip


class DecisionIn(Schema, extra="forbid"):
    verdict: PeoplesVerdict
    digest: Text = Field(max_length=71)
    version: int = Field(ge=1, le=2**31 - 1)
    args: Args | None = Field(None, description="With modify: the whole new arguments.")
    message: Text = Field("", max_length=10_000)
    answer: Value = Field(None, description="With respond: what takes the place of the tool's result.")


class DecidedOut(Schema):
    approval: UUID
    status: State
    have: int = Field(description="Votes for the current version.")
    need: int


class EvidenceIn(Schema, extra="forbid"):
    """Something that the agent quotes for what it wants. Give a title or a quote."""

    title: Text = Field("", max_length=LONGEST["title"])
    quote: Text = Field("", max_length=LONGEST["quote"])
    url: Text = Field("", max_length=LONGEST["url"], description="Shown as text; a link only where it is https.")


class AskIn(Schema, extra="forbid"):
    agent: Text = Field(pattern=r"^[-a-zA-Z0-9_]+$", max_length=64)
    action: Text = Field(min_length=1, max_length=200)
    args: Args = Field(default_factory=dict)
    args_schema: Args | None = Field(None, description="JSON Schema of the arguments: people can modify them.")
    team: Text | None = Field(None, description="Slug; only needed when the token's account is in several teams.")
    request_key: Text | None = Field(None, max_length=200, description="The same key again finds the same approval.")
    source_ref: Text = Field("", max_length=200, description="Your own reference, such as the id of your job.")
    agent_version: Text = Field("", max_length=100)
    description: Text = Field("", max_length=20_000)
    reason: Text = Field("", max_length=20_000)
    subject: Text = Field("", max_length=100_000)
    evidence: list[EvidenceIn] = Field(
        default_factory=list, max_length=MOST_SOURCES, description="Shown as the agent's words: not verified."
    )
    alternatives: list[Annotated[Text, Field(max_length=LONGEST_ALTERNATIVE)]] = Field(
        default_factory=list, max_length=MOST_ALTERNATIVES, description="What the agent did not choose: its own words."
    )
    risk: Risk = Field(Risk.MEDIUM, description="What an admin of the desk says counts where it is higher.")
    confidence: float | None = Field(None, ge=0, le=1, description="The agent's own. Rules may ask or deny by it, never allow.")
    allowed: list[PeoplesVerdict] | None = Field(
        None,
        min_length=1,
        description="What people may decide: by default all but respond and ask, where the message is a question to the agent.",
    )
    answer_schema: Args | None = Field(None, description="JSON Schema of the answer, where respond is allowed.")


class AskedOut(Schema):
    """``allow``: a rule lets it pass, nobody is asked and there is no approval. ``ask``: poll the approval."""

    verdict: str
    approval: ApprovalOut | None
    evaluation: UUID | None


@router.get("", response={200: Page[ApprovalOut], REFUSALS: Failure}, summary="Approvals that you may see, newest first")
def list_approvals(
    request: HttpRequest,
    status: State | None = None,
    source: Text | None = None,
    source_ref: Text | None = None,
    agent: Text | None = None,
    cursor: Text | None = None,
    limit: Limit = PAGE_SIZE,
) -> Page[ApprovalOut]:
    wanted = {"status": status, "source": source, "source_ref": source_ref, "agent": agent}
    approvals = Approval.objects.visible_to(caller(request)).select_related("team").prefetch_related("decisions")
    approvals = approvals.filter(**{field: value for field, value in wanted.items() if value is not None})
    page = slice_of(approvals, cursor, limit)
    return Page[ApprovalOut](items=[ApprovalOut.of(approval, caller(request)) for approval in page.rows], next=page.next)


@router.get("/{approval_id}", response={200: ApprovalOut, REFUSALS: Failure}, summary="One approval")
def get_approval(request: HttpRequest, approval_id: UUID) -> ApprovalOut:
    approval = Approval.objects.visible_to(caller(request)).select_related("team").filter(pk=approval_id).first()
    if approval is None:
        raise Http404
    return ApprovalOut.of(approval, caller(request))


@router.post("/{approval_id}/decision", response={200: DecidedOut, REFUSALS: Failure}, summary="Decide an approval")
def decide(request: HttpRequest, approval_id: UUID, payload: DecisionIn) -> DecidedOut:
    """As the token's owner, who must be a person. 409: not the current digest and version, or decided already; the
    answer carries the approval as it is now, and who decided. The same post again gives the standing decision."""
    answer = payload.answer if "answer" in payload.model_fields_set else UNSET
    outcome = decisions.decide(
        approval_id, actor=Actor.from_request(request, "api"), verdict=payload.verdict, digest=payload.digest,
        version=payload.version, args=payload.args, answer=answer, message=payload.message,
    )  # fmt: skip
    return DecidedOut(approval=outcome.approval.id, status=State(outcome.approval.status), have=outcome.have, need=outcome.need)


@router.post("/{approval_id}/recall", response={200: ApprovalOut, REFUSALS: Failure}, summary="Take a held decision back")
def recall(request: HttpRequest, approval_id: UUID) -> ApprovalOut:
    """The question stands again, as the next version. 409 ``released``: it is not held any more."""
    approval = decisions.recall(approval_id, actor=Actor.from_request(request, "api"))
    return ApprovalOut.of(approval)


@router.post("", response={200: AskedOut, 201: AskedOut, REFUSALS: Failure}, summary="Ask people")
def ask_people(request: HttpRequest, payload: AskIn) -> Status[AskedOut]:
    """For programs whose agents this desk does not run: send what the agent wants to do, before it does it. The rules
    decide as for any action. 201: people are asked. 200: a rule allows it, or this ``request_key`` was asked before.
    403 ``denied``: a rule forbids it. The program keeps its agent from acting; the desk cannot."""
    asked = ask(Question(**payload.model_dump()), actor=Actor.from_request(request, "api"))
    told = ApprovalOut.of(asked.approval, caller(request)) if asked.approval else None
    return Status(201 if asked.new else 200, AskedOut(verdict=asked.verdict, approval=told, evaluation=asked.evaluation_id))


def conflict_facts(error: ApprovalError) -> dict[str, Any]:
    """What an error tells beside its message: the approval as it is now, who decided, what is wrong with which field."""
    match error:
        case InvalidAnswer():
            return {"errors": error.errors}
        case AlreadyDecided():
            return {"approval": _current(error.approval), "decision": DecisionOut.of(error.decision).model_dump()}
        case NotCurrent():
            return {"approval": _current(error.approval)}
    return {}


def _current(approval: Approval) -> dict[str, Any]:
    """The approval as the database has it now, whatever the verb had read."""
    return ApprovalOut.of(Approval.objects.select_related("team").get(pk=approval.pk)).model_dump()
