"""The decision page: the card that everybody sees alike, and the panel that is the viewer's own."""

import re

import pytest
from django.core import signing
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from agentdesk.digests import digest
from approvals import sources
from approvals.handover import mark_delivered
from approvals.models import Approval
from approvals.requests import touch
from approvals.web import fragments
from approvals.web.panel import SEEN, Seen, read_seen
from tests.approvals.cast import ALL, ARGS, make_approval, make_rule, make_user
from tests.approvals.cast import post as decide
from tests.approvals.web.conftest import post


class Asker:
    """A source that answers from memory."""

    told = None

    def panels(self, ref):
        return [sources.Panel("Run", "approvals/_state.html", {"state": {"icon": "check", "tone": "", "word": f"of {ref}"}})]

    def preview_answer(self, approval, decision):
        return {"decision": decision.verdict}

    def outcome(self, ref):
        return self.told

    def read(self, ref, steps):
        return {}

    def fates(self, approvals):
        return {}

    def stops(self, ref, user):
        return ""


def queries_of(client, approval):
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert client.get(reverse("approvals:detail", args=[approval.pk])).status_code == 200
    return len(captured)


def test_it_takes_as_many_queries_whatever_waits_beside_it_and_was_decided_before(browse, reviewer, second, team):
    """Also when nothing is kept of an earlier page: the first time, the rail's approvals are read in one query more."""
    client = browse(reviewer)

    def work(many):
        for number in range(many):
            decide(make_approval(team), second)
            make_approval(team, risk=("low", "medium", "high", "critical")[number % 4])

    work(2)
    approval = make_approval(team, args_schema=None)
    few = queries_of(client, approval)
    work(12)
    for _number in range(3):
        make_user(team)
    later = make_approval(team, args_schema=None)
    assert queries_of(client, later) == few <= 29
    assert queries_of(client, later) == few - 1


@pytest.fixture
def asker(monkeypatch):
    asker = Asker()
    monkeypatch.setitem(sources._sources, "tests", asker)
    return asker


def address(approval, name="detail"):
    return reverse(f"approvals:{name}", args=[approval.pk])


def test_it_hides_everything_of_another_team(browse, stranger, approval):
    client = browse(stranger)
    for name in ("detail", "card", "panel"):
        assert client.get(address(approval, name)).status_code == 404
    assert post(client, approval).status_code == 404
    approval.refresh_from_db()
    assert approval.is_pending


def test_it_shows_to_reviewers_whom_a_rule_names(browse, stranger, team):
    make_rule("ask", teams=(stranger.teams.get(),))
    waiting = make_approval(team, requirements={"teams": [str(stranger.teams.get().pk)], "count": 1})
    assert browse(stranger).get(address(waiting)).status_code == 200


def test_it_answers_get_only_and_changes_nothing_by_it(browse, reviewer, approval):
    client = browse(reviewer)
    before = Approval.objects.values().get(pk=approval.pk)
    for name in ("detail", "card", "panel"):
        assert client.get(address(approval, name)).status_code == 200
        assert client.post(address(approval, name)).status_code == 405
    assert client.get(address(approval, "decide")).status_code == 405
    assert Approval.objects.values().get(pk=approval.pk) == before


def test_it_renders_one_card_for_page_fragment_and_push(browse, reviewer, second, approval, asker):
    Approval.objects.filter(pk=approval.pk).update(source="tests")
    version, pushed = fragments.push_card(str(approval.pk), 1)
    assert browse(reviewer).get(address(approval, "card")).content.decode() == pushed
    assert pushed in browse(second).get(address(approval)).content.decode()
    assert f'data-v="{version}"' in pushed
    assert "csrf" not in pushed
    assert "<form" not in pushed


def test_it_shows_what_the_asker_tells_of_its_run_and_the_exact_answer(browse, reviewer, team, asker):
    waiting = make_approval(team, source="tests", source_ref="R-1")
    page = browse(reviewer).get(address(waiting)).content.decode()
    assert "of R-1" in page
    assert "&quot;decision&quot;: &quot;approve&quot;" in page


def test_it_says_who_wrote_what(browse, reviewer, approval):
    card = browse(reviewer).get(address(approval, "card")).content.decode()
    assert "Written by the agent, not verified" in card
    assert "From outside, not verified" in card
    assert card.index("Issue refund 240.00 for order A-1") < card.index("The tent arrived torn.")


