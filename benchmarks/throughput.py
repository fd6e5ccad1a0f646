"""How many whole cycles a second, and what a cycle costs in CPU, beside bare LangGraph and DBOS in turns."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import rivals
from benchmarks.company import Company
from benchmarks.cycles import Client, Rate, Verbs, Watcher, drive
from benchmarks.figures import Figure, at_least, at_most, beside, median
from benchmarks.rivals import Turn
from benchmarks.stage import Stage

CLIENTS = 16
ROUNDS = 3
SECONDS = 8.0
WARM_UP = 3.0


@dataclass(frozen=True, slots=True)
class DeskTurn:
    """One turn of the desk: how fast, and milliseconds of CPU of a cycle by kind of process."""

    rate: Rate
    cpu: dict[str, float]


def measure(stage: Stage, company: Company, watcher: Watcher, shelf: Path) -> Iterator[Figure]:
    others = [rivals.bare(stage), rivals.dbos(stage, shelf)]
    try:
        _turn(stage, company, watcher, WARM_UP)
        drive(lambda: Verbs(company), watcher, clients=CLIENTS, seconds=WARM_UP)
        with stage.at_rest():
            for other in others:
                other.turn(stage, seconds=WARM_UP, clients=CLIENTS)
        stage.analyze()
        desk, verbs, bare, dbos = [], [], [], []
        for _ in range(ROUNDS):
            desk.append(_turn(stage, company, watcher, SECONDS))
            verbs.append(drive(lambda: Verbs(company), watcher, clients=CLIENTS, seconds=SECONDS))
            with stage.at_rest():
                bare.append(others[0].turn(stage, seconds=SECONDS / 2, clients=CLIENTS))
                dbos.append(others[1].turn(stage, seconds=SECONDS / 2, clients=CLIENTS))
    finally:
        for other in others:
            other.close()
    yield from _figures(desk, verbs, bare, dbos)


def _turn(stage: Stage, company: Company, watcher: Watcher, seconds: float) -> DeskTurn:
    before = stage.cpu()
    rate = drive(lambda: Client(stage.desk.url, company), watcher, clients=CLIENTS, seconds=seconds)
    after = stage.cpu()
    return DeskTurn(rate, {name: (after[name] - before[name]) / rate.cycles * 1000 for name in after})


def _figures(desk: list[DeskTurn], verbs: list[Rate], bare: list[Turn], dbos: list[Turn]) -> Iterator[Figure]:
    yield at_least(f"whole cycles over HTTP, {CLIENTS} clients", median([turn.rate.per_second for turn in desk]), 35, "/s")
    yield at_least(f"whole cycles by verbs, {CLIENTS} threads", median([rate.per_second for rate in verbs]), 70, "/s")
    yield beside("beside it: bare LangGraph, one process", median([turn.rate.per_second for turn in bare]), "/s")
    yield beside("beside it: DBOS, one process", median([turn.rate.per_second for turn in dbos]), "/s")
    for name in desk[0].cpu:
        yield beside(f"CPU of a cycle over HTTP: {name}", median([turn.cpu[name] for turn in desk]), "ms")
    ratios = [sum(ours.cpu.values()) / theirs.cpu for ours, theirs in zip(desk, bare, strict=True)]
    yield at_most("CPU of a cycle ÷ bare LangGraph's, in turns", median(ratios), 3, "×")
    yield beside("CPU of a cycle: bare LangGraph and PostgreSQL", median([turn.cpu for turn in bare]), "ms")
    yield beside("CPU of a cycle: DBOS and PostgreSQL", median([turn.cpu for turn in dbos]), "ms")
