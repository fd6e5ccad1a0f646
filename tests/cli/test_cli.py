"""The commands: what they do, say and refuse."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import close_old_connections, connection

from agentdesk.audit.models import AuditEntry
from agentdesk.management.verbs import Refused
from agentdesk.people.models import Membership, Role, Token, User
from agentdesk.people.tokens import authenticate
from approvals.models import Decision, Tool
from runs.engine import registry
from runs.lifecycle import SOURCE
from runs.models import Run
from tests.cast import Cast, make_agent, make_approval, make_cast, make_checkpoint

CHECKPOINT = {"id": "c1", "step": 1, "source": "loop", "at": "2026-11-22T10:00:00Z", "after": [], "next": []}


def run(*words: object) -> str:
    out = StringIO()
    call_command(*(str(word) for word in words), stdout=out)
    return out.getvalue()


def run_json(*words: object) -> Any:
    return json.loads(run(*words, "--json"))


def test_it_starts_a_run_and_shows_it(cast: Cast):
    started = run_json("runs", "start", "support", "--input", '{"messages": "Subject: Lost"}', "--as", "operator")
    assert (started["status"], started["title"], started["requested_by"]) == ("queued", "Lost", "Operator")
    assert run_json("runs", "show", started["id"])["id"] == started["id"]
    entry = AuditEntry.objects.get(action="run.started")
    assert (entry.via, entry.actor_id) == ("cli", cast.operator.pk)


def test_it_reads_input_from_a_file(cast: Cast, tmp_path: Path):
    (tmp_path / "input.json").write_text('{"text": "Grüße"}')
    started = run_json("runs", "start", "support", "--input", f"@{tmp_path}/input.json", "--dry-run")
    assert (started["input"], started["dry_run"], started["requested_by"]) == ({"text": "Grüße"}, True, "command line")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["runs", "start", "support", "--input", "{"], "--input is not JSON"),
        (["runs", "start", "support", "--input", "[" * 100_000], "--input is not JSON"),
        (["runs", "start", "support", "--input", "@/nowhere"], "cannot read /nowhere"),
        (["runs", "start", "nobody", "--input", "{}"], "no agent “nobody”"),
        (["runs", "start", "off", "--input", "{}"], "switched off"),
        (["runs", "start", "support", "--input", "{}", "--as", "stranger"], "no agent “support”"),
        (["runs", "start", "support", "--input", "{}", "--as", "nobody"], "no active user 'nobody'"),
        (["runs", "start", "support", "--input", json.dumps("x" * 300_000)], "at most 262,144"),
        (["runs", "show", "nonsense"], "no run 'nonsense'"),
        (["approvals", "show", "018f0000-0000-7000-8000-000000000000"], "no approval"),
        (["tokens", "create", "nobody"], "no active user 'nobody'"),
        (["tokens", "create", "program"], "say --service"),
        (["tokens", "create", "operator", "--service"], "is a person"),
        (["tokens", "create", "bot", "--service", "--team", "nowhere"], "no team 'nowhere'"),
        (["tokens", "create", "operator", "--team", "support"], "--team goes with --service"),
        (["tokens", "revoke", "x"], "no token 'x'"),
    ],
)
def test_it_refuses_in_one_line(cast: Cast, words: list[str], says: str):
    make_agent("off", cast.support, enabled=False)
    with pytest.raises(Refused) as refused:
        run(*words)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not Run.objects.exists()
    assert not User.objects.filter(username="bot").exists()


@pytest.mark.parametrize("words", [["runs"], ["runs", "dance"], ["runs", "list", "--limit", "0"], ["approvals", "decide", "x"]])
def test_it_explains_commands_that_are_none(cast: Cast, words: list[str]):
    with pytest.raises(CommandError):
        run(*words)


def test_it_lists_runs_as_a_table_and_hides_other_teams(cast: Cast):
    run("runs", "start", "support", "--input", '"First line\\u001b[31m"')
    lines = run("runs", "list", "--as", "reviewer").splitlines()
    assert lines[0].split() == ["id", "agent", "status", "title", "requested_by", "created_at"]
    assert "queued" in lines[1]
    assert len(run("runs", "list", "--as", "stranger").splitlines()) == 1
    assert run_json("runs", "list", "--status", "failed") == []
    with pytest.raises(Refused):
        run("runs", "show", Run.objects.get().pk, "--as", "stranger")


def test_it_shows_no_terminal_codes_of_an_agent(cast: Cast):
    approval = make_approval(cast.support, reason="\x1b[2J\u202egnihton")
    shown = run("approvals", "show", approval.pk)
    assert "\\x1b[2J\\u202egnihton" in shown
    assert "\x1b" not in shown


def test_it_cancels_and_continues(cast: Cast):
    run("runs", "start", "support", "--input", "{}")
    started = Run.objects.get()
    assert run_json("runs", "cancel", started.pk, "--as", "operator")["cancel_requested_at"]
    with pytest.raises(Refused, match="failed or was stopped"):
        run("runs", "continue", started.pk)
    Run.objects.update(status="failed")
    assert run_json("runs", "continue", started.pk)["status"] == "queued"
    with pytest.raises(Refused, match="may not"):
        run("runs", "cancel", started.pk, "--as", "reviewer")


def test_it_forks_and_gives_input(cast: Cast):
    run("runs", "start", "support", "--input", "{}")
    started = Run.objects.get()
    make_checkpoint(started.thread_id, "c1")
    assert run_json("runs", "checkpoints", started.pk) == [CHECKPOINT]
    forked = run_json("runs", "fork", started.pk, "--checkpoint", "c1", "--as", "operator")
    assert (forked["parent"], forked["requested_by"], forked["dry_run"]) == (str(started.pk), "Operator", True)
    effects = run_json("runs", "fork", started.pk, "--checkpoint", "c1", "--effects", "--input", '{"text": "anew"}')
    assert (effects["dry_run"], Run.objects.get(pk=effects["id"]).next_input) == (False, {"text": "anew"})
    assert run_json("runs", "show", started.pk)["forks"] == [forked["id"], effects["id"]]
    Run.objects.filter(pk=started.pk).update(status="succeeded")
    assert run_json("runs", "input", started.pk, "--input", '{"text": "more"}')["status"] == "queued"
    with pytest.raises(Refused):
        run("runs", "fork", started.pk, "--checkpoint", "c2")
    with pytest.raises(Refused, match="waits for people or has succeeded"):
        run("runs", "input", started.pk, "--input", "{}")


def test_it_lowers_the_limits_of_a_run_and_grants_more_of_them(cast: Cast):
    body = ("runs", "start", "support", "--input", '{"text": "hi"}', "--limits")
    made = run_json(*body, '{"model_calls": 5, "cost": "0.50"}')
    assert made["limits"] == {"model_calls": 5, "cost": "0.50"}
    for wrong in ('{"model_calls": 1000000}', '{"kindness": 1}', '{"model_calls": true}', "[]"):
        with pytest.raises(Refused):
            run(*body, wrong)
    Run.objects.update(status="stopped", stop_reason="limit:cost")
    more = run_json("runs", "continue", made["id"], "--more", '{"cost": 0.25}')
    assert (more["status"], more["limits"]["granted"]) == ("queued", {"cost": "0.25"})


def test_it_decides_as_a_person(cast: Cast):
    approval = make_approval(cast.support)
    assert run_json("approvals", "decide", approval.pk, "--verdict", "approve", "--as", "reviewer")["status"] == "decided"
    decision = Decision.objects.get()
    assert (decision.decided_by, decision.via, decision.verdict) == (cast.reviewer, "cli", "approve")


def test_it_decides_with_changed_arguments_an_answer_or_a_reason(cast: Cast):
    changed, answered, rejected = (make_approval(cast.support) for _number in range(3))
    args = '{"order_id": "A-1", "amount": 5}'
    run("approvals", "decide", changed.pk, "--verdict", "modify", "--args", args, "--as", "reviewer")
    run("approvals", "decide", answered.pk, "--verdict", "respond", "--answer", "null", "--as", "reviewer")
    run("approvals", "decide", rejected.pk, "--verdict", "reject", "--message", "Too much.", "--as", "reviewer")
    assert changed.decisions.get().args == {"order_id": "A-1", "amount": 5}
    assert (answered.decisions.get().verdict, answered.decisions.get().answer) == ("respond", None)
    assert rejected.decisions.get().message == "Too much."


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["approve", "--as", "operator"], "Only reviewers of Support"),
        (["approve", "--as", "program"], "never decides"),
        (["approve", "--as", "stranger"], "no approval"),
        (["approve", "--as", "reviewer", "--digest", "sha256:0"], "changed since"),
        (["modify", "--as", "reviewer", "--args", '{"order_id": "A-1", "amount": -1}'], "amount: At least 0."),
        (["respond", "--as", "reviewer"], "An answer is needed."),
    ],
)
def test_it_says_why_it_does_not_decide(cast: Cast, words: list[str], says: str):
    approval = make_approval(cast.support)
    with pytest.raises(Refused) as refused:
        run("approvals", "decide", approval.pk, "--verdict", *words)
    assert says in str(refused.value)
    assert not Decision.objects.exists()


def test_the_second_to_decide_is_told_who_was_first(cast: Cast):
    approval = make_approval(cast.support)
    run("approvals", "decide", approval.pk, "--verdict", "approve", "--as", "reviewer")
    with pytest.raises(Refused, match="Approve by Reviewer at"):
        run("approvals", "decide", approval.pk, "--verdict", "reject", "--as", "second")


def test_it_lists_what_waits(cast: Cast):
    waiting, done = make_approval(cast.support, source_ref="r-1"), make_approval(cast.support, source_ref="r-1")
    run("approvals", "decide", done.pk, "--verdict", "approve", "--as", "reviewer")
    assert [item["id"] for item in run_json("approvals", "list")] == [str(waiting.pk)]
    assert len(run_json("approvals", "list", "--all", "--source-ref", "r-1")) == 2
    assert run_json("approvals", "list", "--as", "stranger") == []


def test_it_asks_again(cast: Cast):
    approval = make_approval(cast.support)
    run("approvals", "decide", approval.pk, "--verdict", "reject", "--as", "reviewer")
    again = run_json("approvals", "reask", approval.pk, "--because", "Wrong button.", "--as", "reviewer")
    assert (again["status"], again["version"], again["reopened_because"]) == ("pending", 2, "Wrong button.")
    assert approval.decisions.get().voided_at is not None


def test_it_makes_a_token_that_works_and_ends_it(cast: Cast):
    text = run("tokens", "create", "reviewer", "--name", "laptop").strip()
    found = authenticate(text)
    assert found is not None
    assert (found[0], found[1].name) == (cast.reviewer, "laptop")
    listed = run("tokens", "list", "--user", "reviewer")
    assert "laptop" in listed
    assert text not in listed
    run("tokens", "revoke", found[1].pk)
    assert authenticate(text) is None
    with pytest.raises(Refused, match="revoked before"):
        run("tokens", "revoke", found[1].pk)
    assert list(AuditEntry.objects.filter(object_type="token").values_list("action", "via").order_by("id")) == [
        ("token.created", "cli"), ("token.revoked", "cli"),
    ]  # fmt: skip


def test_it_makes_a_service_account_with_its_token(cast: Cast):
    made = run_json("tokens", "create", "bot", "--service", "--team", "support")
    bot = User.objects.get(username="bot")
    assert (bot.kind, bot.has_usable_password()) == ("service", False)
    assert Membership.objects.get(user=bot).role == Role.OPERATOR
    found = authenticate(made["token"])
    assert found is not None
    assert found[0] == bot
    run("tokens", "create", "bot", "--service", "--team", "support")
    assert Token.objects.filter(user=bot).count() == 2
    assert Membership.objects.filter(user=bot).count() == 1


def test_it_lists_agents(cast: Cast):
    make_agent("broken", cast.support, load_error="Traceback\nImportError: nothing")
    rows = {row["slug"]: row for row in run_json("agents", "list")}
    assert rows["broken"]["load_error"] == "ImportError: nothing"
    assert rows["support"]["team"] == "support"


@pytest.fixture
def graphs(settings: Any) -> Generator[None]:
    """The graphs of the tests instead of the example's, loaded anew."""
    settings.AGENTS = [str(settings.BASE_DIR / "tests" / "agents" / "langgraph.json")]
    registry.forget()
    yield
    registry.forget()


