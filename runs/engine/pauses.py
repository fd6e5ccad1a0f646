"""A pause: what a waiting graph asks, as approvals; and what people decided, as the input that lets it go on.

Reads a snapshot of the graph and the database, writes approvals, never touches the graph.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from langgraph.types import Command, Interrupt, StateSnapshot

from agentdesk.audit.record import Actor
from agentdesk.digests import decode, digest
from approvals import evidence, requests
from approvals.answers import Errors, problems
from approvals.errors import Consumed
from approvals.handover import mark_delivered
from approvals.models import Approval, Decision, Tool
from approvals.policy.evaluate import Facts
from approvals.policy.record import evaluate_action
from approvals.states import OPEN, Kind, Status, Verdict
from runs.engine import places
from runs.engine.breakpoints import Breakpoint
from runs.engine.claims import Claim
from runs.interrupts.adapters import named, read
from runs.interrupts.base import REFUSING, Adapter, Payload, Question, plain
from runs.interrupts.schemas import Pinned
from runs.lifecycle import SOURCE
from runs.limits import PENDING_APPROVALS, limits_of
from runs.models import PartialAnswers, PinnedAnswer, ToolCall
from runs.states import CallStatus
from runs.tools.counting import make_room


@dataclass(frozen=True, slots=True)
class Waiting:
    """People have to decide these first."""

    approvals: list[UUID]


@dataclass(frozen=True, slots=True)
class Ready:
    """The graph goes on with ``input``; these decisions are thereby handed over."""

    input: Any
    decisions: list[Decision] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Unanswerable:
    """Nobody decided in time, and the payload knows no way to say so."""

    why: str


type Next = Waiting | Ready | Unanswerable


@transaction.atomic
def look(
    claim: Claim, snapshot: StateSnapshot, breakpoints: Sequence[Breakpoint] = (), paths: Mapping[str, str] | None = None
) -> Next:
    """What the run needs to go on from ``snapshot``. Makes the approvals that are missing; never one twice. ``paths``: where in
    subgraphs interrupts were raised, by their ids (see ``runs.engine.places``). Raises LimitReached, and has made none then,
    where its agent has enough of them waiting."""
    asked = [_Asked(claim, snapshot, payload) for payload in _payloads(claim, snapshot, paths or {})]
    held = [_at_breakpoint(claim, each) for each in breakpoints]
    own = [approval for each in asked for approval in each.approvals] + held
    _close_unasked(claim, own)
    calls = _of_calls(claim)
    standing = _standing(own + calls)
    if any(a.pk in standing and standing[a.pk].verdict in REFUSING for a in held):
        return Unanswerable("breakpoint refused")
    answers: dict[str, Any] = {}
    taken = [standing[a.pk] for a in held + calls if a.pk in standing]
    open_ = [a.pk for a in held + calls if a.pk not in standing]
    for each in asked:
        if each.is_decided(standing):
            try:
                answers[each.payload.id] = each.answer(standing)
                taken += each.decisions(standing)
                continue
            except Unfit as unfit:
                if each.is_refused(standing) or not each.approvals:  # nobody decided this, so nobody is to be asked again
                    return Unanswerable("expired")
                open_ += each.ask_again(unfit)
        open_ += each.missing(standing)
    # Only with what the graph was not given yet: a decision that it had and did not use brings it no further.
    news = any(decision.delivered_at is None for decision in taken)
    if open_ and not (news and not held and _goes_on_at_once(claim)):
        return Waiting(open_)
    return Ready(Command(resume=answers) if answers else None, taken)


class Unfit(Exception):
    """The answer would not fit what the graph expects. ``problems``: what is wrong, by dotted path."""

    def __init__(self, problems: Errors) -> None:
        super().__init__("; ".join(f"{path or 'the answer'}: {' '.join(texts)}" for path, texts in problems.items()))
        self.problems = problems


class _Asked:
    """One interrupt of the agent's own with its approvals. One that the gate's approval already covers has none.

    The approvals keep the adapter that asked, and the schema it asked with: what an admin pins meanwhile changes neither.
    """

    def __init__(self, claim: Claim, snapshot: StateSnapshot, payload: Payload) -> None:
        checkpoint = str(snapshot.config["configurable"].get("checkpoint_id", ""))
        self.key = f"interrupt:{claim.run.pk}:{checkpoint}:{payload.id}"
        self.payload, self.adapter, questions = self._read(payload)
        self.covered = [_covering(claim, question) for question in questions]
        self.approvals = [
            _approval(claim, f"{self.key}:{n}", self.payload, self.adapter.name, question)
            for n, question in enumerate(questions)
            if self.covered[n] is None
        ]

    def _read(self, payload: Payload) -> tuple[Payload, Adapter, list[Question]]:
        asked = Approval.objects.filter(request_key__startswith=f"{self.key}:").exclude(
            status__in=(Status.SUPERSEDED, Status.WITHDRAWN)
        )
        known = asked.only("adapter", "answer_schema").first()
        if known is not None:
            as_asked = replace(payload, pinned=known.answer_schema) if known.adapter == Pinned.name else payload
            adapter = named(known.adapter)
            if adapter.fits(as_asked):
                return as_asked, adapter, adapter.questions(as_asked)
        return (payload, *read(payload))

    def is_decided(self, standing: Mapping[UUID, Decision]) -> bool:
        return not self.missing(standing)

    def missing(self, standing: Mapping[UUID, Decision]) -> list[UUID]:
        return [approval.pk for approval in self.approvals if approval.pk not in standing]

    def decisions(self, standing: Mapping[UUID, Decision]) -> list[Decision]:
        return [standing[approval.pk] for approval in self.approvals if approval.pk in standing]

    def is_refused(self, standing: Mapping[UUID, Decision]) -> bool:
        """Whether the desk itself refused, because time ran out or the question was taken back."""
        return any(decision.verdict in (Verdict.EXPIRE, Verdict.WITHDRAW) for decision in self.decisions(standing))

    def answer(self, standing: Mapping[UUID, Decision]) -> Any:
        """What the graph gets. Raises Unfit: it never gets an answer that it does not expect."""
        if not self.adapter.is_refusable(self.payload) and any(d.verdict in REFUSING for d in self.decisions(standing)):
            raise Unfit({"": ["There is no way to refuse this."]})
        rest = iter(self.decisions(standing))
        try:
            answer = self.adapter.answer(self._as_shown(), [covering or next(rest) for covering in self.covered])
        except (TypeError, ValueError, LookupError, AttributeError, StopIteration) as error:
            raise Unfit({"": [f"{type(error).__name__}: {error}"]}) from error
        wrong = problems(self.adapter.answer_schema(self.payload), plain(answer))
        if wrong:
            raise Unfit(wrong)
        return answer

    def _as_shown(self) -> Payload:
        """The payload as people have it before them, names in the order of the database: what was shown is what is sent."""
        newest = max(self.approvals, key=lambda approval: approval.requested_at, default=None)
        stored = decode(newest.payload) if newest is not None else None
        return replace(self.payload, value=stored) if digest(stored) == digest(self.payload.value) else self.payload

    def ask_again(self, unfit: Unfit) -> list[UUID]:
        """Open the questions at fault again, as version n+1, with the reason: the thread never sees such an answer."""
        places = {next((int(part) for part in path.split(".") if part.isdigit()), -1) for path in unfit.problems}
        is_told = len(self.approvals) == len(self.covered) and places <= set(range(len(self.approvals)))
        again = [self.approvals[n] for n in sorted(places)] if is_told else self.approvals
        for approval in again:
            requests.reopen(approval.pk, f"The answer did not fit what the agent expects. {unfit}", Actor.desk())
        return [approval.pk for approval in again]


def _close_unasked(claim: Claim, asked: Sequence[Approval]) -> None:
    """What the run asked before and asks no more: its thread went on, or the node asks something else now. Open questions are
    superseded; a decision that nobody waits for is marked, never sent."""
    unheard = Q(decisions__isnull=False, decisions__delivered_at__isnull=True, decisions__voided_at__isnull=True)
    mine = Approval.objects.filter(source=SOURCE, source_ref=str(claim.run.pk), kind=Kind.INTERRUPT)
    gone = mine.exclude(pk__in=[approval.pk for approval in asked]).filter(Q(status__in=OPEN) | unheard).distinct()
    decided = []
    for approval in gone:
        if approval.status in OPEN:
            requests.supersede(approval.pk, Actor.desk(), "The agent does not ask this any more.")
        else:
            decided.append(approval.pk)
    if decided:
        left = Decision.objects.filter(approval__in=decided, delivered_at__isnull=True, voided_at__isnull=True)
        mark_delivered(list(left.values_list("pk", flat=True)))


def _goes_on_at_once(claim: Claim) -> bool:
    """Whether the run takes each decision as it comes, or all of one pause together."""
    return claim.run.agent.partial_answers == PartialAnswers.ONCE


def refuse(snapshot: StateSnapshot, decisions: Sequence[Decision], why: str) -> bool:
    """The graph itself refused an answer by its ``response_schema`` and stored none of it: open again what still waits. False
    when there is nothing to ask again."""
    waiting = {interrupt.id for interrupt in snapshot.interrupts}
    again = [d.approval for d in decisions if d.approval.kind == Kind.INTERRUPT and _interrupt_of(d.approval) in waiting]
    for approval in again:
        requests.reopen(approval.pk, f"The agent refused the answer. {why}", Actor.desk())
    return bool(again)


def poisoned(claim: Claim, snapshot: StateSnapshot) -> dict[str, Any] | None:
    """What there is to know when the graph raised in a node that people had answered: LangGraph keeps the answer, so every
    further try raises again. None where the fault cannot be the answer's.

    ``checkpoint``: where the answers are stored; ``nodes``: those that raised; ``approvals``: whose decisions are stored there.
    """
    nodes = sorted({task.name for task in snapshot.tasks if task.error is not None})
    checkpoint = str(snapshot.config["configurable"].get("checkpoint_id") or "")
    key = f"interrupt:{claim.run.pk}:{checkpoint}:"
    answered = list(Approval.objects.filter(request_key__startswith=key, status=Status.DECIDED).order_by("pk"))
    places = {f"interrupt:{node}" for node in nodes}
    elsewhere = all(each.action.startswith("interrupt:") and each.action not in places for each in answered)
    if not nodes or not answered or elsewhere:
        return None
    return {"checkpoint": checkpoint, "nodes": nodes, "approvals": [str(approval.pk) for approval in answered]}


def _interrupt_of(approval: Approval) -> str:
    """The id of the interrupt that asked: ``interrupt:<run>:<checkpoint>:<interrupt>:<number>``."""
    return approval.request_key.split(":")[3]


def asks_in_a_subgraph(snapshot: StateSnapshot) -> bool:
    """Whether the agent itself asks something inside a subgraph."""
    return any(is_own(interrupt) for task in snapshot.tasks if task.state is not None for interrupt in task.interrupts)


def is_own(interrupt: Interrupt) -> bool:
    """Whether the agent raised it, and not the gate."""
    return not (isinstance(interrupt.value, dict) and "desk_call" in interrupt.value)


def _payloads(claim: Claim, snapshot: StateSnapshot, paths: Mapping[str, str]) -> list[Payload]:
    """The agent's own interrupts that still wait; those of the gate are in the ledger."""
    nodes = {interrupt.id: task.name for task in snapshot.tasks for interrupt in task.interrupts}
    asked = [Payload(i.id, plain(i.value), nodes.get(i.id, ""), _schema(i)) for i in snapshot.interrupts if is_own(i)]
    pins = dict(PinnedAnswer.objects.filter(agent=claim.run.agent_id).values_list("node", "schema")) if asked else {}
    names = {payload.id: places.lookup(paths.get(payload.id, payload.node)) for payload in asked}
    return [replace(p, pinned=next((pins[name] for name in names[p.id] if name in pins), None)) for p in asked]


