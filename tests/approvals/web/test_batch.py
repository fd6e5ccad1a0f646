"""Many alike together: what may be, what stands out, and that each is decided by itself."""

import re

import pytest
from django.urls import reverse

from agentdesk.audit.models import AuditEntry
from agentdesk.people.models import Membership, Role
from approvals.models import Approval, Decision
from approvals.web import batching, sampling
from tests.approvals.cast import make_approval, make_team, make_user, post

BATCH = "/approvals/batch/"


@pytest.fixture
def client(browse, reviewer):
    return browse(reviewer)


def ask(team, amount="10.00", **facts):
    return make_approval(team, **{"risk": "low", "args": {"order_id": "A-1", "amount": amount}, "args_schema": None, **facts})


def tokens_in(answer):
    return re.findall(r'name="item" value="([^"]*)"', answer.content.decode())


def test_each_gets_a_decision_and_an_entry_of_its_own(client, team, reviewer):
    approvals = [ask(team) for _number in range(3)]
    shown = client.get(BATCH, {"id": [each.pk for each in approvals]})
    answer = client.post(BATCH, {"item": tokens_in(shown)})
    assert "3 of 3 approved." in answer.content.decode()
    decisions = Decision.objects.filter(approval__in=approvals, verdict="approve", decided_by=reviewer)
    assert len(decisions) == 3
    assert all(decision.view_digest and decision.seconds_open is not None for decision in decisions)
    entries = AuditEntry.objects.filter(action="approval.decided")
    assert len(entries) == 3
    assert len({entry.act for entry in entries}) == 1, "one act"
    again = client.post(BATCH, {"item": tokens_in(shown)})
    assert "3 of 3 approved." in again.content.decode(), "the same post again gets the standing decisions"
    assert Decision.objects.count() == 3


def test_what_changed_or_was_decided_meanwhile_is_told_row_by_row(client, team, second):
    kept, changed, decided = (ask(team) for _number in range(3))
    shown = client.get(BATCH, {"id": [each.pk for each in (kept, changed, decided)]})
    post(decided, second, "reject", message="No.")
    Approval.objects.filter(pk=changed.pk).update(version=2, revision=2, digest="sha256:other")
    text = client.post(BATCH, {"item": tokens_in(shown)}).content.decode()
    assert "1 of 3 approved." in text
    assert "Already decided: Reject by Sam Ashby" in text
    assert "This has changed since it was shown." in text
    assert Approval.objects.get(pk=changed.pk).is_pending
    assert Approval.objects.get(pk=kept.pk).status == "decided"


@pytest.mark.parametrize(
    "facts",
    [
        {"risk": "medium"}, {"requirements": {"count": 2}}, {"kind": "interrupt"}, {"allowed": ["reject"]},
        {"requirements": {"message_required": True}}, {"action": "cancel_order"}, {"agent": "other"},
    ],
)  # fmt: skip
def test_nothing_else_is_among_them(client, team, facts):
    first, second, other = ask(team), ask(team), ask(team, **facts)
    shown = client.get(BATCH, {"id": [first.pk, second.pk, other.pk]})
    assert len(tokens_in(shown)) == 2
    assert "Left out" in shown.content.decode()
    alone = tokens_in(client.get(BATCH, {"id": [other.pk]}))
    client.post(BATCH, {"item": [*tokens_in(shown), *alone]})
    assert Approval.objects.get(pk=other.pk).is_pending


def test_it_has_a_cap_and_believes_no_forged_row(client, team, stranger, browse):
    approvals = [ask(team) for _number in range(batching.MOST + 1)]
    assert "At most 25 together." in client.get(BATCH, {"id": [each.pk for each in approvals]}).content.decode()
    one = tokens_in(client.get(BATCH, {"id": [approvals[0].pk]}))
    client.post(BATCH, {"item": [one[0] + "x", "nonsense"]})
    browse(stranger).post(BATCH, {"item": one})
    assert not Decision.objects.exists()
    assert tokens_in(browse(stranger).get(BATCH, {"id": [approvals[0].pk]})) == []
    assert "Nothing is selected." in client.get(BATCH, {"id": ["x"]}).content.decode()


def test_it_marks_what_differs_from_the_group_and_from_history(team, reviewer):
    for number in range(6):
        post(ask(team, amount=f"{10 + number}.00"), reviewer)
    usual, more = [ask(team) for _number in range(2)], ask(team, amount="90.00")
    table = batching.matrix([*usual, more])
    assert table.compared_with == 6
    amounts = [line.cells[table.labels.index("Amount")] for line in table.lines]
    assert [cell.differs for cell in amounts] == [False, False, True]
    assert [cell.unusual for cell in amounts] == ["", "", "more than any approved before: at most 15.00"]
    assert not any(cell.differs or cell.unusual for line in table.lines for cell in line.cells[1:])


