"""Valkey away; a worker that lives on without its lock; calls whose outcome nobody knows."""

import html
import http.cookiejar
import re
import time
import urllib.parse
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.faults.client import Client
from tests.faults.crowd import ENDED, Crowd, pending, statuses
from tests.faults.report import Row, percentile
from tests.faults.rows.kills import zeros
from tests.faults.stage import Stage, Stopped

PER_SECOND = 10
HELD_AT = ("tool.start", "tool.end", "gate.enter.after", "resume.before", "claim.commit.after", "ledger.commit.after")
ANSWERS = ("happened", "did_not_happen", "retry")


class Browser:
    """A signed-in reviewer who opens pages and decides by their forms."""

    def __init__(self, stage: Stage, user: str) -> None:
        self.base = f"http://127.0.0.1:{stage.ports['web-1']}"
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        fields = {"csrfmiddlewaretoken": _field(self.open("/accounts/login/"), "csrfmiddlewaretoken")}
        self.open("/accounts/login/", {**fields, "login": user, "password": "demo"})

    def open(self, path: str, fields: dict[str, str] | None = None) -> str:
        """The page's text. Raises urllib.error.HTTPError."""
        data = None if fields is None else urllib.parse.urlencode(fields).encode()
        request = urllib.request.Request(self.base + path, data, {"Referer": self.base + path})  # noqa: S310 - our own http
        with self._opener.open(request, timeout=10) as response:
            return str(response.read().decode())

    def approve(self, approval_id: str) -> float:
        """Fill in the form of the decision page and send it; the seconds until the page that follows. Raises
        urllib.error.HTTPError."""
        page = self.open(f"/approvals/{approval_id}/")
        form = next(form for form in page.split("<form")[1:] if _field(form, "verdict") == "approve")
        names = ("csrfmiddlewaretoken", "verdict", "digest", "version", "seen")
        fields = {name: html.unescape(_field(form, name)) for name in names}
        sent = time.monotonic()
        self.open(f"/approvals/{approval_id}/decision/", {**fields, "message": "looked at"})
        return time.monotonic() - sent


def _field(form: str, name: str) -> str:
    """The value of a hidden field; empty where there is none."""
    found = re.search(rf'name="{name}" value="([^"]*)"', form)
    return found[1] if found else ""


@dataclass
class Shift:
    """What a reviewer did for some time: the seconds that each decision took, by the API and by the form, and the pages that
    were opened meanwhile."""

    by_api: list[float] = field(default_factory=list)
    by_form: list[float] = field(default_factory=list)
    pages: list[tuple[str, str]] = field(default_factory=list)  # which, its text


def broker_away(stage: Stage, size: int, row: Row) -> None:
    """``size`` seconds without Valkey, ten decisions in each; the same before it, to compare with."""
    stage.start_desk(webs=1, workers=2, sweeps=1)
    before, during = 5 * PER_SECOND, size * PER_SECOND
    crowd = Crowd(stage, "broker", before + during, at_once=before + during)
    while len(crowd.runs) < crowd.total:
        crowd.start()
    stage.until(lambda: len(pending(stage, list(crowd.runs))) == crowd.total, "all to wait", 600)
    waiting = pending(stage, list(crowd.runs))
    browser = Browser(stage, "reviewer")
    usual = _decide_evenly(stage, waiting[:before], browser)
    stage.services.valkey.stop()
    slow = _decide_evenly(stage, waiting[before:], browser)
    stage.services.valkey.restart()
    back = time.monotonic()
    first = [approval["source_ref"] for approval in waiting]
    stage.until(lambda: _all_went_on(stage, first), "all runs to go on", 120)
    resumed = time.monotonic() - back
    row.size = f"Valkey stopped {size} s under {PER_SECOND} decisions/s: {during} decisions"
    _judge_outage(stage, usual, slow, row)
    row.expect(resumed <= 15, f"all runs went on {resumed:.1f} s after its return")
    crowd.finish(seconds=600)
    hints = stage.one("SELECT coalesce(max(wanted), 0) FROM runs_run WHERE id = ANY(%(ids)s::uuid[])", ids=first)
    row.reached.append(f"no run was ordered more than {hints} times")
    zeros(stage, crowd, row)


