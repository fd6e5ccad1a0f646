"""The lines of the table, in the order of the promises in docs/reliability.md."""

from tests.faults.report import Trial
from tests.faults.rows import answers, gate, graceful, kills, outages, poison, support

TRIALS = (
    Trial("kills", "kill -9 at ≥ 20 named points", 1000, 6, kills.at_every_point),
    Trial("support", "kill -9 under the support agent", 200, 6, support.tickets),
    Trial("thrice", "every Celery message delivered three times, in random order", 1000, 6, kills.three_times),
    Trial("two-workers", "two workers ordered to advance the same run", 1000, 6, kills.two_workers),
    Trial("broker", "Valkey stopped 60 s under 10 decisions/s", 60, 6, outages.broker_away),
    Trial("postgresql", "PostgreSQL restarted 20 times during 500 runs", 500, 12, kills.postgresql_restarted),
    Trial("reviewers", "two reviewers at once", 10_000, 50, answers.two_reviewers),
    Trial("redelivered", "approval redelivered to the next interrupt of the same node", 1000, 6, answers.redelivered),
    Trial("langchain", "langchain #40492 and #40166 replayed through the gate", 40, 4, gate.langchain_issues),
    Trial("changed", "stored arguments changed in the database after approval", 40, 8, gate.changed_arguments),
    Trial("lost-lock", "a worker that lost its lock but lives on", 60, 3, outages.lost_lock),
    Trial("breakpoint", "kill -9 at a static breakpoint", 45, 4, answers.breakpoint_),
    Trial("call-ids", "models that repeat tool call ids", 60, 6, gate.repeated_ids),
    Trial("in-doubt", "killed inside a tool that is not idempotent; a sync tool past its timeout", 27, 9, outages.in_doubt),
    Trial("graceful", "graceful stop (SIGTERM) under load", 200, 30, graceful.graceful_stop),
    Trial("poison", "a run whose workers die every time", 20, 3, poison.parked),
    Trial("release", "resumed under new code of the agent", 30, 6, answers.next_release),
)
