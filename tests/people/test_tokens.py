from datetime import timedelta

import pytest
from django.utils import timezone

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from agentdesk.people.models import Token
from agentdesk.people.tokens import PREFIX, authenticate, create_token, revoke_token


@pytest.fixture
def made(robin):
    return create_token(robin, "nightly", actor=Actor.of(robin))


def test_it_knows_whose_token_it_is(robin, made):
    token, text = made
    assert authenticate(text) == (robin, token)


def test_it_keeps_the_digest_only(made):
    _token, text = made
    stored = Token.objects.values().get()
    assert all(text not in str(value) for value in stored.values())
    assert text.startswith(stored["hint"])
    assert len(text) > 40
    assert all(text not in str(value) for entry in AuditEntry.objects.values() for value in entry.values())


@pytest.mark.parametrize("text", ["", "ad_", PREFIX + "x" * 43, "Bearer", "ad_" + "y" * 5000, "\x00", "ad_\ud800"])
def test_it_knows_no_other_token(made, text):
    assert authenticate(text) is None


def test_it_refuses_a_revoked_token(robin, made):
    token, text = made
    assert revoke_token(token, actor=Actor.of(robin))
    assert authenticate(text) is None
    assert not revoke_token(token, actor=Actor.of(robin))
    assert [entry.action for entry in AuditEntry.objects.order_by("id")] == ["token.created", "token.revoked"]


def test_it_refuses_a_token_past_its_time(robin):
    soon = timezone.now() + timedelta(seconds=30)
    _, text = create_token(robin, "short", actor=Actor.of(robin), expires_at=soon)
    assert authenticate(text) is not None
    Token.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert authenticate(text) is None


def test_it_refuses_the_token_of_who_is_switched_off(robin, made):
    robin.is_active = False
    robin.save()
    assert authenticate(made[1]) is None


def test_it_notes_the_use_once_a_minute(made, django_assert_num_queries):
    token, text = made
    with django_assert_num_queries(2):
        authenticate(text)
    with django_assert_num_queries(1):
        authenticate(text)
    Token.objects.update(last_used_at=timezone.now() - timedelta(minutes=2))
    with django_assert_num_queries(2):
        authenticate(text)
    token.refresh_from_db()
    assert timezone.now() - token.last_used_at < timedelta(minutes=1)
