"""The support agent of examples/support, as it is published, at work on its tickets while its workers die."""

from email import message_from_bytes
from typing import Any

from tests.faults import checks
from tests.faults.checks import Check
from tests.faults.crowd import Crowd
from tests.faults.reaper import Reaper
from tests.faults.report import Row
from tests.faults.stage import Stage

IN_DOUBT = """SELECT c.id::text AS call,
        EXISTS (SELECT 1 FROM support.refunds f WHERE f.idempotency_key = c.id::text) AS refunded
    FROM runs_toolcall c JOIN approvals_approval a ON a.request_key LIKE 'doubt:' || c.id || ':%%' WHERE a.id = %(approval)s"""
UNCALLED = Check(
    "every refund of the shop was paid by one executed call",
    """SELECT f.id, f.order_id, f.amount FROM support.refunds f LEFT JOIN runs_toolcall c ON c.id::text = f.idempotency_key
       WHERE f.idempotency_key NOT LIKE 'seed%%' AND (c.id IS NULL OR c.executed_digest = '' OR c.tool <> 'issue_refund'
         OR c.run_id <> ALL(%(ids)s::uuid[]))""",
)
UNPAID = Check(
    "every refund that a call reported is in the shop's books, with its amount",
    """SELECT c.id, c.executed_args, f.amount FROM runs_toolcall c LEFT JOIN support.refunds f ON f.idempotency_key = c.id::text
       WHERE c.run_id = ANY(%(ids)s::uuid[]) AND c.tool = 'issue_refund' AND c.status = 'succeeded'
         AND strpos(c.result::text, '\\"done\\": true') > 0 AND f.id IS NULL""",
)


class Desk(Crowd):
    """One run for each ticket. Whatever the agent asks is approved; what is in doubt is looked up in the shop's books and in
    its outbox."""

    def start(self) -> None:
        number = len(self.runs)
        name = f"{self.name}-{number:05}"
        ticket = self.stage.tickets[number % len(self.stage.tickets)]
        (message,) = ticket["messages"]
        told = {"messages": [{**message, "content": f"{message['content']}\n\nSent from the mailbox {name}."}]}
        self.runs[self.operator.start("support", told, name)] = name

    def _decide(self, approval: dict[str, Any]) -> Any:
        if approval["kind"] != "in_doubt":
            return self.reviewer.decide(approval)
        (call,) = self.stage.sql(IN_DOUBT, approval=approval["id"])
        is_done = call["refunded"] or self.mails().get(call["call"], 0) > 0
        self.doubts.append("happened" if is_done else "retry")
        return self.reviewer.decide(approval, "respond", answer=self.doubts[-1])

    def mails(self) -> dict[str, int]:
        """How often each e-mail was sent, by the call that sent it (its Message-ID)."""
        sent: dict[str, int] = {}
        for file in (self.stage.folder / "mail").glob("*"):
            for text in file.read_bytes().split(b"-" * 79 + b"\n"):
                if text.strip():
                    call = str(message_from_bytes(text)["Message-ID"]).strip("<>").partition("@")[0]
                    sent[call] = sent.get(call, 0) + 1
        return sent


def tickets(stage: Stage, size: int, row: Row) -> None:
    """A kill for each ticket."""
    stage.start_desk(webs=1, workers=3, sweeps=1)
    reaper = Reaper(stage, {"runs": size})
    desk = Desk(stage, "ticket", size, at_once=6)
    desk.holds_back = lambda: not reaper.done and len(desk.runs) > 6 + sum(reaper.kills.values())
    desk.operator.meanwhile = desk.reviewer.meanwhile = reaper.tick
    desk.finish(beside=reaper.tick)
    reaper.end()
    row.size = f"{size} tickets of examples/support, {reaper.of_group['runs']} kills of workers at {len(reaper.kills)} points"
    row.expect(reaper.of_group["runs"] >= size * 0.5, f"{reaper.of_group['runs']} kills for {size} runs")
    row.check(
        stage, list(desk.runs), checks.STUCK, checks.LOST, checks.TWICE_DECIDED, checks.NOT_APPROVED, checks.REPEATED,
        checks.FORKED, UNCALLED, UNPAID,
    )  # fmt: skip
    sent = desk.mails()
    twice = [call for call, count in sent.items() if count > 1]
    row.expect(not twice, f"{len(sent)} e-mails, {len(twice)} sent twice")
    refunds = stage.one("SELECT count(*) FROM support.refunds WHERE idempotency_key IS NOT NULL")
    row.expect(refunds >= 1, f"{refunds} refunds paid")
    row.reached.append(f"{len(desk.doubts)} calls in doubt looked up by a person: "
                       f"{desk.doubts.count('happened')} happened, {desk.doubts.count('retry')} retry")  # fmt: skip