def test_it_keeps_what_agents_and_outsiders_write_inert(browse, reviewer, team):
    hostile = '<script>alert(1)</script><p hx-get="/accounts/logout/" onclick="x()">javascript:alert(1)</p>{{ 7|add:1 }}\u202e'
    waiting = make_approval(
        team, reason=hostile, subject=hostile, description=hostile, action=f"send_{hostile[:60]}",
        args={"order_id": hostile, "amount": hostile * 20, hostile[:40]: [hostile]}, args_schema=None,
    )  # fmt: skip
    client = browse(reviewer)
    for html in (
        client.get(address(waiting)).content.decode(),
        client.get("/approvals/").content.decode(),
        fragments.push_row(str(waiting.pk), 1)[1],
    ):
        assert "<script>alert" not in html
        assert 'hx-get="/accounts/logout/"' not in html
        assert "<p hx-get" not in html
        assert 'onclick="x()"' not in html
        assert 'href="javascript:' not in html
    assert "\u202e" not in client.get(address(waiting, "card")).content.decode()
    assert "U+202E" in client.get(address(waiting, "card")).content.decode()


def test_it_explains_the_rule_with_the_values_that_it_met(browse, reviewer, team):
    from approvals.policy.evaluate import Facts
    from approvals.policy.record import evaluate_action

    make_rule("ask", name="Refunds over 200", conditions=[{"path": "amount", "op": ">", "value": "200"}])
    make_rule("ask", name="Only abroad", conditions=[{"path": "amount", "op": ">", "value": "900"}])
    args = {"order_id": "A-1", "amount": "240.00"}
    evaluation = evaluate_action(Facts(agent="support", team_id=team.pk, action="issue_refund", args=args), "runs", "x")
    waiting = make_approval(team, args=args, evaluation=evaluation, requirements=evaluation.requirements)
    card = browse(reviewer).get(address(waiting, "card")).content.decode()
    assert "Refunds over 200" in card
    assert "amount is over 200" in card
    assert "240.00" in card
    assert "Only abroad" not in card


def test_it_says_counts_and_hours_in_plain_words(browse, reviewer, team):
    from approvals.policy.evaluate import Facts
    from approvals.policy.record import evaluate_action

    conditions = [
        {"path": "@count.1h", "op": ">=", "value": 1}, {"path": "@sum.run.amount", "op": ">", "value": 5},
        {"path": "@time.Asia/Tokyo", "op": "between", "value": "00:00-23:59"}, {"path": "@confidence", "op": "<", "value": 0.9},
    ]  # fmt: skip
    make_rule("ask", conditions=conditions)
    seen = Facts(agent="support", team_id=team.pk, action="issue_refund", args=ARGS, confidence=0.5)
    evaluation = evaluate_action(seen, "runs", "x")
    waiting = make_approval(team, evaluation=evaluation, requirements=evaluation.requirements)
    card = browse(reviewer).get(address(waiting, "card")).content.decode()
    for words in (
        "the number of calls within 1h is at least 1",
        "the sum of amount in this run is over 5",
        "the time of day (Asia/Tokyo) is between 00:00-23:59",
        "the agent&#x27;s own confidence is under 0.9",
        "240.00",
    ):
        assert words in card  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "text"), [({"schema_changed": True}, "changed since an admin"), ({"tool_known": False}, "No admin has labelled")]
)
def test_it_says_that_the_tool_is_why_it_asks(browse, reviewer, team, facts, text):
    from approvals.policy.evaluate import Facts
    from approvals.policy.record import evaluate_action

    make_rule("allow")
    seen = Facts(agent="support", team_id=team.pk, action="issue_refund", args=ARGS, **facts)
    evaluation = evaluate_action(seen, "runs", "x")
    waiting = make_approval(team, evaluation=evaluation, requirements=evaluation.requirements)
    assert text in browse(reviewer).get(address(waiting, "card")).content.decode()


def test_it_tells_why_somebody_may_not_decide(browse, team, approval):
    operator = make_user(team, role="operator", name="kim")
    panel = browse(operator).get(address(approval, "panel")).content.decode()
    assert "Only reviewers of Support decide this." in panel
    assert "<form" not in panel


def test_it_offers_only_what_is_allowed(browse, reviewer, team):
    client = browse(reviewer)
    for allowed in (["approve", "reject"], ["respond"], list(ALL)):
        panel = client.get(address(make_approval(team, allowed=allowed), "panel")).content.decode()
        assert re.findall(r'name="verdict" value="(\w+)"', panel) == allowed


def test_it_gives_a_key_that_decides_to_low_risk_only(browse, reviewer, team):
    client = browse(reviewer)
    button, panels = {}, {}
    for risk in ("low", "medium", "high", "critical"):
        panels[risk] = client.get(address(make_approval(team, risk=risk), "panel")).content.decode()
        button[risk] = re.search(r'<button class="btn solid wide"([^>]*)>', panels[risk])[1]
    assert button["low"] == ' data-act="approve" aria-keyshortcuts="a"'
    assert "data-act" not in button["medium"], "its key opens what will happen"
    assert '<summary class="btn solid wide" data-act="approve" aria-keyshortcuts="a">' in panels["medium"]
    assert "data-act" not in button["high"] + button["critical"]
    assert 'data-act="approve"' not in panels["high"] + panels["critical"]


