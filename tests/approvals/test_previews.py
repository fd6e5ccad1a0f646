"""Asking what a call would do before deciding: who may, how often, and what comes of it."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from agentdesk.audit.record import Actor
from approvals import previews, sources
from approvals.erasure import erase_content
from approvals.errors import NotAllowed, NotCurrent, NotFound
from approvals.models import Preview, Tool
from tests.approvals.cast import entries, make_approval, make_team, make_user, post


class Asker:
    def __init__(self):
        self.wanted = []

    def make_preview(self, approval):
        self.wanted.append(approval.pk)


@pytest.fixture
def asker(monkeypatch):
    asker = Asker()
    monkeypatch.setitem(sources._sources, "tests", asker)
    return asker


def cast(dry_run=True):
    team = make_team()
    Tool.objects.create(agent="support", name="issue_refund", team=team, dry_run=dry_run)
    return make_approval(team, source="tests"), make_user(team, name="reviewer")


@pytest.fixture
def asked(db, asker):
    return cast()


def ask(approval, user):
    return previews.ask(approval.pk, actor=Actor.of(user, "web"))


def test_it_is_asked_for_once_while_it_is_under_way(asked, asker):
    approval, reviewer = asked
    first = ask(approval, reviewer)
    assert ask(approval, reviewer) == first
    assert asker.wanted == [approval.pk]
    (entry,) = entries(approval, "approval.preview_asked")
    assert (entry.actor_id, entry.after) == (reviewer.pk, {"digest": approval.digest, "version": 1})


def test_what_comes_of_it_is_on_record_and_changes_nothing_else(asked):
    approval, reviewer = asked
    preview = ask(approval, reviewer)
    assert previews.done(approval.pk, preview.revision, would={"refund": "240.00"})
    made = previews.of(approval)
    assert (made.would, made.error, previews.is_under_way(made)) == ({"refund": "240.00"}, None, False)
    (entry,) = entries(approval, "approval.previewed")
    assert entry.content.body == {"would": {"refund": "240.00"}, "error": None}
    approval.refresh_from_db()
    assert (approval.status, approval.revision) == ("pending", 1)


def test_one_that_comes_twice_or_late_changes_nothing(asked):
    approval, reviewer = asked
    first = ask(approval, reviewer)
    Preview.objects.update(asked_at=timezone.now() - previews.LOST)
    second = ask(approval, reviewer)
    assert second.revision > first.revision, "a lost one is asked for again"
    assert not previews.done(approval.pk, first.revision, would="late")
    assert previews.done(approval.pk, second.revision, would="in time")
    assert not previews.done(approval.pk, second.revision, would="again")
    assert previews.of(approval).would == "in time"


def test_not_twice_within_a_moment_then_again(asked, asker):
    approval, reviewer = asked
    previews.done(approval.pk, ask(approval, reviewer).revision, would=1)
    ask(approval, reviewer)
    assert len(asker.wanted) == 1
    Preview.objects.update(asked_at=timezone.now() - previews.PAUSE - timedelta(seconds=1))
    ask(approval, reviewer)
    assert len(asker.wanted) == 2


def test_of_two_at_once_one_asks(committed, asker):
    approval, one = cast()
    two = make_user(approval.team, name="other")
    ready = threading.Barrier(2)

    def act(who):
        ready.wait()
        ask(approval, who)
        connection.close()

    threads = [threading.Thread(target=act, args=[who]) for who in (one, two)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asker.wanted) == 1


def test_only_who_may_decide_asks(asked, asker):
    approval, _reviewer = asked
    with pytest.raises(NotAllowed):
        ask(approval, make_user(approval.team, role="operator"))
    with pytest.raises(NotFound):
        ask(approval, make_user(make_team("Other")))
    with pytest.raises(NotAllowed):
        previews.ask(approval.pk, actor=Actor.desk())
    assert asker.wanted == []


def test_not_where_nobody_can_say_and_not_after_the_decision(db, asker):
    approval, reviewer = cast(dry_run=False)
    with pytest.raises(NotCurrent, match="Nobody can say"):
        ask(approval, reviewer)
    Tool.objects.update(dry_run=True)
    post(approval, reviewer)
    with pytest.raises(NotCurrent):
        ask(approval, reviewer)
    assert asker.wanted == []


def test_one_of_other_arguments_is_not_shown(asked):
    approval, reviewer = asked
    approval.requirements["count"] = 2
    approval.save()
    previews.done(approval.pk, ask(approval, reviewer).revision, would=1)
    post(approval, reviewer, "modify", args={"order_id": "A-1", "amount": "1.00"})
    approval.refresh_from_db()
    assert approval.version == 2
    assert previews.of(approval) is None


def test_it_goes_with_the_content_of_its_run(asked):
    approval, reviewer = asked
    previews.done(approval.pk, ask(approval, reviewer).revision, would={"secret": 1})
    post(approval, reviewer)
    erase_content(approval.source, approval.source_ref)
    assert Preview.objects.get().would is None
