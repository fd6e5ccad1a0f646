"""Two reviewers decide at the same moment on two web processes: one counts, the other is told, nothing happens twice."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from threading import Barrier

import pytest
from django.db.models import Count

from agentdesk.audit.models import AuditEntry
from approvals.models import Approval, Decision, Review
from approvals.states import Status
from tests.cast import make_approval
from tests.races.conftest import WEBS, Answer, Person

RACES = 1_000
AT_ONCE = 4  # races at the same moment, of two people each
BY_PAGE = 10  # each tenth race goes by the page's form, which costs several times as much as the API
AGAIN = 5  # after each fifth race, the winner posts the same again
VERDICTS = (("approve", "reject"), ("reject", "approve"), ("reject", "reject"), ("approve", "approve"))
WORDS = {"approve": ("Approve", "Approved"), "reject": ("Reject", "Rejected")}

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Race:
    """What the slower of the two was answered, and the quicker one where they posted the same again."""

    approval: Approval
    winner: Person
    verdict: str
    lost: Answer
    again: Answer | None
    is_by_api: bool


class Pair:
    """Two reviewers, each at a web process of their own, who press their buttons together."""

    def __init__(self, one: Person, other: Person) -> None:
        self.people = (one, other)
        self.start = Barrier(2)

    def post(self, person: Person, approval: Approval, verdict: str, *, is_by_api: bool) -> Answer:
        send = person.decide_by_api if is_by_api else person.decide_on_page
        return send(approval, verdict, message=f"{person.user.label} has looked.")

    def run(self, hands: ThreadPoolExecutor, races: list[tuple[int, Approval]]) -> list[Race]:
        return [self.race(hands, number, approval) for number, approval in races]

    def race(self, hands: ThreadPoolExecutor, number: int, approval: Approval) -> Race:
        is_by_api = number % BY_PAGE != 0
        verdicts = VERDICTS[number // BY_PAGE % len(VERDICTS)]

        def press(person: Person, verdict: str) -> Answer:
            self.start.wait()
            return self.post(person, approval, verdict, is_by_api=is_by_api)

        other = hands.submit(press, self.people[1], verdicts[1])
        answers = [press(self.people[0], verdicts[0]), other.result()]
        statuses = [answer.status for answer in answers]
        assert sorted(statuses) == [HTTPStatus.OK, HTTPStatus.CONFLICT], [answer.text[:500] for answer in answers]
        first = statuses.index(HTTPStatus.OK)
        winner, verdict = self.people[first], verdicts[first]
        again = self.post(winner, approval, verdict, is_by_api=is_by_api) if number % AGAIN == 0 else None
        return Race(approval, winner, verdict, answers[1 - first], again, is_by_api)


def test_one_of_two_reviewers_wins_a_thousand_times(cast, person_at):
    approvals = [make_approval(cast.support) for _number in range(RACES)]
    pairs = [Pair(person_at(WEBS[0], cast.reviewer), person_at(WEBS[1], cast.second)) for _number in range(AT_ONCE)]
    numbered = list(enumerate(approvals))
    with ThreadPoolExecutor(AT_ONCE) as runners, ThreadPoolExecutor(AT_ONCE) as hands:
        runs = [runners.submit(pair.run, hands, numbered[start::AT_ONCE]) for start, pair in enumerate(pairs)]
        races = [race for run in runs for race in run.result()]

    assert len(races) == RACES
    decisions = {decision.approval_id: decision for decision in Decision.objects.all()}
    assert len(decisions) == Decision.objects.count() == RACES
    assert set(Approval.objects.values_list("status", flat=True)) == {Status.DECIDED}
    for race in races:
        decision = decisions[race.approval.pk]
        assert (decision.decided_by_id, decision.verdict) == (race.winner.user.pk, race.verdict)
        assert_told(race, decision)
        if race.again is not None:
            assert_same_again(race, race.again)

    ids = {str(approval.pk) for approval in approvals}
    decided = AuditEntry.objects.filter(action="approval.decided").values("object_id").annotate(times=Count("id"))
    assert {row["object_id"]: row["times"] for row in decided} == dict.fromkeys(ids, 1)
    votes = Counter(Review.objects.values_list("approval", flat=True))
    assert set(votes.values()) == {1}
    winners = Counter(race.winner.user.username for race in races)
    assert len(winners) == 2, f"they never met: {winners}"


def assert_told(race: Race, decision: Decision) -> None:
    """The slower one reads who decided what, and when."""
    verdict, outcome = WORDS[decision.verdict]
    if race.is_by_api:
        refused = race.lost.json["error"]
        assert refused["code"] == "already_decided"
        assert f"{verdict} by {decision.decided_by_label} at {decision.decided_at:%Y-%m-%d %H:%M:%S} UTC" in refused["message"]
        assert refused["decision"]["id"] == str(decision.pk)
        assert refused["approval"]["status"] == Status.DECIDED
    else:
        assert "Somebody else was first." in race.lost.text
        assert f"{outcome} by {decision.decided_by_label} at {decision.decided_at:%H:%M:%S} UTC" in race.lost.text
        assert 'id="approval"' in race.lost.text, "the card as it is now comes with the refusal"


def assert_same_again(race: Race, again: Answer) -> None:
    """The same post again is answered with the decision that stands."""
    assert again.status == HTTPStatus.OK
    if race.is_by_api:
        assert again.json == {"approval": str(race.approval.pk), "status": "decided", "have": 1, "need": 1}
    else:
        assert f"{WORDS[race.verdict][1]} by {race.winner.user.label}" in again.text