def _schema(interrupt: Interrupt) -> dict[str, Any] | None:
    schema = getattr(interrupt, "response_schema", None)
    if isinstance(schema, dict):
        found: dict[str, Any] = plain(schema)
        return found
    describe = getattr(schema, "model_json_schema", None)
    return describe() if callable(describe) else None


def _covering(claim: Claim, question: Question) -> Decision | None:
    """The decision people made at the gate on the call that the agent's own middleware, behind it, asks about once more."""
    if not question.call_id:
        return None
    call = ToolCall.objects.filter(
        run=claim.run, call_id=question.call_id, tool=question.action, status=CallStatus.PAUSED, decision__isnull=False
    ).first()  # fmt: skip
    if call is None or call.decision is None or digest(call.executed_args) != digest(question.args):
        return None
    return Decision(verdict=Verdict.APPROVE, args=call.executed_args, decided_by_label=call.decision.decided_by_label)


def _approval(claim: Claim, key: str, payload: Payload, adapter: str, question: Question) -> Approval:
    """The approval of one question, asked now if it was not before. A node that runs again may ask something else at the same
    place: then the approval so far does not count, nor does a decision on it."""
    run = claim.run
    known = list(Approval.objects.filter(Q(request_key=key) | Q(request_key__startswith=f"{key}:")))
    for approval in known:
        if approval.status in (Status.SUPERSEDED, Status.WITHDRAWN):  # withdrawn when the run ended, which goes on again
            continue
        if digest([approval.action, decode(approval.asked_args)]) == digest([question.action, question.args]):
            return approval
        with suppress(Consumed):  # it was carried out: then it is another question that is asked now
            requests.supersede(approval.pk, Actor.desk(), "The agent asks something else at this place now.")
    tool = Tool.objects.filter(agent=run.agent.slug, name=question.action).first()
    evaluation = evaluate_action(
        Facts(
            agent=run.agent.slug, team_id=run.team_id, action=question.action, args=question.args,
            effect=tool.effect if tool else "", egress=tool.egress if tool else False,
            risk=question.risk or (tool.risk if tool else "medium"), tool_known=tool is not None,
            schema_changed=tool is not None and tool.is_changed, run_input=run.input, requester=run.requester_id,
        ),
        source=SOURCE, source_ref=str(run.pk),
        in_turn=False,
        counted=not run.dry_run and not adapter.startswith("langchain"),  # these calls come to the gate, and count there
    )  # fmt: skip
    told, alternatives = evidence.read(question.told)
    ask = requests.Ask(
        source=SOURCE, source_ref=str(run.pk), request_key=f"{key}:{len(known)}" if known else key,
        kind=Kind.INTERRUPT, agent=run.agent.slug, agent_version=run.agent_version, team_id=run.team_id,
        action=question.action, args=question.args, args_schema=question.args_schema or (tool.schema if tool else None),
        schema_version=tool.schema_version if tool else "", description=question.description, subject=subject_of(run.input),
        evidence=told, alternatives=alternatives,
        payload=payload.value, adapter=adapter, allowed=list(question.allowed), answer_schema=question.answer_schema,
        response_schema=payload.response_schema,
        risk=question.risk or (tool.risk if tool else "medium"), effect=tool.effect if tool else "",
        egress=tool.egress if tool else False, requirements=_required(evaluation.requirements, question), evaluation=evaluation,
        policy_version=evaluation.policy_version, requester_id=run.requester_id, owner_id=run.agent.owner_id,
    )  # fmt: skip
    return _ask(claim, ask)