def _judge_outage(stage: Stage, usual: Shift, slow: Shift, row: Row) -> None:
    row.expect(
        len(slow.by_form) >= len(slow.by_api) / 5 > 0,
        f"all of them accepted: {len(slow.by_api)} by the API, {len(slow.by_form)} by the form of the page",
    )
    for how, one, other in (("API", usual.by_api, slow.by_api), ("form", usual.by_form, slow.by_form)):
        there, away = percentile(one, 0.95) * 1000, percentile(other, 0.95) * 1000
        row.expect(away <= there + 200, f"p95 of a decision by {how} {there:.0f} ms before, {away:.0f} ms without a broker")
    said = Counter(which for which, text in slow.pages if "delivery is delayed" in text.lower())
    opened = Counter(which for which, _ in slow.pages)
    # The process learns of it by the first thing that it cannot send.
    row.expect(
        sum(said.values()) >= len(slow.pages) - 1 and set(opened) == set(PAGES),
        f"{sum(said.values())} of {len(slow.pages)} pages opened meanwhile said that delivery is delayed: "
        + ", ".join(f"{which} {said[which]} of {count}" for which, count in opened.items()),
    )
    early = sum("delivery is delayed" in text.lower() for _, text in usual.pages)
    row.expect(early == 0, f"{early} of {len(usual.pages)} pages opened before it said so")


PAGES = ("inbox", "decision page", "run page")
FORM_EACH = 5  # decisions, of which one is made by the form


def _decide_evenly(stage: Stage, approvals: list[dict[str, Any]], browser: Browser) -> Shift:
    """Decide at the set pace, and open a page in every two seconds."""
    reviewer, shift = Client(stage, "reviewer"), Shift()
    began = time.monotonic()
    for n, approval in enumerate(approvals):
        time.sleep(max(0.0, began + n / PER_SECOND - time.monotonic()))
        if n % FORM_EACH == FORM_EACH - 1:
            shift.by_form.append(browser.approve(approval["id"]))
        else:
            sent = time.monotonic()
            answer = reviewer.decide(approval)
            shift.by_api.append(time.monotonic() - sent)
            if answer.status != 200:
                raise AssertionError(f"a decision was not accepted: {answer}")
        if n % (2 * PER_SECOND) == 2 * PER_SECOND - 1:
            which = PAGES[len(shift.pages) % len(PAGES)]
            path = {
                "inbox": "/approvals/", "decision page": f"/approvals/{approval['id']}/",
                "run page": f"/runs/{approval['source_ref']}/",
            }[which]  # fmt: skip
            shift.pages.append((which, browser.open(path)))
    decided = stage.one(
        "SELECT count(*) FROM approvals_decision WHERE approval_id = ANY(%(ids)s::uuid[]) AND voided_at IS NULL",
        ids=[approval["id"] for approval in approvals],
    )
    if decided != len(approvals):
        raise AssertionError(f"{decided} decisions on record, {len(approvals)} were made")
    return shift


def _all_went_on(stage: Stage, runs: list[str]) -> bool:
    left = stage.one(
        """SELECT count(*) FROM approvals_decision d JOIN approvals_approval a ON a.id = d.approval_id
           WHERE a.source_ref = ANY(%(runs)s) AND d.delivered_at IS NULL AND d.voided_at IS NULL""",
        runs=runs,
    )
    return int(left) == 0


