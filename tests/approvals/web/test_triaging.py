"""Claim, assign, snooze and the way back, over HTTP."""

import re

import pytest
from django.urls import reverse

from approvals import triage
from approvals.models import Approval, Claim, Snooze
from tests.approvals.web.conftest import HTMX


@pytest.fixture
def act(approval):
    def send(client, name, *, htmx=True, **fields):
        return client.post(
            reverse("approvals:triage_act", args=[approval.pk]), {"act": name, **fields}, headers=HTMX if htmx else {}
        )

    return send


def undo_in(answer):
    text = answer.content.decode()
    told = text[text.index('id="told"') :]
    return dict(re.findall(r'name="(act|to|seen)" value="([^"]*)"', told))


def test_every_act_is_taken_back_by_its_undo(browse, reviewer, second, approval, act):
    client = browse(reviewer)
    claimed = act(client, "claim", seen=0)
    assert "Claimed by you until" in claimed.content.decode()
    undo = undo_in(claimed)
    act(client, undo.pop("act"), **undo)
    assert not triage.is_held(Claim.objects.get(pk=approval.pk))

    assigned = act(client, "assign", to=second.pk, seen=0)
    assert "Assigned to Sam Ashby" in assigned.content.decode()
    taken = act(client, "take_over", seen=Claim.objects.get(pk=approval.pk).revision)
    assert Claim.objects.get(pk=approval.pk).user == reviewer
    undo = undo_in(taken)
    act(client, undo.pop("act"), **undo)
    assert Claim.objects.get(pk=approval.pk).user == second

    snoozed = act(client, "snooze", **{"for": "1h"})
    assert "Put off by you until" in snoozed.content.decode()
    act(client, undo_in(snoozed)["act"])
    assert not Snooze.objects.exists()


def test_the_slower_one_is_told(browse, reviewer, second, approval, act):
    act(browse(reviewer), "claim", seen=0)
    late = act(browse(second), "claim", seen=0)
    assert late.status_code == 409
    assert "Somebody else was first: Robin Vale has claimed it until" in late.content.decode()
    assert "Take over" in late.content.decode()


@pytest.mark.parametrize("fields", [{"act": "snooze"}, {"act": "nothing"}, {"act": "assign", "to": "x"}, {}])
def test_what_makes_no_sense_changes_nothing(browse, reviewer, approval, fields):
    answer = browse(reviewer).post(reverse("approvals:triage_act", args=[approval.pk]), fields, headers=HTMX)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.content.decode()
    assert not Claim.objects.exists()


def test_strangers_and_plain_visits(browse, reviewer, stranger, approval, act):
    assert act(browse(stranger), "claim", seen=0).status_code == 404
    assert browse(stranger).get(reverse("approvals:triage", args=[approval.pk])).status_code == 404
    assert browse(stranger).get(reverse("approvals:preview", args=[approval.pk])).status_code == 404
    assert browse(reviewer).get(reverse("approvals:triage_act", args=[approval.pk])).status_code == 405
    assert act(browse(reviewer, enforce_csrf_checks=True), "claim", seen=0).status_code == 403
    assert act(browse(reviewer), "claim", seen=0, htmx=False).status_code == 302
    assert Claim.objects.get().user == reviewer


def test_the_preview_holds_the_card_and_the_acts(browse, reviewer, approval):
    text = browse(reviewer).get(reverse("approvals:preview", args=[approval.pk])).content.decode()
    assert 'id="triage"' in text
    assert 'id="approval"' in text
    assert Approval.objects.get(pk=approval.pk).is_pending