def _ask(claim: Claim, ask: requests.Ask) -> Approval:
    """The approval of this question, made where it is new. Raises LimitReached where its agent has enough of them waiting."""
    if not Approval.objects.filter(request_key=ask.request_key).exists():
        make_room(claim.run.agent.slug, limits_of(claim.run)[PENDING_APPROVALS])
    return requests.request_approval(ask, actor=Actor.desk(claim.run.agent.slug))[0]


def _required(requirements: Mapping[str, Any], question: Question) -> Mapping[str, Any]:
    """What the rules require; a payload may name an earlier end."""
    if question.expires_after is None:
        return requirements
    usual = requirements.get("expires_after")
    return {**requirements, "expires_after": min(question.expires_after, usual) if usual else question.expires_after}


def _at_breakpoint(claim: Claim, held: Breakpoint) -> Approval:
    """A static breakpoint is a pause like any other: nobody passes it without a decision."""
    run = claim.run
    ask = requests.Ask(
        source=SOURCE, source_ref=str(run.pk), request_key=f"breakpoint:{run.pk}:{held.key}", kind=Kind.INTERRUPT,
        agent=run.agent.slug, agent_version=run.agent_version, team_id=run.team_id, action=held.action,
        args={"node": held.node}, allowed=[Verdict.APPROVE, Verdict.REJECT], adapter="breakpoint",
        subject=subject_of(run.input), requester_id=run.requester_id, owner_id=run.agent.owner_id,
    )  # fmt: skip
    return _ask(claim, ask)


