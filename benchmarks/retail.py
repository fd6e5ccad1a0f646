"""The 114 retail tasks of τ² through the real gate, under three policies: does the desk ask what the policy says, once, does
each call run once, after the decision, and is the shop in the end as if nobody had stood between? And what do people decide?

An agent plays each task's own solution (benchmarks/agents/retail.py); a reviewer approves whatever is asked, over the API.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connections

from agentdesk.audit.record import Actor
from agentdesk.digests import decode
from approvals.models import Approval, Tool
from approvals.policy.exchange import put_in_force
from benchmarks.agents.shop import Action, Shop, kinds, tasks, toolkit
from benchmarks.company import Company
from benchmarks.cycles import Client, Watcher
from benchmarks.figures import Figure, beside, exactly
from benchmarks.review_load import Call, Load, Played, by_task, summary
from benchmarks.stage import Stage
from runs.models import Run, ToolCall

AGENT = "retail"
TASKS = 114
CLIENTS = 4
NO_RULES = "rules: []"


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules as an admin would import them, and what they mean in words of Python: is this call asked?"""

    name: str
    rules: str
    asks: Callable[[Action, str], bool]


# No argument of these tools holds an amount, so what stands for the size of a change is how many items it is about.
POLICIES = (
    Policy(
        "ask for everything",
        "rules: [{name: 'retail: everything', agent: retail, verdict: ask}]",
        lambda action, effect: True,
    ),
    Policy(
        "ask on write",
        """
rules:
  - {name: 'retail: look', agent: retail, effects: [read], verdict: allow}
  - {name: 'retail: write', agent: retail, effects: [write, irreversible], verdict: ask}
""",
        lambda action, effect: effect != "read",
    ),
    Policy(
        "ask on irreversible, from two items on",
        """
rules:
  - {name: 'retail: look, and what can be put back', agent: retail, effects: [read, write], verdict: allow}
  - name: 'retail: one item'
    agent: retail
    action: '*_items'
    conditions: [{path: item_ids, op: length, value: '<= 1'}]
    verdict: allow
  - name: 'retail: several items'
    agent: retail
    action: '*_items'
    conditions: [{path: item_ids, op: length, value: '> 1'}]
    verdict: ask
  - {name: 'retail: cancel', agent: retail, action: cancel_pending_order, verdict: ask}
  - {name: 'retail: payment', agent: retail, action: modify_pending_order_payment, verdict: ask}
""",
        lambda action, effect: effect == "irreversible" and len(action.arguments.get("item_ids", ("", ""))) > 1,
    ),
)


def measure(stage: Stage, company: Company, watcher: Watcher) -> Iterator[Figure]:
    """Raises NotInstalled."""
    all_tasks, effects = tasks(), _effects()
    straight = {task: _straight(actions) for task, actions in all_tasks.items()}
    played: dict[str, Sequence[Played]] = {}
    try:
        for policy in POLICIES:
            put_in_force(policy.rules, Actor.desk(), policy.name, replace=True)
            played[policy.name] = _play_all(stage, company, watcher, policy, effects, straight)
            yield from _figures(policy, played[policy.name])
    finally:
        put_in_force(NO_RULES, Actor.desk(), "The tasks have been played.", replace=True)
    print(by_task(played), end="\n\n")
    print(summary([Load.of(name, tasks) for name, tasks in played.items()]), end="\n\n", flush=True)
    started = toolkit().get_db_hash()
    changed = sum(end.database != started for end in straight.values())
    yield beside("τ² retail: tasks that change the database", changed, "")


@dataclass(frozen=True, slots=True)
class Straight:
    """How a task ends when nobody stands between: the numbers of the calls that fail, and τ²'s own hash of the database."""

    failing: frozenset[int]
    database: str


def _straight(actions: Sequence[Action]) -> Straight:
    shop, failing = toolkit(), set()
    for number, action in enumerate(actions):
        try:
            shop.use_tool(action.tool, **action.arguments)
        except ValueError:  # what τ²'s tools refuse with; some solutions try what cannot be done
            failing.add(number)
    return Straight(frozenset(failing), shop.get_db_hash())


