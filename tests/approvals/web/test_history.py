"""How people decided before, what they regret since, and the mark that says so."""

import threading
from itertools import count

import pytest
from django.db import connection
from django.urls import reverse

from agentdesk.audit.record import Actor
from agentdesk.digests import decode
from approvals import regrets, sources
from approvals.erasure import erase_content
from approvals.errors import Invalid, NotAllowed, NotCurrent, NotFound
from approvals.models import Regret
from approvals.web import fragments
from tests.approvals.cast import entries, make_approval, make_team, make_user
from tests.approvals.cast import post as decide
from tests.approvals.web.test_approval_page import Asker


class Knowing(Asker):
    """Of the calls it was asked about, it knows what became of the first two."""

    def __init__(self):
        self.seen = []

    def fates(self, approvals):
        self.seen = list(approvals)
        return dict(zip(sorted(approvals), ["undone", "failed"], strict=False))


@pytest.fixture
def decided(team, reviewer):
    """Return a function that makes a decided approval."""
    numbers = count()

    def make(verdict="approve", **facts):
        approval = make_approval(team, risk="low", **facts)
        more = {"message": f"Because of {next(numbers)}."} if verdict == "reject" else {}
        decide(approval, reviewer, verdict, **more)
        approval.refresh_from_db()
        return approval

    return make


def mark(approval, user, reason="Charged twice.", **facts):
    return regrets.regret(approval.pk, reason, actor=Actor.of(user, "web"), **facts)


def card(approval):
    return fragments.render_card(fragments.load(approval.pk))


def test_it_tells_outcome_reason_and_base_rate(team, decided):
    decided(), decided(), decided("reject")
    shown = card(make_approval(team, risk="low"))
    assert "Of the last 3: 2 approved, 1 rejected." in shown
    assert "Because of" in shown
    assert shown.count("nothing known") == 3


def test_it_tells_what_was_undone_failed_or_turned_out_wrong(team, decided, reviewer, monkeypatch):
    monkeypatch.setitem(sources._sources, "tests", Knowing())
    first, second, third, fourth = decided(), decided(), decided(), decided("reject")
    mark(third, reviewer)
    shown = card(make_approval(team, risk="low", source="tests"))
    for words in ("Later undone", "Failed", "Turned out wrong", "Charged twice."):
        assert words in shown
    assert "Of the last 4: 3 approved, 1 rejected; 3 later regretted, undone or failed." in shown
    assert fourth.pk not in sources._sources["tests"].seen, "what was rejected has no call"
    assert {first.pk, second.pk} <= set(sources._sources["tests"].seen)


def test_a_grave_action_shows_history_and_words_only_when_asked(team, decided):
    decided(), decided()
    for risk, folded in (("medium", False), ("high", True), ("critical", True)):
        shown = card(make_approval(team, risk=risk, reason="Trust me.", subject="Order A-1"))
        assert ('id="decided-before"' in shown) == folded
        assert ('id="agents-words"' in shown) == folded
        assert ('id="evidence-subject" data-evidence>' in shown) == folded
        assert ('id="evidence-subject" data-evidence open>' in shown) != folded


def test_history_costs_the_same_however_long_it_is(team, decided, django_assert_num_queries):
    from approvals.web.history import history

    decided(), decided()
    waiting = make_approval(team, risk="low")
    with django_assert_num_queries(3):
        assert len(history(waiting, None).last) == 2
    for _each in range(6):
        decided()
    waiting = make_approval(team, risk="low")
    with django_assert_num_queries(3):
        assert len(history(waiting, None).last) == 5


