"""The record is insert-only: for the desk's role by its grants, for every other by triggers."""

import pytest
from django.db import DatabaseError, connections, transaction

from agentdesk.audit.models import AuditContent, AuditEntry
from agentdesk.audit.record import Actor, record
from agentdesk.digests import commitment


@pytest.fixture
def entry(refunds):
    record("run.started", actor=Actor.desk(), object_type="run", object_id="1", team_id=refunds.pk, content={"input": "secret"})
    return AuditEntry.objects.latest("id")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_auditentry SET actor_label = 'somebody else'",
        "DELETE FROM audit_auditentry",
        "TRUNCATE audit_auditentry",
        "UPDATE audit_auditcontent SET body = '{}'",
        "TRUNCATE audit_auditcontent",
        "ALTER TABLE audit_auditentry DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
        "DROP TABLE audit_auditentry",
    ],
)
def test_it_refuses_the_desks_role_every_change(entry, statement):
    with pytest.raises(DatabaseError, match=r"permission denied|must be owner|insert-only"), transaction.atomic():
        connections["default"].cursor().execute(statement)
    assert AuditEntry.objects.get(pk=entry.pk).actor_label == "AgentDesk"


def test_it_binds_the_content_by_commitment(entry):
    content = AuditContent.objects.get(pk=entry.content_id)
    assert entry.commitment == commitment(bytes(content.salt), content.body)
    assert entry.commitment != commitment(b"another salt....", content.body)


def test_it_knows_the_transaction_of_each_entry(entry):
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text::bigint")
        assert AuditEntry.objects.get(pk=entry.pk).xid == cursor.fetchone()[0]


def test_it_refuses_words_that_are_no_act(db):
    with pytest.raises(ValueError, match="unknown audit action"):
        record("run.teleported", actor=Actor.desk(), object_type="run", object_id="1")


def test_it_disappears_with_the_change_it_tells_of(db):
    with transaction.atomic():
        record("run.started", actor=Actor.desk(), object_type="run", object_id="1")
        transaction.set_rollback(True)
    assert not AuditEntry.objects.exists()