def test_a_row_can_be_picked_only_where_it_may_be_batched(client, team):
    low, high = ask(team), ask(team, risk="high")
    text = client.get("/").content.decode()
    assert f'name="id" value="{low.pk}"' in text
    assert f'name="id" value="{high.pk}"' not in text
    assert reverse("approvals:batch") in text


def test_values_of_another_team_are_no_history(team):
    other = make_team("Other")
    for _number in range(6):
        make_approval(other, risk="low")
        post(Approval.objects.latest("pk"), make_user(other))
    assert batching.matrix([ask(team)]).compared_with == 0


def test_ticked_ones_that_are_not_shown_any_more_are_not_passed_over_in_silence(client, team, reviewer):
    finance = make_team("Finance")
    left = Membership.objects.create(user=reviewer, team=finance, role=Role.REVIEWER)
    mine, gone = ask(team), ask(finance)
    tokens = [tokens_in(client.get(BATCH, {"id": [each.pk]}))[0] for each in (mine, gone)]
    left.delete()
    text = client.post(BATCH, {"item": tokens}).content.decode()
    assert "1 of 1 approved." in text
    assert "1 of the ticked ones is not shown to you any more. Nothing was done about it." in text
    assert "Nothing was done about it." in client.post(BATCH, {"item": tokens[1:]}).content.decode()
    assert Approval.objects.get(pk=gone.pk).is_pending


def test_more_than_the_cap_are_refused_together(client, team):
    approval = ask(team)
    (token,) = tokens_in(client.get(BATCH, {"id": [approval.pk]}))
    text = client.post(BATCH, {"item": [token, *(f"x{number}" for number in range(batching.MOST))]}).content.decode()
    assert f"At most {batching.MOST} together." in text
    assert Approval.objects.get(pk=approval.pk).is_pending


def receipt_in(answer):
    return re.findall(r'name="read" value="([^"]*)"', answer.content.decode())[-1]


def test_some_of_very_many_are_read_whole_first(client, team):
    approvals = [ask(team, amount="90.00" if number == 5 else "10.00", reason=f"Reason {number}.") for number in range(11)]
    ids = [each.pk for each in approvals]
    first = client.get(BATCH, {"id": ids})
    text = first.content.decode()
    assert tokens_in(first) == []
    assert text.count('<article class="sec first sample"') == 3
    assert "Reason 5." in text, "what stands out is among them"
    shown = client.get(BATCH, {"id": ids, "read": receipt_in(first)})
    assert len(tokens_in(shown)) == 11
    done = client.post(BATCH, {"item": tokens_in(shown), "read": receipt_in(shown)})
    assert "11 of 11 approved." in done.content.decode()


def test_very_many_are_refused_whole_where_none_was_read(client, team, second, browse):
    approvals = [ask(team) for _number in range(11)]
    ids = [each.pk for each in approvals]
    receipt = receipt_in(client.get(BATCH, {"id": ids}))
    items = tokens_in(client.get(BATCH, {"id": ids, "read": receipt}))
    others = receipt_in(client.get(BATCH, {"id": ids[:10]}))
    for read in ("", "forged", others, receipt_in(browse(second).get(BATCH, {"id": ids}))):
        text = client.post(BATCH, {"item": items, "read": read}).content.decode()
        assert "Nothing was approved: some of so many are read first." in text
    assert not Decision.objects.exists()
    assert "10 of 10 approved." in client.post(BATCH, {"item": items[:10]}).content.decode(), "few need no reading"


def test_what_changed_since_it_was_read_is_read_again(client, team):
    approvals = [ask(team) for _number in range(11)]
    ids = [each.pk for each in approvals]
    receipt = receipt_in(client.get(BATCH, {"id": ids}))
    Approval.objects.filter(pk=ids[0]).update(version=2, revision=2)
    assert tokens_in(client.get(BATCH, {"id": ids, "read": receipt})) == []


@pytest.mark.parametrize("odd", [[], [3], [3, 4], [0, 1, 2, 3]])
def test_what_stands_out_is_read_before_the_rest(team, odd):
    approvals = [ask(team, amount="90.00" if number in odd else "10.00") for number in range(11)]
    samples = sampling.samples_of(batching.matrix(approvals).lines)
    assert len({line.approval.pk for line in samples}) == 3
    chosen = {approvals.index(line.approval) for line in samples}
    assert set(odd[:3]) <= chosen
    if not odd:
        assert chosen == {0, 5, 10}
