"""Deciding by the form: with and without JavaScript, wrongly filled, too late, and not by others."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from agentdesk.digests import decode
from approvals.models import Approval, Decision
from approvals.states import Status
from tests.approvals.cast import make_approval
from tests.approvals.cast import post as decide
from tests.approvals.web.conftest import binding, looked_at, post


@pytest.fixture
def client_of(browse, reviewer):
    return browse(reviewer)


def panel_of(client, approval):
    return client.get(reverse("approvals:panel", args=[approval.pk])).content.decode()


def card_of(client, approval):
    return client.get(reverse("approvals:card", args=[approval.pk])).content.decode()


def test_it_approves_and_answers_with_panel_and_card(client_of, approval):
    response = post(client_of, approval)
    assert response.status_code == 200
    html = response.content.decode()
    assert html.startswith('<aside class="panel" id="panel"')
    assert '<hx-partial hx-target="#approval" hx-swap="outerMorph"><article id="approval"' in html
    assert html.count("Approved by Robin Vale") >= 2
    assert Decision.objects.get(approval=approval).verdict == "approve"


def test_it_works_without_javascript(client_of, approval):
    response = post(client_of, approval, htmx=False)
    assert response.status_code == 302
    page = client_of.get(response["Location"]).content.decode()
    assert "Recorded. The run goes on with exactly this." in page
    assert "Approved by Robin Vale" in page


def test_it_stores_what_was_on_the_screen_and_for_how_long(client_of, approval):
    seen = re.search(r'name="seen" value="([^"]+)"', panel_of(client_of, approval))[1]
    post(client_of, approval, seen=seen)
    decision = Decision.objects.get(approval=approval)
    assert decision.view_digest.startswith("sha256:")
    assert decision.seconds_open is not None


def test_it_modifies_by_the_form_of_the_schema(client_of, approval):
    response = post(client_of, approval, "modify", **{"args-amount": "212.50", "args-order_id": "A-1", "message": "less"})
    assert response.status_code == 200
    approval.refresh_from_db()
    assert decode(approval.args) == {"order_id": "A-1", "amount": "212.50"}
    assert approval.version == 2
    assert "Modified by Robin Vale" in response.content.decode()
    assert "<del>240.00</del>" in response.content.decode()


@pytest.mark.parametrize(("htmx", "root"), [(True, '<aside class="panel"'), (False, "<!doctype html>")])
def test_it_puts_a_wrong_value_back_with_the_reason_at_its_field(client_of, approval, htmx, root):
    response = post(
        client_of, approval, "modify", htmx=htmx, **{"args-amount": "a lot", "args-order_id": "A-1", "message": "why"}
    )
    html = response.content.decode()
    assert response.status_code == 422
    assert html.startswith(root)
    assert 'value="a lot"' in html
    assert 'aria-invalid="true"' in html
    assert ">why</textarea>" in html
    assert 'id="act-modify" open' in html
    approval.refresh_from_db()
    assert (approval.status, approval.version) == (Status.PENDING, 1)


def test_it_rejects_only_with_a_reason(client_of, approval):
    refused = post(client_of, approval, "reject", message="  ")
    assert refused.status_code == 422
    assert "Give a reason" in refused.content.decode()
    assert post(client_of, approval, "reject", message="The photo shows another tent.").status_code == 200
    assert Decision.objects.get(approval=approval).message == "The photo shows another tent."


def test_it_responds_in_the_tools_stead(client_of, approval):
    assert post(client_of, approval, "respond", answer=" Ask for a photo first. ").status_code == 200
    assert decode(Decision.objects.get(approval=approval).answer) == "Ask for a photo first."


def test_it_offers_listed_answers_as_choices(client_of, team):
    doubt = make_approval(
        team, kind="in_doubt", allowed=["respond"], answer_schema={"enum": ["happened", "did_not_happen", "retry"]}
    )
    assert re.findall(r'type="radio" name="answer" value="(\w+)"', panel_of(client_of, doubt)) == [
        "happened", "did_not_happen", "retry",
    ]  # fmt: skip
    assert post(client_of, doubt, "respond", answer="nonsense").status_code == 422
    assert post(client_of, doubt, "respond", answer="happened").status_code == 200


@pytest.mark.parametrize(
    ("schema", "typed", "answer"),
    [
        (
            {"type": "object", "properties": {"days": {"type": "integer"}}, "required": ["days"]},
            {"answer-days": "3"},
            {"days": 3},
        ),
        ({"type": "integer"}, {"answer-value": "3"}, 3),
        ({"type": "string"}, {"answer": "three"}, "three"),
    ],
)
def test_it_makes_a_form_of_the_answers_schema(client_of, team, schema, typed, answer):
    question = make_approval(team, kind="interrupt", action="interrupt:days", allowed=["respond"], answer_schema=schema)
    assert f'name="{next(iter(typed))}"' in panel_of(client_of, question)
    assert post(client_of, question, "respond", **typed).status_code == 200
    assert decode(Decision.objects.get(approval=question).answer) == answer


def test_it_asks_for_a_reason_at_high_risk(client_of, team):
    risky = make_approval(team, risk="high")
    assert "Give a reason" in post(client_of, risky, **looked_at(risky)).text
    assert post(client_of, risky, **looked_at(risky, message="Checked the photo.")).status_code == 200


def test_it_asks_for_the_typed_name_at_critical_risk(client_of, team):
    risky = make_approval(team, risk="critical")
    assert "Type A-1 to confirm" in panel_of(client_of, risky)
    wrong = post(client_of, risky, **looked_at(risky, message="Checked.", confirm="A-2"))
    assert wrong.status_code == 422
    assert ">Checked.</textarea>" in wrong.content.decode()
    answer = post(client_of, risky, **looked_at(risky, message="Checked.", confirm="A-1"))
    assert answer.status_code == 403, "see test_proof.py"
    assert ">Checked.</textarea>" in answer.content.decode()


def test_it_tells_the_loser_who_decided_what_and_keeps_the_text(client_of, approval, second):
    decide(approval, second)
    response = post(client_of, approval, "modify", **{"args-amount": "200.00", "args-order_id": "A-1", "message": "half"})
    html = response.content.decode()
    assert response.status_code == 409
    assert "Somebody else was first." in html
    assert "Approved by Sam Ashby" in html
    assert re.search(r"<textarea readonly[^>]*>half</textarea>", html)
    assert re.search(r"<textarea readonly[^>]*>200.00</textarea>", html)
    assert Decision.objects.count() == 1


def test_it_gives_the_same_post_again_its_standing_decision(client_of, approval):
    assert post(client_of, approval).status_code == 200
    assert post(client_of, approval).status_code == 200
    assert Decision.objects.count() == 1


@pytest.mark.parametrize("stale", [{"digest": "sha256:0"}, {"version": "7"}, {"version": "x"}, {"digest": "", "version": ""}])
def test_it_refuses_a_form_that_is_not_current_and_shows_what_is(client_of, approval, stale):
    response = client_of.post(
        reverse("approvals:decide", args=[approval.pk]),
        binding(approval, "reject", message="no") | stale,
        headers={"HX-Request": "true"},
    )
    assert response.status_code == 409
    assert f'value="{approval.digest}"' in response.content.decode()
    assert "<hx-partial" in response.content.decode()
    assert Approval.objects.get(pk=approval.pk).is_pending


def test_it_refuses_an_unknown_decision(client_of, approval):
    for verdict in ("", "expire", "withdraw", "APPROVE"):
        assert post(client_of, approval, verdict).status_code == 422


def test_it_refuses_who_may_not_decide(browse, team, approval):
    from tests.approvals.cast import make_user

    response = post(browse(make_user(team, role="operator")), approval)
    assert response.status_code == 403
    assert "Only reviewers of Support decide this." in response.content.decode()


def test_it_wants_the_forms_token(browse, reviewer, approval):
    client = browse(reviewer, enforce_csrf_checks=True)
    response = post(client, approval)
    assert response.status_code == 403
    assert "out of date" in response.content.decode()
    assert Approval.objects.get(pk=approval.pk).is_pending


def test_it_tells_a_page_whose_session_ended_without_losing_what_it_holds(approval):
    response = post(Client(), approval)
    assert response.status_code == 401
    assert response.content == b""


def test_it_counts_votes_until_there_are_enough(browse, reviewer, second, team):
    both = make_approval(team, requirements={"count": 2})
    first = post(browse(reviewer), both)
    assert "1 of 2 approvals" in first.content.decode()
    assert Approval.objects.get(pk=both.pk).is_pending
    assert post(browse(second), both).status_code == 200
    assert Approval.objects.get(pk=both.pk).status == Status.DECIDED


def test_it_takes_arguments_named_like_the_forms_own_fields(client_of, team):
    names = ("verdict", "digest", "version", "message", "seen", "confirm", "csrfmiddlewaretoken")
    args = dict.fromkeys(names, "mine")
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
    odd = make_approval(team, args=args, args_schema=schema)
    response = post(client_of, odd, "modify", **{f"args-{name}": "yours" for name in names})
    assert response.status_code == 200
    assert decode(Approval.objects.get(pk=odd.pk).args) == dict.fromkeys(names, "yours")


@pytest.fixture
def reasons(team):
    team.reject_reasons = "Already paid\n\nNot our order\nAlready paid"
    team.save()
    return team.reasons()


def test_the_teams_reasons_can_be_chosen_when_it_rejects(client_of, approval, reasons):
    assert reasons == ["Already paid", "Not our order"]
    page = panel_of(client_of, approval)
    assert page.count('name="reason"') == 3
    assert "Another reason" in page


@pytest.mark.parametrize(
    ("typed", "kept"),
    [({"reason": "Already paid"}, "Already paid"),
     ({"reason": "Already paid", "message": "On 3 May."}, "Already paid\nOn 3 May."),
     ({"reason": "", "message": "Ask Kim."}, "Ask Kim.")],
)  # fmt: skip
def test_a_chosen_reason_reaches_the_agent_with_the_words_beside_it(client_of, approval, reasons, typed, kept):
    answer = post(client_of, approval, "reject", **typed)
    assert answer.status_code == 200
    assert Decision.objects.get(approval=approval).message == kept


def test_a_reason_that_is_not_the_teams_and_none_at_all_are_refused(client_of, approval, reasons):
    for typed in ({"reason": "Made up"}, {"reason": ""}):
        answer = post(client_of, approval, "reject", **typed)
        assert answer.status_code == 422
    assert not Decision.objects.filter(approval=approval).exists()


def test_the_card_says_how_people_decided_the_last_ones_like_it(client_of, reviewer, team):
    for verdict, said in (("approve", {}), ("approve", {}), ("reject", {"message": "No."})):
        decide(make_approval(team), reviewer, verdict, **said)
    page = card_of(client_of, make_approval(team))
    assert "Of the last 3: 2 approved, 1 rejected." in page


def test_the_first_of_its_kind_has_no_rate(client_of, reviewer, team):
    decide(make_approval(team), reviewer)
    assert "Of the last" not in card_of(client_of, make_approval(team))


@pytest.mark.parametrize(("risk", "is_armed"), [("low", False), ("medium", False), ("high", True), ("critical", True)])
def test_only_what_is_grave_waits_until_its_reasons_were_on_the_screen(client_of, team, risk, is_armed):
    page = panel_of(client_of, make_approval(team, risk=risk))
    assert ("data-arm=" in page) is is_armed
    assert ("Read why the agent wants it first" in page) is is_armed


def test_a_message_that_is_too_long_is_refused_whole_and_kept(client_of, approval):
    """What is on record is what was typed: nothing is cut off in silence."""
    long = "w" * 10_001
    for verdict in ("approve", "reject"):
        response = post(client_of, approval, verdict, message=long)
        assert response.status_code == 422
        assert "10001 characters are too many: at most 10000." in response.content.decode()
    assert long in response.content.decode()
    assert not Decision.objects.exists()


def test_what_was_typed_comes_back_also_where_one_may_not_decide_any_more(client_of, approval, reviewer):
    reviewer.memberships.update(role="operator")
    response = post(client_of, approval, "modify", **{"args-amount": "200.00", "message": "half of it"})
    html = response.content.decode()
    assert response.status_code == 403
    assert "Your text is kept" in html
    assert "half of it" in html
    assert "200.00" in html


def test_a_panel_with_text_of_a_refused_post_says_so_and_a_fresh_one_does_not(client_of, approval, second):
    assert "data-typed" not in panel_of(client_of, approval)
    assert "data-typed" in post(client_of, approval, "modify", **{"args-amount": "a lot"}).content.decode()
    decide(approval, second)
    assert "data-typed" in post(client_of, approval, "reject", message="No.").content.decode()
