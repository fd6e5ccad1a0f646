"""The dry run of the desk and of an agent, and circuit breakers, in Django admin and on the pages."""

from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from approvals import switches
from approvals.models import Breaker, Rehearsal, Tool
from tests.admin.test_admin_rules import signed_in
from tests.cast import Cast

SWITCH = "/admin/approvals/rehearsal/switch/"


@pytest.fixture
def superuser(cast: Cast) -> Any:
    cast.admin.is_superuser = True
    cast.admin.save()
    return signed_in(cast.admin)


@pytest.fixture
def tool(cast: Cast) -> Tool:
    return Tool.objects.create(agent="support", team=cast.support, name="issue_refund", labels_from="admin")


def test_the_desk_is_put_in_dry_run_and_out_of_it(superuser: Any):
    assert "Yes, begin it" in superuser.get(SWITCH).content.decode()
    assert not Rehearsal.objects.exists(), "a GET asks only"
    text = superuser.post(SWITCH, {"to": "begin", "because": "New rules"}, follow=True).content.decode()
    assert "in dry run, from the next gate on." in text
    assert "It was in dry run already." in superuser.post(SWITCH, {"to": "begin"}, follow=True).content.decode()
    for page in ("/", "/runs/", "/admin/"):
        shown = superuser.get(page, follow=True).content.decode()
        assert "The desk is in dry run" in shown, page
        assert "New rules" in shown, page
    form = {"to": "end", "seen": str(Rehearsal.standing().get().pk)}
    assert "Yes, end it" in superuser.get(SWITCH).content.decode()
    assert "The dry run is over" in superuser.post(SWITCH, form, follow=True).content.decode()
    assert "It was over already." in superuser.post(SWITCH, form, follow=True).content.decode()
    assert "The desk is in dry run" not in superuser.get("/runs/").content.decode()
    entries = AuditEntry.objects.filter(object_type="desk").order_by("id").values_list("action", "via")
    assert list(entries) == [("desk.dry_run_began", "admin"), ("desk.dry_run_ended", "admin")]


def test_who_ends_an_older_dry_run_is_told(superuser: Any, cast: Cast):
    actor = Actor.of(cast.admin)
    switches.rehearse(actor)
    older = Rehearsal.standing().get().pk
    switches.end_rehearsal(older, actor)
    switches.rehearse(actor)
    text = superuser.post(SWITCH, {"to": "end", "seen": str(older)}, follow=True).content.decode()
    assert "Somebody began another dry run" in text
    assert Rehearsal.standing().exists()


def test_only_who_administers_the_desk_begins_one(cast: Cast):
    for user in (cast.stranger, cast.reviewer, cast.operator, cast.admin):
        assert signed_in(user).post(SWITCH, {"to": "begin"}).status_code in (302, 403)
    assert not Rehearsal.objects.exists()


def test_a_circuit_is_shown_to_admins_and_operators(cast: Cast, tool: Tool):
    page = reverse("admin:approvals_tool_change", args=[tool.pk])
    admin, operator = signed_in(cast.admin), signed_in(cast.operator)
    assert "Closed: calls go through." in admin.get(page).content.decode()
    assert "calls are refused" not in operator.get("/agents/").content.decode()
    Breaker.objects.create(tool=tool, state="open", failures=5, opened_at=timezone.now(), last_error="OSError: no route")
    for client, address in ((admin, page), (admin, "/admin/approvals/tool/"), (operator, "/agents/")):
        text = client.get(address).content.decode()
        assert "UTC: calls are refused. Last error: OSError: no route" in text, address
    assert "The circuit of support · issue_refund is open" in admin.get("/admin/").content.decode()
    Breaker.objects.update(state="half-open")
    assert "Half open: one call is trying" in admin.get(page).content.decode()


def test_what_an_admin_sets_is_on_record(cast: Cast, tool: Tool):
    page = reverse("admin:approvals_tool_change", args=[tool.pk])
    form = {
        "effect": "write", "risk": "low", "undo_tool": "", "currency": "USD", "timeout_seconds": "5", "retries": "1",
        "breaker_failures": "0",
        "breaker_seconds": "10",
    }  # fmt: skip
    client = signed_in(cast.admin)
    assert "less than or equal to 10" in client.post(page, {**form, "retries": "11"}).content.decode()
    assert client.post(page, form).status_code == 302
    tool.refresh_from_db()
    assert (tool.retries, tool.breaker_failures, tool.breaker_seconds) == (1, 0, 10)
    entry = AuditEntry.objects.get(action="tool.changed")
    assert entry.before is not None
    assert entry.after is not None
    assert (entry.before["retries"], entry.after["retries"]) == (2, 1)