def test_marking_is_on_record_and_shown_and_can_be_taken_back(decided, reviewer, second):
    approval = decided()
    made = mark(approval, reviewer)
    (entry,) = entries(approval, "approval.regretted")
    assert (entry.actor_id, decode(entry.after), entry.content.body) == (
        reviewer.pk, {"regret": made.pk}, {"reason": "Charged twice."},
    )  # fmt: skip
    assert "says that this turned out wrong:" in card(approval)
    before = approval.revision
    approval.refresh_from_db()
    assert approval.revision > before, "open pages hear of it"
    assert regrets.withdraw(approval.pk, actor=Actor.of(second, "web")) is True
    assert regrets.withdraw(approval.pk, actor=Actor.of(second, "web")) is False
    assert len(entries(approval, "approval.regret_withdrawn")) == 1
    assert "turned out wrong" not in card(approval)
    assert mark(approval, second, "Again.").pk != made.pk
    assert Regret.objects.count() == 2


def test_the_same_mark_twice_is_one_and_somebody_elses_is_refused(decided, reviewer, second):
    approval = decided()
    assert mark(approval, reviewer) == mark(approval, reviewer)
    with pytest.raises(NotCurrent, match="Robin Vale has marked this already"):
        mark(approval, second)
    assert len(entries(approval, "approval.regretted")) == 1


def test_who_may_not_decide_it_nor_operates_the_team_may_not_mark(team, decided, stranger):
    approval = decided()
    program = make_user(team, name="program", kind="service")
    with pytest.raises(NotAllowed):
        mark(approval, program)
    with pytest.raises(NotFound):
        mark(approval, stranger)
    assert mark(approval, make_user(team, role="operator", name="kim"))


def test_only_what_people_decided_can_turn_out_wrong(team, reviewer, decided):
    with pytest.raises(NotCurrent):
        mark(make_approval(team), reviewer)
    for reason in ("", "  ", "x" * (regrets.LONGEST + 1)):
        with pytest.raises(Invalid):
            mark(decided(), reviewer, reason)


def test_two_at_once_make_one_mark(committed):
    team = make_team()
    people = [make_user(team), make_user(team)]
    approval = make_approval(team, risk="low")
    decide(approval, people[0])
    ready, refused = threading.Barrier(2), []

    def act(user):
        ready.wait()
        try:
            mark(approval, user)
        except NotCurrent as error:
            refused.append(error)
        connection.close()

    threads = [threading.Thread(target=act, args=[user]) for user in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (Regret.objects.count(), len(refused)) == (1, 1)


def test_its_reason_is_erased_with_the_run(decided, reviewer):
    approval = decided()
    mark(approval, reviewer)
    erase_content(approval.source, approval.source_ref)
    assert Regret.objects.get().reason == ""
    assert "Charged twice." not in card(approval)


def test_the_page_marks_and_takes_back(browse, reviewer, decided):
    approval, client = decided(), browse(reviewer)
    address = reverse("approvals:regret", args=[approval.pk])
    assert address in client.get(reverse("approvals:panel", args=[approval.pk])).text
    assert "What went wrong" in client.get(address).text
    refused = client.post(address, {"reason": "x" * 2_001})
    assert (refused.status_code, "x" * 2_001 in refused.text) == (422, True)
    assert "Say what went wrong" in refused.text
    done = client.post(address, {"reason": "Charged\r\ntwice."})
    assert (done.status_code, done["Location"]) == (302, f"/approvals/{approval.pk}/")
    assert Regret.objects.get().reason == "Charged\ntwice."
    assert "Take this mark back" in client.get(address).text
    assert client.post(address, {"reason": "Again."}).status_code == 409
    assert client.post(address, {"act": "withdraw"}).status_code == 302
    assert Regret.objects.get().withdrawn_at is not None


def test_the_panel_offers_no_mark_to_who_may_not(browse, decided, stranger, team, approval, reviewer):
    assert "turned out wrong" not in browse(reviewer).get(reverse("approvals:panel", args=[approval.pk])).text
    address = reverse("approvals:regret", args=[decided().pk])
    assert browse(stranger).post(address, {"reason": "x"}).status_code == browse(stranger).get(address).status_code == 404
    waiting = browse(reviewer).get(reverse("approvals:regret", args=[approval.pk]))
    assert "Only what people decided can turn out wrong." in waiting.text