def test_it_loads_agents_and_says_which_do_not_load(cast: Cast, graphs: None):
    rows = {row["slug"]: row for row in run_json("agents", "sync")}
    assert rows["teller"]["load_error"] == ""
    assert rows["broken"]["load_error"]
    assert Tool.objects.filter(agent="teller", name="pay", effect="irreversible").exists()
    with pytest.raises(Refused, match="Cannot be loaded: broken"):
        run("agents", "check")


def test_it_waits_until_people_are_asked(committed: None):
    cast = make_cast()

    def pause() -> None:
        while not (found := Run.objects.first()):
            time.sleep(0.05)
        make_approval(cast.support, source=SOURCE, source_ref=str(found.pk))
        Run.objects.update(status="waiting")
        connection.close()

    thread = threading.Thread(target=pause)
    thread.start()
    waited = run_json("runs", "start", "support", "--input", "{}", "--wait")
    thread.join()
    close_old_connections()
    assert (waited["status"], len(waited["approvals"])) == ("waiting", 1)


def test_it_stops_waiting_in_time(cast: Cast):
    with pytest.raises(Refused, match="still queued after"):
        run("runs", "start", "support", "--input", "{}", "--wait", "--timeout", "0.3")


def test_it_ends_with_one_line_and_code_1(committed: None):
    make_cast()
    words = ["runs", "start", "nobody", "--input", "{}"]
    done = subprocess.run(
        [sys.executable, "manage.py", *words], env=os.environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Refused: There is no agent “nobody”.\n"


def test_it_starts_a_run_about_something_with_some_tools(cast: Cast):
    started = run_json(
        "runs", "start", "support", "--input", "{}", "--scope", '{"customer": 17}', "--tools", "get_order, list_orders"
    )
    assert (started["scope"], started["tools"]) == ({"customer": 17}, ["get_order", "list_orders"])