def _effects() -> dict[str, str]:
    """The labels of the tools as the desk has them. Raises LookupError where they are not those of the agent's code."""
    effects = dict(Tool.objects.filter(agent=AGENT).values_list("name", "effect"))
    if effects.keys() != kinds().keys():
        raise LookupError(f"the desk knows the tools {sorted(effects)} of the agent {AGENT}")
    return effects


def _play_all(
    stage: Stage, company: Company, watcher: Watcher, policy: Policy, effects: dict[str, str], straight: dict[str, Straight]
) -> list[Played]:
    def play(task: str) -> Played:
        try:
            run, before = _run(Client(stage.desk.url, company), watcher, task)
            return _told(task, run, before, policy, effects, straight[task])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(play, straight))


def _run(client: Client, watcher: Watcher, task: str) -> tuple[Run, dict[UUID, tuple[int, ...]]]:
    """Play one task and approve what it asks. Returns its run, and for each approval what had started when it was asked."""
    run = Run.objects.get(pk=client.start(task, AGENT))
    before: dict[UUID, tuple[int, ...]] = {}
    while (seen := watcher.pause_of(run.pk)).approval is not None:
        before[seen.approval] = _starts(run)
        client.approve(seen)
    return run, before


def _starts(run: Run) -> tuple[int, ...]:
    """The calls whose tools have started, by what the tools noted. -1: not known to the gate, or with other arguments."""
    rows = {str(row.pk): row for row in ToolCall.objects.filter(run=run)}
    actions = tasks()[_task_of(run)]
    found = []
    for execution in Shop(run.thread_id).executions():
        row = rows.get(execution.key)
        number = _number(row) if row else -1
        same = number >= 0 and (execution.tool, execution.arguments) == (actions[number].tool, actions[number].arguments)
        found.append(number if same else -1)
    return tuple(found)


def _told(
    task: str, run: Run, before: dict[UUID, tuple[int, ...]], policy: Policy, effects: dict[str, str], straight: Straight
) -> Played:
    """What the desk's tables and the shop say of the run. Every approval of it counts, also one that nobody has seen."""
    rows = list(ToolCall.objects.filter(run=run))
    approvals = list(Approval.objects.filter(source="runs", source_ref=str(run.pk)).values_list("pk", flat=True))
    number_of = {row.approval_id: _number(row) for row in rows if row.approval_id}
    asked = Counter(number_of.get(approval, -1) for approval in approvals)
    starts = _starts(run)
    executed = Counter(starts)
    failed = {_number(row) for row in rows if row.status == "failed"}
    seen = {number_of.get(approval, -1): numbers for approval, numbers in before.items()}
    calls = tuple(
        Call(
            writes=effects[action.tool] != "read", wanted=policy.asks(action, effects[action.tool]),
            fails=number in straight.failing, asked=asked[number], executed=executed[number], failed=number in failed,
            before=seen.get(number),
        )
        for number, action in enumerate(tasks()[task])
    )  # fmt: skip
    if asked[-1]:
        raise LookupError(f"run {run.pk} of task {task} has {asked[-1]} approvals that belong to no call of it")
    return Played(task, calls, starts, Shop(run.thread_id).toolkit().get_db_hash() == straight.database)


def _number(row: ToolCall) -> int:
    return int(row.call_id.removeprefix("action-"))


def _task_of(run: Run) -> str:
    given: Any = decode(run.input)
    return str(given["messages"][0]["content"])


def _figures(policy: Policy, played: Sequence[Played]) -> Iterator[Figure]:
    for task in played:
        for fault in task.faults():
            print(f"{policy.name}, task {task.task}: {fault}", flush=True)
    calls = [call for task in played for call in task.calls]
    wanted = [call for call in calls if call.wanted]
    yield exactly(f"τ² retail, {policy.name}: tasks played", len(played), TASKS)
    yield exactly("calls that the policy asks, asked once", sum(call.asked == 1 for call in wanted), len(wanted))
    yield exactly("other calls asked", sum(call.asked for call in calls if not call.wanted), 0)
    once = sum(call.executed == 1 and call.before is not None for call in wanted)
    yield exactly("asked calls executed once, after their approval", once, len(wanted))
    yield exactly("tasks whose database ends as after direct calls", sum(task.equal for task in played), TASKS)
    yield exactly("tasks with any fault", sum(bool(task.faults()) for task in played), 0)
