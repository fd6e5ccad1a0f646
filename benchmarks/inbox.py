"""The reviewer's pages with few and with very many approvals, and the number of queries of each page."""

import http.client
import itertools
import time
from collections.abc import Iterator, Sequence
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from agentdesk.people.models import Membership, Role, User
from approvals.models import Approval
from approvals.states import Risk, Status
from benchmarks import seed
from benchmarks.company import Company, session_of
from benchmarks.figures import Figure, at_most, beside, percentile
from benchmarks.stage import Stage, cpu_of
from runs.models import Run

FEW = 1_000
WARM_UP = 15
SAMPLES = 100
BUDGET = 50.0  # ms
# Found in most, in some, and in few of what waits.
SEARCHES = ("arg.amount>200", "arg.amount<20000 risk:low", "arg.amount=20000")
TIMES = 1.5
COLLEAGUES = 4  # so many others decide, too: a pace is told beside that of three others or more
LONG_AGO = 10**7  # the number of copies that are older than all others
OPENED = 20  # pages of so many approvals are asked for, in turn

type Pages = dict[str, list[str]]


def measure(stage: Stage, company: Company, *, approvals: int, entries: int) -> Iterator[Figure]:
    """``approvals`` in all, one of ten pending, beside ``entries`` of the record."""
    deciders = [company.reviewer.pk, *(_colleague(company, number).pk for number in range(COLLEAGUES))]
    seed.approvals(stage, 1, FEW, every=1, deciders=deciders)
    # Long ago some were decided, so that there is a history to tell from the start.
    seed.approvals(stage, LONG_AGO, LONG_AGO + OPENED, every=2 * LONG_AGO, deciders=deciders)
    pages = _pages(stage, company)
    stage.analyze()
    few = {name: _Times(stage, company, addresses) for name, addresses in pages.items()}
    queries = _queries(company)
    seed.approvals(stage, FEW + 1, approvals, every=10, deciders=deciders)
    seed.record(stage, entries)
    stage.analyze()
    many = {name: _Times(stage, company, addresses) for name, addresses in pages.items()}
    searches = {text: _Times(stage, company, [f"/?{urlencode({'q': text})}"]) for text in SEARCHES}
    size = f"{approvals:,} approvals, {approvals // 10:,} waiting, {entries:,} entries"
    for name in pages:
        yield at_most(f"{name} with {FEW:,} approvals waiting, request to last byte, p95", few[name].p95, BUDGET, "ms")
        yield at_most(f"{name} with {size}, p95", many[name].p95, BUDGET, "ms")
        yield at_most(f"{name}: the second ÷ the first", many[name].p95 / few[name].p95, TIMES, "×")
        yield beside(f"{name}: CPU of the web process for one, few", few[name].cpu, "ms")
        yield beside(f"{name}: the same, many", many[name].cpu, "ms")
    for text, taken in searches.items():
        yield at_most(f"inbox page searched for {text}, p95", taken.p95, BUDGET, "ms")
    yield from _compare(queries, _queries(company))


def _colleague(company: Company, number: int) -> User:
    user = User.objects.create(username=f"colleague-{number}")
    Membership.objects.create(user=user, team=company.team, role=Role.REVIEWER)
    return user


def _pages(stage: Stage, company: Company) -> Pages:
    """What is asked for: the inbox, decision pages of every risk with a run's story beside them, team, pace."""
    waiting = [Approval.objects.filter(status=Status.PENDING, risk=risk)[: OPENED // len(Risk)] for risk in Risk]
    pks = [approval.pk for some in waiting for approval in some]
    seed.give_a_run(stage, pks)
    return {
        "inbox page": ["/"],
        "decision page": [reverse("approvals:detail", args=[pk]) for pk in pks],
        "team page": [reverse("approvals:team", args=[company.team.slug])],
        "pace page": [reverse("approvals:pace")],
    }


class _Times:
    """What pages take, one client on a kept connection: ``p95`` milliseconds from the request sent to the last byte, and
    ``cpu`` milliseconds of the web process for one of them, on average."""

    def __init__(self, stage: Stage, company: Company, addresses: Sequence[str]) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(stage.desk.url).netloc, timeout=60)
        self._headers = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={session_of(company.reviewer)}"}
        turn = itertools.cycle(addresses)
        for address in itertools.islice(turn, max(WARM_UP, len(addresses))):
            self._fetch(address)
        web = stage.desk.processes["web"].pid
        before = cpu_of(web)
        taken = [self._fetch(address) for address in itertools.islice(turn, SAMPLES)]
        self.cpu = (cpu_of(web) - before) * 1000 / SAMPLES
        self.p95 = percentile(taken, 95)

    def _fetch(self, address: str) -> float:
        began = time.perf_counter()
        self._connection.request("GET", address, headers=self._headers)
        response = self._connection.getresponse()
        text = response.read()
        taken = (time.perf_counter() - began) * 1000
        if response.status != 200 or b"</html>" not in text or (address.startswith("/?") and b"data-row" not in text):
            raise RuntimeError(f"{address} answered {response.status} without what it should show")
        time.sleep(0.01)
        return taken


def _queries(company: Company) -> dict[str, int]:
    client = Client(headers={"host": "localhost"})
    client.force_login(company.reviewer, backend="django.contrib.auth.backends.ModelBackend")
    pending = Approval.objects.filter(status=Status.PENDING, source_ref=seed.template().source_ref).earliest("pk")
    pages = {
        "/": "/", "/?status=done": "/?status=done",
        "/approvals/ID/ (decided)": reverse("approvals:detail", args=[seed.template().pk]),
        "/approvals/ID/ (pending)": reverse("approvals:detail", args=[pending.pk]),
        "the team page": reverse("approvals:team", args=[company.team.slug]), "the pace page": reverse("approvals:pace"),
        "/runs/": "/runs/", "/runs/ID/": f"/runs/{Run.objects.latest('pk').pk}/", "/agents/": "/agents/", "/audit/": "/audit/",
    }  # fmt: skip
    counts = {}
    for name, address in pages.items():
        client.get(address)  # what is read once and kept does not count
        with CaptureQueriesContext(
            connection,
        ) as caught:
            answer = client.get(address)
        if answer.status_code != 200:
            raise RuntimeError(f"{address} answered {answer.status_code}")
        counts[name] = len(caught)
    return counts


def _compare(few: dict[str, int], many: dict[str, int]) -> Iterator[Figure]:
    for page, count in few.items():
        same = many[page] == count
        yield Figure(
            f"queries of {page}, few rows and many", str(count) if same else f"{count}, {many[page]}", "constant", same
        )
