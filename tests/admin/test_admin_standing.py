"""Standing approvals in Django admin: added in a reviewer's name, read, revoked, never changed or deleted."""

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from agentdesk.audit.models import AuditEntry
from approvals.models import StandingApproval, Tool
from tests.admin.test_admin_rules import signed_in
from tests.cast import Cast

ADD = "/admin/approvals/standingapproval/add/"
LIST = "/admin/approvals/standingapproval/"


@pytest.fixture
def tool(cast: Cast) -> Tool:
    return Tool.objects.create(agent="support", team=cast.support, name="issue_refund", schema_version="one")


def form(cast: Cast, **changed: Any) -> dict[str, Any]:
    until = timezone.now() + timedelta(days=3)
    return {
        "team": cast.support.pk, "agent": "support", "action": "issue_refund", "owner": cast.reviewer.pk,
        "args": '{"currency": "EUR"}', "conditions-0-path": "amount", "conditions-0-op": "<=", "conditions-0-text": "50",
        "risk": "high", "reason": "Sale", "expires_at_0": until.strftime("%Y-%m-%d"), "expires_at_1": "12:00:00",
        "most_uses": "5", "budget_at": "amount", "budget": "100", **changed,
    }  # fmt: skip


def test_an_admin_adds_one_for_a_reviewer_of_their_team(cast: Cast, tool: Tool):
    client = signed_in(cast.admin)
    assert client.get(ADD).status_code == 200
    answer = client.post(ADD, form(cast))
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    made = StandingApproval.objects.get()
    assert (made.owner, made.args, made.code_version) == (cast.reviewer, {"currency": "EUR"}, tool.code_version)
    assert made.conditions == [{"path": "amount", "op": "<=", "value": 50}]
    entry = AuditEntry.objects.get(action="standing.made")
    assert (entry.actor_id, entry.via, entry.object_id) == (cast.admin.pk, "admin", str(made.pk))


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"action": "unknown"}, "action"), ({"most_uses": "101"}, "most_uses"), ({"args": "[1]"}, "args"),
        ({"budget_at": ""}, "budget_at"), ({"expires_at_0": "2020-01-01"}, "expires_at"), ({"reason": ""}, "reason"),
        ({"risk": "critical"}, "risk"), ({"conditions-0-path": "a b"}, "conditions"),
        ({"args": "{}", "conditions-0-path": "", "conditions-0-text": ""}, "conditions"),
    ],
)  # fmt: skip
def test_mistakes_are_told_at_their_field(cast: Cast, tool: Tool, changed: dict[str, str], field: str):
    answer = signed_in(cast.admin).post(ADD, form(cast, **changed))
    assert answer.status_code == 200
    assert list(answer.context["adminform"].form.errors) == [field]
    assert not StandingApproval.objects.exists()


def test_it_is_for_ones_own_teams_and_their_reviewers_only(cast: Cast, tool: Tool):
    client = signed_in(cast.admin)
    for changed, field in (({"team": cast.warehouse.pk}, "team"), ({"owner": cast.stranger.pk}, "owner")):
        errors = client.post(ADD, form(cast, **changed)).context["adminform"].form.errors
        assert field in errors
    assert client.post(ADD, form(cast, owner=cast.operator.pk)).context["adminform"].form.errors.keys() == {"owner"}
    assert signed_in(cast.reviewer).post(ADD, form(cast)).status_code != 200
    assert not StandingApproval.objects.exists()


def test_it_is_read_and_revoked_and_never_changed_or_deleted(cast: Cast, tool: Tool):
    client = signed_in(cast.admin)
    client.post(ADD, form(cast, args='{"password": "hunter2", "currency": "EUR"}'))
    made = StandingApproval.objects.get()
    page = reverse("admin:approvals_standingapproval_change", args=[made.pk])
    shown = client.get(page)
    assert shown.status_code == 200
    assert "hunter2" not in shown.content.decode()
    assert client.post(page, form(cast, most_uses="50")).status_code == 403
    assert client.post(reverse("admin:approvals_standingapproval_delete", args=[made.pk])).status_code == 403
    assert signed_in(cast.stranger).get(page).status_code == 302, "to others it is not there"
    revoke = {"action": "revoke", "_selected_action": [str(made.pk)]}
    signed_in(cast.stranger).post(LIST, revoke)
    made.refresh_from_db()
    assert (made.revoked_at, made.most_uses) == (None, 5)
    for told in ("1 revoked.", "0 revoked."):
        assert told in client.post(LIST, revoke, follow=True).content.decode()
    made.refresh_from_db()
    assert made.revoked_at is not None
    assert AuditEntry.objects.filter(action="standing.revoked", actor_id=cast.admin.pk).count() == 1
