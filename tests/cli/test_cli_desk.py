"""A run from start to end beside a desk that runs: by shell, and by another program."""

import json
import time
import urllib.request
from typing import Any

import pytest

from tests.desk import Desk

pytestmark = pytest.mark.timeout(240)

SCRIPT = {"turns": [[{"name": "pay", "args": {"to": "Bob", "amount": "12.00"}}]], "end": "All done."}
INPUT = json.dumps({"messages": [{"role": "user", "content": json.dumps(SCRIPT)}]})
SECONDS = 30


def manage(desk: Desk, *words: str) -> Any:
    return json.loads(desk.manage(*words, "--json"))


def call(desk: Desk, token: str, path: str, body: Any = None) -> Any:
    request = urllib.request.Request(  # noqa: S310 - a desk on this machine
        f"{desk.url}/api/v1/{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
        return json.load(response)


def ended(desk: Desk, run: str) -> Any:
    until = time.monotonic() + SECONDS
    while (shown := manage(desk, "runs", "show", run))["status"] not in ("succeeded", "failed", "stopped", "cancelled"):
        assert time.monotonic() < until, shown
        time.sleep(0.2)
    return shown


def test_a_run_is_started_decided_and_ended_from_a_shell(desk: Desk):
    run = manage(desk, "runs", "start", "teller", "--input", INPUT, "--wait", "--as", "operator")
    assert run["status"] == "waiting"
    waiting = manage(desk, "approvals", "list", "--source-ref", run["id"])
    assert [(item["action"], item["args"]) for item in waiting] == [("pay", {"to": "Bob", "amount": "12.00"})]
    args = json.dumps({"to": "Bob", "amount": "10.00"})
    manage(desk, "approvals", "decide", waiting[0]["id"], "--verdict", "modify", "--args", args, "--as", "reviewer")
    done = ended(desk, run["id"])
    assert done["status"] == "succeeded"
    paid = done["calls"][0]
    assert (paid["asked_args"]["amount"], paid["approved_args"]["amount"], paid["executed_args"]["amount"]) == (
        "12.00", "10.00", "10.00",
    )  # fmt: skip


def test_a_run_is_started_by_a_program_and_decided_by_a_person_over_the_api(desk: Desk):
    program = manage(desk, "tokens", "create", "bot", "--service", "--team", "support")["token"]
    reviewer = manage(desk, "tokens", "create", "reviewer")["token"]
    run = call(desk, program, "runs", {"agent": "teller", "input": json.loads(INPUT)})
    until = time.monotonic() + SECONDS
    while not (items := call(desk, reviewer, f"approvals?status=pending&source_ref={run['id']}")["items"]):
        assert time.monotonic() < until
        time.sleep(0.1)
    decision = {"verdict": "approve", "digest": items[0]["digest"], "version": items[0]["version"]}
    assert call(desk, reviewer, f"approvals/{items[0]['id']}/decision", decision)["status"] == "decided"
    assert ended(desk, run["id"])["status"] == "succeeded"
    steps = call(desk, program, f"runs/{run['id']}/steps")["items"]
    assert {"model", "tool", "pause", "decision"} <= {step["kind"] for step in steps}
    assert call(desk, program, f"runs/{run['id']}/checkpoints")
