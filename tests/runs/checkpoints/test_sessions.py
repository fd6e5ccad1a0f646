"""Locks need sessions: a pooler that shares them among transactions is found out and refused."""

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from agentdesk import checks
from runs.engine import locks
from runs.engine.locks import Presence, is_pooled


class Pooler:
    """Server sessions behind one address. In transaction mode each statement or transaction takes an idle one; in session mode
    a client keeps its own."""

    def __init__(self, *, transaction_mode: bool, takes_turns: bool = False, idle: int = 0) -> None:
        self.transaction_mode, self.takes_turns = transaction_mode, takes_turns
        self.idle = list(range(1, idle + 1))
        self.made = idle

    def take(self) -> int:
        if self.idle:
            return self.idle.pop(0 if self.takes_turns else -1)
        self.made += 1
        return self.made

    def connect(self) -> "Client":
        return Client(self)


class Client:
    def __init__(self, pooler: Pooler) -> None:
        self.pooler, self.session, self.in_transaction = pooler, 0, False

    def execute(self, statement: str) -> "Client":
        self.session = self.session or self.pooler.take()
        self.in_transaction = self.in_transaction or statement == "BEGIN"
        self.answer = self.session
        if self.pooler.transaction_mode and not self.in_transaction:
            self.pooler.idle.append(self.session)
            self.session = 0
        return self

    def fetchone(self) -> tuple[int]:
        return (self.answer,)

    def close(self) -> None:
        if self.session:
            self.pooler.idle.append(self.session)


@pytest.mark.parametrize("takes_turns", [False, True])
@pytest.mark.parametrize("idle", [0, 1, 3])
def test_it_finds_a_pooler_in_transaction_mode(takes_turns: bool, idle: int) -> None:
    assert is_pooled(Pooler(transaction_mode=True, takes_turns=takes_turns, idle=idle).connect)
    assert not is_pooled(Pooler(transaction_mode=False, takes_turns=takes_turns, idle=idle).connect)


def test_it_takes_a_real_server_for_what_it_is(committed: None) -> None:
    assert not is_pooled()
    assert checks.check_sessions(None, databases=["default"]) == []


def test_a_worker_takes_no_lock_behind_such_a_pooler(committed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_connection", Pooler(transaction_mode=True).connect)
    with pytest.raises(ImproperlyConfigured, match="DATABASE_DIRECT_URL"):
        Presence().key()
    (found,) = checks.check_sessions(None, databases=["default"])
    assert found.id == "agentdesk.E017"


def test_a_check_without_a_database_asks_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_connection", None)
    assert checks.check_sessions(None) == []


def test_a_presence_whose_session_changed_takes_a_new_key(committed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    presence = Presence()
    try:
        before = presence.key()
        monkeypatch.setattr(presence, "_session", -1)
        assert presence.key() != before
    finally:
        presence.close()


def test_the_direct_address_leads_around_the_pooler(settings: Any) -> None:
    settings.DATABASE_DIRECT = {"HOST": "db.example.org", "PORT": 6543, "NAME": "desk", "USER": "app", "PASSWORD": "x"}
    assert "host=db.example.org" in locks.conninfo()
    assert "port=6543" in locks.conninfo()