def signed_in_the_form_of(client, approval):
    return re.search(r'name="seen" value="([^"]+)"', client.get(address(approval, "panel")).content.decode())[1]


def test_it_signs_what_was_on_the_screen(browse, reviewer, approval):
    client = browse(reviewer)
    seen = signed_in_the_form_of(client, approval)
    read = read_seen(seen, approval)
    assert read.view_digest == digest(client.get(address(approval, "card")).content.decode())
    assert 0 <= read.seconds_open < 60
    assert read.decision_id is not None
    assert read_seen(seen[:-1] + "x", approval) == Seen()
    assert read_seen("", approval) == Seen()


def test_what_it_signed_holds_for_one_version_of_one_approval(browse, reviewer, team, approval):
    seen = signed_in_the_form_of(browse(reviewer), approval)
    assert read_seen(seen, make_approval(team)) == Seen()
    approval.version += 1
    assert read_seen(seen, approval) == Seen()
    two_parts = signing.dumps(["sha256:0", 1.0], salt=SEEN)  # as an earlier release signed it
    assert read_seen(two_parts, approval) == Seen()


def test_it_tells_what_came_of_the_decision(browse, reviewer, team, asker):
    waiting = make_approval(team, source="tests", source_ref="R-2")
    decide(waiting, reviewer)
    asker.told = {
        "run": {"id": str(waiting.pk), "status": "succeeded", "title": "Ticket 1"},
        "calls": {
            str(waiting.pk): {
                "status": "succeeded", "result": "refunded <240.00>", "error": None, "args": {},
                "digest": "d", "approved_digest": "d",
            }
        },
    }  # fmt: skip
    touch(waiting.pk)
    card = browse(reviewer).get(address(waiting, "card")).content.decode()
    assert "What ran is what was approved." in card
    assert "refunded &lt;240.00&gt;" in card


def test_it_brings_the_open_card_up_to_date_when_a_decision_was_handed_over(team, reviewer, django_capture_on_commit_callbacks):
    waiting = make_approval(team)
    decision = decide(waiting, reviewer, "reject", message="No.").decision
    before = Approval.objects.get(pk=waiting.pk).revision
    with django_capture_on_commit_callbacks(execute=True):
        assert mark_delivered([decision.pk]) == 1
    assert Approval.objects.get(pk=waiting.pk).revision == before + 1


def test_it_shows_earlier_decisions_on_the_same_action(browse, reviewer, team):
    earlier = make_approval(team)
    decide(earlier, reviewer)
    card = browse(reviewer).get(address(make_approval(team), "card")).content.decode()
    assert address(earlier) in card
    assert (
        address(earlier)
        not in browse(reviewer).get(address(make_approval(team, action="cancel_order"), "card")).content.decode()
    )


def test_it_leads_through_the_queue(browse, reviewer, team):
    first, middle, last = (make_approval(team, risk=risk) for risk in ("critical", "medium", "low"))
    page = browse(reviewer).get(address(middle)).content.decode()
    assert "2 of 3" in page
    assert f'href="{address(first)}" data-act="previous"' in page
    assert f'href="{address(last)}" data-act="next"' in page


def test_a_question_to_the_agent_and_the_call_that_follows_show_one_another(browse, reviewer, team):
    client = browse(reviewer)
    first = make_approval(team, allowed=("approve", "reject", "ask"))
    nothing = post(client, first, "ask", message=" ")
    assert nothing.status_code == 422
    assert "Write what you want to know." in nothing.text
    answer = post(client, first, "ask", message="Which <b>tent</b>?")
    assert answer.status_code == 200
    assert "Sent back with a question by Robin Vale" in answer.text
    assert "When the agent makes this call again, it is linked here." in answer.text
    successor = make_approval(team, source_ref=first.source_ref, follows_id=first.pk, args={**ARGS, "amount": "12.00"})
    card = client.get(reverse("approvals:card", args=[successor.pk])).text
    assert "Robin Vale asked the agent before:" in card
    assert "Which &lt;b&gt;tent&lt;/b&gt;?" in card
    assert reverse("approvals:detail", args=[first.pk]) in card
    before = client.get(reverse("approvals:card", args=[first.pk])).text
    assert "The agent made the call again:" in before
    assert reverse("approvals:detail", args=[successor.pk]) in before
    assert "after a question" in client.get(reverse("approvals:inbox")).text


def test_who_may_ask_is_offered_it_and_nobody_else(browse, reviewer, team):
    offered = make_approval(team, allowed=("approve", "reject", "ask"))
    client = browse(reviewer)
    assert "Send the question" in client.get(reverse("approvals:panel", args=[offered.pk])).text
    assert "Send the question" not in client.get(reverse("approvals:panel", args=[make_approval(team).pk])).text
