"""Erasing what entries of the record speak about. The entries, their commitments and their order stay."""

from uuid import UUID

from django.db import connections

ERASE = """DELETE FROM audit_auditcontent WHERE id IN
    (SELECT content_id FROM audit_auditentry WHERE content_id IS NOT NULL AND run_id = %s)"""


def erase_contents(run_id: UUID, *, using: str = "owner") -> int:
    """Delete the contents of the entries about a run and its approvals. Only the owner's database role may: the desk's own has
    no right to take anything out of the record. Returns how many. Raises ProgrammingError for any other role."""
    with connections[using].cursor() as cursor:
        cursor.execute(ERASE, (run_id,))
        return int(cursor.rowcount)