def _of_calls(claim: Claim) -> list[Approval]:
    """Approvals of the calls that the gate holds back."""
    calls = ToolCall.objects.filter(run=claim.run, status__in=(CallStatus.WAITING, CallStatus.IN_DOUBT)).select_related(
        "approval", "doubt"
    )
    held = (call.doubt if call.status == CallStatus.IN_DOUBT else call.approval for call in calls)
    return [approval for approval in held if approval is not None]


def _standing(approvals: Sequence[Approval]) -> dict[UUID, Decision]:
    """The decisions that count and are released, by approval."""
    released = Q(release_at__isnull=True) | Q(release_at__lte=timezone.now())
    rows = Decision.objects.filter(released, approval__in=[a.pk for a in approvals], voided_at__isnull=True)
    rows = rows.select_related("approval")
    return {decision.approval_id: decision for decision in rows}


def subject_of(run_input: Any) -> str:
    """What the run is about, in the words of whoever asked for it: the first message of its input, or all of it."""
    if isinstance(run_input, dict):
        messages = run_input.get("messages")
        if isinstance(messages, list) and messages:
            first = messages[0]
            content = first.get("content") if isinstance(first, dict) else first[-1] if isinstance(first, list) else first
            if isinstance(content, str):
                return content[:20_000]
        if len(run_input) == 1 and isinstance(only := next(iter(run_input.values())), str):
            return only[:20_000]
    return run_input[:20_000] if isinstance(run_input, str) else ""