def lost_lock(stage: Stage, size: int, row: Row) -> None:
    """A worker stops at a point; its lock's connection is cut; when another attempt has begun, it goes on."""
    stage.start_desk(webs=1, workers=2, sweeps=1)
    crowd = Crowd(stage, "lock", size, at_once=1)
    fault = stage.faults["runs"]
    held: Counter[str] = Counter()
    overtaken = 0
    armed = ""

    def beside() -> None:
        nonlocal armed, overtaken
        if not armed and sum(held.values()) < len(crowd.runs):
            armed = HELD_AT[sum(held.values()) % len(HELD_AT)]
            fault.arm(armed)
        stopped = next(fault.waiting(), None)
        if stopped is not None:
            held[stopped.point] += 1
            overtaken += _cut(stage, stopped)
            armed = ""

    crowd.finish(beside=beside)
    if armed:
        fault.disarm(armed)
    row.size = f"{size} runs, {sum(held.values())} connections cut at {len(held)} points"
    row.expect(len(held) >= min(size // 2, len(HELD_AT)), "cut at " + ", ".join(held))
    row.expect(overtaken >= size * 0.9, f"{overtaken} times another attempt began while the old one lived")
    stopped_writes = sum(stage.log(name).count("was taken over") for name in ("runs-1", "runs-2"))
    row.expect(stopped_writes >= overtaken, f"{stopped_writes} times the older attempt was stopped at its next write")
    zeros(stage, crowd, row)


def _cut(stage: Stage, stopped: Stopped) -> bool:
    """Cut the connection that holds the process's lock, wait until its run is in other hands, and let it go on."""
    run, attempt = stopped.run, stage.one("SELECT attempt FROM runs_run WHERE id = %(run)s::uuid", run=stopped.run)
    stage.sql(
        """SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN runs_run r ON l.objid::bigint = r.claimed_by
           WHERE r.id = %(run)s::uuid AND l.locktype = 'advisory' AND l.classid = 4277323""",
        run=run,
    )
    now = "SELECT attempt FROM runs_run WHERE id = %(run)s::uuid"
    stage.until(lambda: stage.one(now, run=run) > attempt, "another attempt", 30)
    stage.faults["runs"].go(stopped)
    return True


def in_doubt(stage: Stage, size: int, row: Row) -> None:
    """Killed inside a tool that is not idempotent, before and after its effect; and a tool that acts after its timeout. Each
    with each of the three answers."""
    stage.start_desk(webs=1, workers=2, sweeps=1)
    stage.sql("UPDATE approvals_tool SET timeout_seconds = 1 WHERE name = 'wire_late'")
    kinds = ("tool.start", "tool.end", "timeout")
    cases = [(kinds[n % 3], ANSWERS[n // 3 % 3]) for n in range(size)]
    wrong: list[str] = []
    runs: dict[str, str] = {}
    for n, (kind, answer) in enumerate(cases):
        name = f"doubt-{n:05}"
        run = _into_doubt(stage, name, kind)
        runs[run] = name
        (doubt,) = stage.until(partial(pending, stage, [run]), f"{name} to be asked about", 40)
        if doubt["kind"] != "in_doubt":
            wrong.append(f"{name} {kind}: asked as {doubt['kind']}")
        _answer(stage, run, doubt, kind, answer)
        wrong += _unexpected(stage, run, name, kind, answer)
    row.size = f"{size} calls in doubt: killed before the effect, after it, and past the timeout, by each of three answers"
    row.expect(not wrong, f"{len(wrong)} not as the person said {wrong[:5]}")
    unasked = stage.sql(
        """SELECT c.id, c.tries FROM runs_toolcall c WHERE c.run_id = ANY(%(ids)s::uuid[]) AND c.tries > 1 AND NOT EXISTS (
           SELECT 1 FROM approvals_approval a JOIN approvals_decision d ON d.approval_id = a.id
           WHERE a.request_key LIKE 'doubt:' || c.id || ':%%' AND d.answer = '"retry"'::jsonb)""",
        ids=list(runs),
    )
    row.expect(not unasked, f"{len(unasked)} repeated by themselves")


def _into_doubt(stage: Stage, name: str, kind: str) -> str:
    operator, reviewer = Client(stage, "operator"), Client(stage, "reviewer")
    tool, more = ("wire_late", {"seconds": 2.0}) if kind == "timeout" else ("wire", {})
    run = operator.script("cashier", name, [{"name": tool, "args": {"to": name, "amount": "3.00", **more}}])
    (approval,) = stage.until(lambda: pending(stage, [run]), f"{name} to wait")
    fault = stage.faults["runs"]
    if kind != "timeout":
        fault.arm(kind)
    reviewer.decide(approval)
    if kind != "timeout":
        stage.revive(stage.kill_at(kind))
    stage.until(lambda: not any(a["id"] == approval["id"] for a in pending(stage, [run])), "the approval to be taken")
    return run


def _answer(stage: Stage, run: str, doubt: dict[str, Any], kind: str, answer: str) -> None:
    """The person's answer; a repeated call that is late again did happen."""
    reviewer, first = Client(stage, "reviewer"), doubt["id"]
    reviewer.decide(doubt, "respond", answer=answer)

    def ended() -> bool:
        for again in pending(stage, [run]):
            if again["id"] != first:
                reviewer.decide(again, "respond", answer="happened")
        return statuses(stage, [run])[run] in ENDED

    stage.until(ended, f"the run to end after {kind}, {answer}", 40)


def _unexpected(stage: Stage, run: str, name: str, kind: str, answer: str) -> list[str]:
    """What is not as it must be: how often it was paid, and what became of the call."""
    effects = (0 if kind == "tool.start" else 1) + (1 if answer == "retry" else 0)
    deadline = time.monotonic() + 6
    while len(stage.payments.wires.get(name, [])) < effects and time.monotonic() < deadline:
        time.sleep(0.05)
    paid = len(stage.payments.wires.get(name, []))
    (call,) = stage.sql("SELECT status, error FROM runs_toolcall WHERE run_id = %(run)s::uuid", run=run)
    status = "failed" if answer == "did_not_happen" else "succeeded"
    if (paid, call["status"]) == (effects, status):
        return []
    return [f"{name} {kind}, {answer}: paid {paid} times, call {call['status']}, expected {effects}, {status}"]
