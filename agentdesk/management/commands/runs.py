"""``manage.py runs``: start, follow and steer runs from a shell, beside a desk that runs."""

import time
from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from agentdesk.audit.erasure import erase_contents
from agentdesk.management.verbs import Refused, VerbCommand, actor, add_as, add_limit, json_of, person
from agentdesk.people.models import User
from runs import lifecycle, retention
from runs.api import RunDetail, RunOut, approval_ids, checkpoints_of, detail
from runs.models import Run
from runs.states import ENDED, RunStatus

WAIT_SECONDS = 300.0
POLL_SECONDS = 0.2
COLUMNS = ("id", "agent", "status", "title", "requested_by", "created_at")


class Command(VerbCommand):
    help = "Start, list, show, cancel, continue and fork runs."

    def add_verbs(self) -> None:
        start = self.verb("start", self.start, "Start a run.")
        start.add_argument("agent", metavar="AGENT", help="Slug of the agent.")
        start.add_argument("--input", required=True, metavar="JSON|@FILE", help="What the graph gets; @- reads standard input.")
        start.add_argument("--config", default="{}", metavar="JSON|@FILE", help="configurable, tags, metadata for the graph.")
        start.add_argument("--context", default="{}", metavar="JSON|@FILE", help="Values for the graph's context schema.")
        start.add_argument("--limits", default="{}", metavar="JSON", help='Below those of the agent: {"model_calls": 5}.')
        start.add_argument("--scope", default="{}", metavar="JSON", help='What it is about: {"customer": 17}.')
        start.add_argument("--tools", metavar="NAME,NAME", help="The tools that it may use; without it, all of its agent.")
        start.add_argument("--dry-run", action="store_true", help="No tool runs: each says what it would do.")
        start.add_argument("--wait", action="store_true", help="Return when the run waits for people or has ended.")
        start.add_argument("--timeout", type=float, default=WAIT_SECONDS, metavar="SECONDS", help="Wait no longer than this.")
        add_as(start)
        listed = self.verb("list", self.list, "List runs, newest first.")
        listed.add_argument("--status", choices=RunStatus.values)
        listed.add_argument("--agent", metavar="AGENT")
        add_limit(listed)
        add_as(listed)
        prune = self.verb("prune", self.prune, "Take away checkpoints that are old enough (CHECKPOINTS_KEEP_DAYS).")
        prune.add_argument("--dry-run", action="store_true", help="Only list the runs whose checkpoints would go.")
        add_limit(prune)
        restored = self.verb("restored", self.restored, "Once after a restore, before workers start: run nothing twice.")
        add_as(restored)
        erase = self.verb("erase", self.erase, "Erase an ended run's content, also in the record; its decisions stay.")
        erase.add_argument("id", metavar="ID")
        erase.add_argument("--reason", required=True, metavar="TEXT")
        add_as(erase)
        for name, run, help in (
            ("show", self.show_run, "Show a run with its tool calls."),
            ("checkpoints", self.checkpoints, "List where a run can be forked, newest first."),
            ("cancel", self.cancel, "Cancel a run."),
            ("continue", self.go_on, "Continue a run that failed or stopped."),
            ("fork", self.fork, "Start a new run from a checkpoint of another."),
            ("input", self.give_input, "Give new input to a run that waits or has succeeded, on the same thread."),
        ):
            parser = self.verb(name, run, help)
            parser.add_argument("id", metavar="ID")
            add_as(parser)
            if name == "fork":
                parser.add_argument("--checkpoint", required=True, metavar="C")
                parser.add_argument("--effects", action="store_true", help="Tools take effect; without it, a dry run.")
                parser.add_argument("--input", metavar="JSON|@FILE", help="New input for the graph at that checkpoint.")
            if name == "continue":
                parser.add_argument("--more", default="{}", metavar="JSON", help='More of its limits: {"model_calls": 20}.')
            if name == "input":
                parser.add_argument("--input", required=True, metavar="JSON|@FILE")

    def start(self, *, agent: str, input: str, dry_run: bool, wait: bool, timeout: float, **options: Any) -> None:
        value, config, context = json_of(input, "--input"), *(json_of(options[n], f"--{n}") for n in ("config", "context"))
        who = actor(options["username"])
        lower = _numbers(options["limits"], "--limits")
        scope, named = json_of(options["scope"], "--scope"), options["tools"]
        tools = None if named is None else [name.strip() for name in named.split(",") if name.strip()]
        run = lifecycle.start(
            agent, value, actor=who, dry_run=dry_run, config=config, context=context, lower=lower, scope=scope, tools=tools
        )
        if wait:
            run = self._waited(run, timeout)
        self._show(run, options)
        if run.status in ENDED - {RunStatus.SUCCEEDED}:
            raise Refused(f"The run {run.status}{f': {run.stop_reason}' if run.stop_reason else ''}.")

    def list(self, *, status: str | None, agent: str | None, limit: int, **options: Any) -> None:
        runs = _visible(options["username"]).defer("traceback").order_by("-pk")
        if status:
            runs = runs.filter(status=status)
        if agent:
            runs = runs.filter(agent__slug=agent)
        rows = list(runs[:limit])
        approvals = approval_ids(rows)
        facts = [RunOut.of(run, approvals[run.id]).model_dump() for run in rows]
        self.show_list(facts, COLUMNS, as_json=options["json"])

    def show_run(self, *, id: str, **options: Any) -> None:
        self._show(_run(id, options["username"]), options)

    def checkpoints(self, *, id: str, **options: Any) -> None:
        rows = [checkpoint.model_dump() for checkpoint in checkpoints_of(_run(id, options["username"]))]
        self.show_list(rows, ("id", "step", "source", "after", "next", "at"), as_json=options["json"])

    def cancel(self, *, id: str, **options: Any) -> None:
        lifecycle.cancel(_run(id, options["username"]).pk, actor=actor(options["username"]))
        self._show(_run(id, options["username"]), options)

    def go_on(self, *, id: str, more: str, **options: Any) -> None:
        granted = _numbers(more, "--more")
        lifecycle.continue_(_run(id, options["username"]).pk, actor=actor(options["username"]), more=granted)
        self._show(_run(id, options["username"]), options)

    def fork(self, *, id: str, checkpoint: str, effects: bool, input: str | None, **options: Any) -> None:
        parent, value = _run(id, options["username"]), json_of(input, "--input")
        who = actor(options["username"])
        self._show(lifecycle.fork(parent.pk, checkpoint, actor=who, dry_run=not effects, run_input=value), options)

    def prune(self, *, dry_run: bool, limit: int, **options: Any) -> None:
        found = retention.due(limit)
        if not dry_run:
            retention.prune(found)
        rows = [{"id": run.pk, "status": run.status, "finished_at": run.finished_at} for run in found]
        self.show_list(rows, ("id", "status", "finished_at"), as_json=options["json"])

    def restored(self, **options: Any) -> None:
        from runs.tools.restored import park  # it loads LangChain

        self.show(asdict(park(actor=actor(options["username"]))), as_json=options["json"])

    def erase(self, *, id: str, reason: str, **options: Any) -> None:
        run = retention.erase(_run(id, options["username"]).pk, actor=actor(options["username"]), reason=reason)
        facts = {"id": run.pk, "erased_at": run.erased_at, "contents_of_the_record": erase_contents(run.pk)}
        forks = list(Run.objects.filter(parent=run).values_list("pk", flat=True))
        self.show({**facts, "forks_that_keep_theirs": [str(fork) for fork in forks]}, as_json=options["json"])

    def give_input(self, *, id: str, input: str, **options: Any) -> None:
        value = json_of(input, "--input")
        lifecycle.give_input(_run(id, options["username"]).pk, value, actor=actor(options["username"]))
        self._show(_run(id, options["username"]), options)

    def _waited(self, run: Run, timeout: float) -> Run:
        """The run once it waits for people or has ended. Raises Refused after ``timeout`` seconds: it goes on without us."""
        until = time.monotonic() + timeout
        while run.status not in ENDED | {RunStatus.WAITING}:
            if time.monotonic() > until:
                raise Refused(f"Run {run.pk} is still {run.status} after {timeout:g} s. It goes on.")
            time.sleep(POLL_SECONDS)
            run.refresh_from_db()
        return run

    def _show(self, run: Run, options: dict[str, Any]) -> None:
        whole: RunDetail = detail(run, _reader(options["username"]))
        self.show(whole.model_dump(), as_json=options["json"])


def _numbers(text: str, option: str) -> dict[str, Any]:
    """Limits and numbers as an option has them. Raises Refused."""
    value = json_of(text, option)
    if not isinstance(value, dict) or not all(type(count) in (int, float, str) for count in value.values()):
        raise Refused(f'{option} takes limits and numbers, such as {{"model_calls": 20}}.')
    return value


def _reader(username: str | None) -> User | None:
    return None if username is None else person(username)


def _visible(username: str | None) -> "QuerySet[Run]":
    """What the user of ``--as`` may see; all runs for whoever has a shell here."""
    reader = _reader(username)
    runs = Run.objects.all() if reader is None else Run.objects.visible_to(reader)
    return runs.select_related("agent", "team")


def _run(text: str, username: str | None) -> Run:
    try:
        run = _visible(username).filter(pk=UUID(text)).first()
    except ValueError:
        run = None
    if run is None:
        raise Refused(f"There is no run {text!r}.")
    return run
