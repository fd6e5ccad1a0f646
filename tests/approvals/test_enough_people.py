"""Random rules, edits and votes by the thousand: nothing is carried out under fewer people than its arguments need.

What counts people is pure, so it is compared here with a count that knows nothing of how it is done; the same against the
database, with fewer examples, is in test_quorum.
"""

from itertools import permutations
from random import Random
from uuid import UUID

from approvals.errors import NotAllowed
from approvals.models import Approval
from approvals.models.rules import Effect
from approvals.policy.evaluate import Facts, ReadyRules, evaluate
from approvals.policy.requirements import Requirements, freeze, progress
from approvals.votes import united
from tests.approvals.policy.test_evaluate import rule

MANY = 5_000
SEED = 4
TEAMS = [UUID(int=number) for number in range(1, 4)]
PEOPLE = [UUID(int=number) for number in range(100, 105)]


def some_rules(random: Random) -> ReadyRules:
    """Rules that ask more, or deny, the larger the amount; sometimes one that allows small ones."""
    made = [
        rule(
            random.choice(["ask", "ask", "ask", "deny"]) if random.random() < 0.9 else "allow",
            conditions=[{"path": "amount", "op": random.choice([">", "<="]), "value": random.randrange(100)}],
            reviewer_teams=(teams := [str(team) for team in random.sample(TEAMS, random.randrange(3))]),
            count=random.randint(1, 3), from_teams=random.randint(1, max(1, len(teams))), priority=number,
        )
        for number in range(random.randint(1, 5))
    ]  # fmt: skip
    return ReadyRules.of(made)


def judged(amount: int, rules: ReadyRules):
    return evaluate(Facts("support", TEAMS[0], "issue_refund", {"amount": amount}), rules)


def agree(wanted: Requirements, voters: dict[UUID, set[UUID]]) -> bool:
    """Whether these people are enough, told the long way round: somebody for each seat of each group."""
    for group in wanted["groups"]:
        teams = {UUID(team) for team in group["teams"]} or {TEAMS[0]}
        eligible = [reviews & teams for reviews in voters.values() if reviews & teams]
        spread = group["from_teams"] == 1 or any(
            all(team in person for team, person in zip(order, chosen, strict=True))
            for order in permutations(teams, group["from_teams"])
            for chosen in permutations(eligible, group["from_teams"])
        )
        if len(eligible) < group["count"] or not spread:
            return False
    return True


def some_voters(random: Random) -> dict[UUID, set[UUID]]:
    people = random.sample(PEOPLE, random.randrange(len(PEOPLE) + 1))
    return {person: set(random.sample(TEAMS, random.randint(0, 2))) for person in people}


def test_no_edit_is_carried_out_under_fewer_people_than_its_arguments_need(record_property):
    random, refused, carried_out, waiting = Random(SEED), 0, 0, 0
    for _number in range(MANY):
        rules = some_rules(random)
        asked = judged(random.randrange(100), rules)
        approval = Approval(
            team_id=TEAMS[0], requirements=freeze(asked.requirements, TEAMS[0]), agent="support", action="issue_refund"
        )
        edited = judged(random.randrange(100), rules)
        try:
            needed = united(approval, edited.effect, edited.requirements, [one.as_json() for one in edited.rules])
        except NotAllowed:
            assert edited.effect == Effect.DENY
            refused += 1
            continue
        assert edited.effect != Effect.DENY
        voters = some_voters(random)
        have, need = progress(needed, voters)
        if have < need:
            waiting += 1
            continue
        carried_out += 1
        assert agree(asked.requirements, voters)
        if edited.effect == Effect.ASK:
            assert agree(edited.requirements, voters)
    record_property("edits", f"{MANY}: {refused} refused by a rule, {waiting} wait for more people, {carried_out} carried out")
    assert min(refused, carried_out, waiting) > MANY // 50


def test_votes_are_enough_exactly_when_enough_distinct_eligible_people_agreed(record_property):
    random, enough = Random(SEED), 0
    for _number in range(MANY):
        asked = judged(random.randrange(100), some_rules(random))
        wanted = freeze(asked.requirements, TEAMS[0])
        voters: dict[UUID, set[UUID]] = {}
        have, need = progress(wanted, voters)
        assert have < need
        for person in random.choices(PEOPLE, k=random.randint(1, 6)):  # some vote twice
            voters.setdefault(person, set(random.sample(TEAMS, random.randint(0, 2))))
            before = have
            have, need = progress(wanted, voters)
            assert before <= have <= need
            assert (have == need) == agree(wanted, voters)
        enough += have == need
    record_property("sequences of votes", f"{MANY}: {enough} were enough")
    assert MANY // 20 < enough < MANY
