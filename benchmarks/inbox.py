"""The inbox with few and with very many approvals, and the number of queries of each page."""

import http.client
import time
from collections.abc import Iterator
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from approvals.models import Approval
from benchmarks.company import Company, session_of
from benchmarks.figures import Figure, at_most, percentile
from benchmarks.stage import Stage
from runs.models import Run

FEW = 1_000
WARM_UP = 15
SAMPLES = 100
BUDGET = 50.0  # ms
# Found in most, in some, and in few of what waits.
SEARCHES = ("arg.amount>200", "arg.amount<20000 risk:low", "arg.amount=20000")
TIMES = 1.5
# What a copied row does not share with the one it is copied from.
OTHER = {
    "id": "uuidv7()",
    "request_key": "'seed-' || n",
    "source_ref": "uuidv7()::text",
    "args": "t.args || jsonb_build_object('amount', n)",
    "status": "CASE WHEN n %% {every} = 0 THEN 'pending' ELSE 'decided' END",
    "risk": "(ARRAY['low', 'medium', 'high', 'critical'])[1 + n / {every} %% 4]",
    "requested_at": "now() - n * interval '2 seconds'",
    "expires_at": "now() + interval '1 day' + n * interval '1 second'",
    "closed_at": "CASE WHEN n %% {every} = 0 THEN NULL ELSE now() - n * interval '1 second' END",
}

COPIED = (
    "at, act, actor_label, via, action, object_type, object_id, object_label, run_id, team_id, after, address, user_agent,"
    " commitment"
)


def measure(stage: Stage, company: Company, *, approvals: int, entries: int) -> Iterator[Figure]:
    """``approvals`` in all, one of ten pending, beside ``entries`` of the record."""
    _seed(stage, 1, FEW, every=1)
    stage.analyze()
    few = percentile(_times(stage, company), 95)
    queries = _queries(company)
    _seed(stage, FEW + 1, approvals, every=10)
    _seed_record(stage, entries)
    stage.analyze()
    many = percentile(_times(stage, company), 95)
    searches = {text: percentile(_times(stage, company, f"/?{urlencode({'q': text})}"), 95) for text in SEARCHES}
    size = f"{approvals:,} approvals, {approvals // 10:,} waiting, {entries:,} entries"
    yield at_most(f"inbox page with {FEW:,} approvals waiting, request to last byte, p95", few, BUDGET, "ms")
    yield at_most(f"inbox page with {size}, p95", many, BUDGET, "ms")
    yield at_most("the second ÷ the first", many / few, TIMES, "×")
    for text, taken in searches.items():
        yield at_most(f"the same, searched for {text}, p95", taken, BUDGET, "ms")
    yield from _compare(queries, _queries(company))


def _seed(stage: Stage, first: int, last: int, *, every: int) -> None:
    """Copies of an approval that a run has asked for, each ``every``-th of them waiting, each other with its decision."""
    template = _of_a_run()
    columns = [str(field.column) for field in Approval._meta.concrete_fields]
    values = ", ".join(OTHER.get(column, f"t.{column}").format(every=every) for column in columns)
    with stage.connect(role="agentdesk_owner") as database:
        database.execute(
            f"INSERT INTO approvals_approval ({', '.join(columns)}) SELECT {values} FROM approvals_approval t,"  # noqa: S608
            " generate_series(%s::bigint, %s::bigint) n WHERE t.id = %s".encode(),
            [first, last, template.pk],
        )
        found = database.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'approvals_decision'"
            " AND column_name NOT IN ('id', 'approval_id', 'decided_at') ORDER BY 1"
        ).fetchall()
        names = ", ".join(str(row[0]) for row in found)
        database.execute(
            f"INSERT INTO approvals_decision (id, approval_id, decided_at, {names})"  # noqa: S608 - names of our own columns
            f" SELECT uuidv7(), a.id, a.closed_at, {', '.join('d.' + str(row[0]) for row in found)} FROM approvals_approval a,"
            " approvals_decision d WHERE a.request_key LIKE 'seed-%%' AND a.status = 'decided' AND d.approval_id = %s"
            " AND NOT EXISTS (SELECT 1 FROM approvals_decision x WHERE x.approval_id = a.id)".encode(),
            [template.pk],
        )


def _of_a_run() -> Approval:
    """An approval that a run has asked for and a reviewer has decided."""
    return Approval.objects.filter(request_key__startswith="call:", decisions__isnull=False).latest("pk")


def _seed_record(stage: Stage, entries: int) -> None:
    with stage.connect(role="agentdesk_owner") as database:
        database.execute(
            f"INSERT INTO audit_auditentry ({COPIED}) SELECT {COPIED} FROM"  # noqa: S608 - names of our own columns
            " (SELECT * FROM audit_auditentry ORDER BY id LIMIT 1000) t, generate_series(1, %s::int / 1000)".encode(),
            [entries],
        )


def _times(stage: Stage, company: Company, address: str = "/") -> list[float]:
    """Milliseconds from the request sent to the last byte, one client on a kept connection."""
    connection = http.client.HTTPConnection(urlsplit(stage.desk.url).netloc, timeout=60)
    headers = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={session_of(company.reviewer)}"}
    taken = []
    for _ in range(WARM_UP + SAMPLES):
        began = time.perf_counter()
        connection.request("GET", address, headers=headers)
        response = connection.getresponse()
        text = response.read()
        taken.append((time.perf_counter() - began) * 1000)
        if response.status != 200 or b"data-row" not in text:
            raise RuntimeError(f"the inbox answered {response.status} without rows")
        time.sleep(0.01)
    return taken[WARM_UP:]


def _queries(company: Company) -> dict[str, int]:
    client = Client(headers={"host": "localhost"})
    client.force_login(company.reviewer)
    approval = _of_a_run()
    run = Run.objects.latest("pk")
    pages = ["/", "/?status=done", f"/approvals/{approval.pk}/", "/runs/", f"/runs/{run.pk}/", "/agents/", "/audit/"]
    counts = {}
    for page in pages:
        client.get(page)  # what is read once and kept does not count
        with CaptureQueriesContext(
            connection,
        ) as caught:
            answer = client.get(page)
        if answer.status_code != 200:
            raise RuntimeError(f"{page} answered {answer.status_code}")
        counts["/approvals/ID/" if "approvals/" in page else "/runs/ID/" if page.count("/") == 3 else page] = len(caught)
    return counts


def _compare(few: dict[str, int], many: dict[str, int]) -> Iterator[Figure]:
    for page, count in few.items():
        same = many[page] == count
        yield Figure(
            f"queries of {page}, few rows and many", str(count) if same else f"{count}, {many[page]}", "constant", same
        )
