"""What approvals can be found by: kept by the database itself, whatever is stored, changed or erased."""

from decimal import Decimal

import pytest
from django.db import connection
from hypothesis import given
from hypothesis.extra.django import TestCase

from agentdesk.audit.record import Actor
from agentdesk.digests import encode
from approvals.erasure import erase_content
from approvals.models import Approval, Facet
from approvals.requests import reopen
from tests.approvals.cast import make_approval, make_team, make_user, post
from tests.approvals.test_stored_values import values


def facets_of(approval, path=None):
    found = Facet.objects.filter(approval=approval)
    found = found.filter(path=path) if path else found.exclude(path__startswith="@")
    return sorted((facet.path, facet.text, facet.number) for facet in found)


@pytest.fixture
def team(db):
    return make_team("Support")


def test_it_flattens_scalar_arguments(team):
    args = {
        "amount": "240.00", "count": 3, "rush": True, "nothing": None, "big": 2**70, "exact": Decimal("1.10"),
        "customer": {"name": "Mara L", "tags": ["VIP", "late"]}, "note": "x" * 500,
    }  # fmt: skip
    approval = make_approval(team, args=args, args_schema=None)
    assert facets_of(approval) == [
        ("amount", "240.00", Decimal("240.00")),
        ("big", str(2**70), Decimal(2**70)),
        ("count", "3", Decimal(3)),
        ("customer.name", "mara l", None),
        ("customer.tags", "late", None),
        ("customer.tags", "vip", None),
        ("exact", "1.10", Decimal("1.10")),
        ("note", "x" * 100, None),
        ("rush", "true", None),
    ]
    assert [text for _path, text, _number in facets_of(approval, "@tool")] == ["issue", "issue_refund", "refund"]
    assert [text for _path, text, _number in facets_of(approval, "@agent")] == ["support"]


def test_it_follows_a_modification_a_decision_and_an_erasure(team):
    reviewer, second = make_user(team), make_user(team)
    approval = make_approval(team, requirements={"count": 2})
    post(approval, reviewer, "modify", args={"order_id": "A-1", "amount": "212.50"})
    assert facets_of(approval, "amount") == [("amount", "212.50", Decimal("212.50"))]
    assert Facet.objects.filter(approval=approval, waits=True).exists()
    approval.refresh_from_db()
    post(approval, second)
    assert not Facet.objects.filter(approval=approval, waits=True).exists()
    assert erase_content(approval.source, approval.source_ref) == 1
    assert facets_of(approval) == []


def test_it_finds_a_question_that_is_asked_again(team):
    approval = make_approval(team)
    post(approval, make_user(team))
    reopen(approval.pk, "Look again.", Actor.desk())
    assert Facet.objects.filter(approval=approval, path="amount", waits=True).count() == 1


def test_it_makes_the_facets_of_what_was_there_before_the_migration(team):
    approval = make_approval(team)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT path, value, number FROM approval_facets(%s::jsonb, 'issue_refund', 'support') ORDER BY 1, 2",
            ['{"amount": "240.00", "order_id": "A-1"}'],
        )
        made = [row for row in cursor.fetchall() if not row[0].startswith("@")]
    assert made == facets_of(approval)


class Whatever(TestCase):
    """Whatever an agent passes: it never keeps an approval from being stored."""

    @given(values)
    def test_it_never_fails(self, value):
        team = make_team("Any")
        approval = make_approval(team)
        Approval.objects.filter(pk=approval.pk).update(args=encode({"value": value, "more": [value]}))
        assert Facet.objects.filter(approval=approval, path="@tool", text="refund").exists()
