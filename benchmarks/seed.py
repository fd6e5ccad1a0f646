"""Very many approvals, copies of one that a run has asked for and a reviewer has decided; and very many entries of the record.

The copies go in without triggers, which would take most of the time; what those keep is made for all of them at once.
"""

from collections.abc import Sequence
from uuid import UUID

import psycopg

from agentdesk.embedded.postgresql import SUPERUSER
from approvals.models import Approval
from benchmarks.stage import Stage

# A decision each 23 seconds: 100,000 within the 30 days over which a pace is told.
APART = "interval '23 seconds'"
# What a copied row does not share with the one it is copied from. ``n`` counts them, ``wait.s`` says which of them wait.
OTHER = {
    "id": "uuidv7()",
    "request_key": "'seed-' || n",
    "source_ref": "uuidv7()::text",
    "args": "t.args || jsonb_build_object('amount', n)",
    "status": "CASE WHEN wait.s THEN 'pending' ELSE 'decided' END",
    "risk": "(ARRAY['low', 'medium', 'high', 'critical'])[1 + n / {every} %% 4]",
    "requested_at": f"now() - n * {APART} - interval '10 minutes'",
    "expires_at": "now() + interval '1 day' + n * interval '1 second'",
    "closed_at": f"CASE WHEN wait.s THEN NULL ELSE now() - n * {APART} END",
}
DECIDED = {
    "id": "uuidv7()",
    "approval_id": "a.id",
    "decided_at": "a.closed_at",
    "decided_by_id": "(%s::uuid[])[1 + (a.args ->> 'amount')::bigint %% %s]",
    "seconds_open": "1 + (a.args ->> 'amount')::bigint %% 90",
}
RECORD = (
    "at, act, actor_label, via, action, object_type, object_id, object_label, run_id, team_id, after, address, user_agent,"
    " commitment"
)


def template() -> Approval:
    """The approval that is copied."""
    return Approval.objects.filter(request_key__startswith="call:", decisions__isnull=False).latest("pk")


def approvals(stage: Stage, first: int, last: int, *, every: int, deciders: Sequence[UUID]) -> None:
    """Copies number ``first`` to ``last``, each ``every``-th of them waiting, each other decided by one of ``deciders``."""
    with psycopg.connect(stage.postgresql.url(SUPERUSER)) as database:
        database.execute("SET session_replication_role = replica")
        _copy(database, [first, last, template().pk], every, OTHER)
        _decide(database, template().pk, deciders)
        _keep_facets(database)


def waiting_for(stage: Stage, team: UUID, first: int, last: int) -> None:
    """Copies of low risk that wait for another team, of the template's run, so that its story is told beside them."""
    facts = {"team_id": f"'{team}'::uuid", "risk": "'low'", "source_ref": "t.source_ref"}
    with psycopg.connect(stage.postgresql.url(SUPERUSER)) as database:
        database.execute("SET session_replication_role = replica")
        _copy(database, [first, last, template().pk], 1, OTHER | facts)
        _keep_facets(database)


def give_a_run(stage: Stage, pks: Sequence[UUID]) -> None:
    """Let these approvals be of the run that the template is of, so that its story is told on their pages."""
    with psycopg.connect(stage.postgresql.url(SUPERUSER)) as database:
        command = "UPDATE approvals_approval SET source_ref = %s WHERE id = ANY(%s)"
        database.execute(command, [template().source_ref, list(pks)])


def record(stage: Stage, entries: int) -> None:
    """So many entries of the record, a thousand of those that are there over and over."""
    with stage.connect(role="agentdesk_owner") as database:
        database.execute(
            f"INSERT INTO audit_auditentry ({RECORD}) SELECT {RECORD} FROM"  # noqa: S608 - names of our own columns
            " (SELECT * FROM audit_auditentry ORDER BY id LIMIT 1000) t, generate_series(1, %s::int / 1000)".encode(),
            [entries],
        )


def _copy(database: "psycopg.Connection[tuple[object, ...]]", which: list[object], every: int, other: dict[str, str]) -> None:
    columns = [str(field.column) for field in Approval._meta.concrete_fields]
    values = ", ".join(other.get(column, f"t.{column}").format(every=every) for column in columns)
    database.execute(
        f"INSERT INTO approvals_approval ({', '.join(columns)}) SELECT {values} FROM"  # noqa: S608 - names of our own columns
        " generate_series(%s::bigint, %s::bigint) n JOIN approvals_approval t ON t.id = %s"
        f" CROSS JOIN LATERAL (SELECT n %% {every} = 0 AS s) wait".encode(),
        which,
    )


def _decide(database: "psycopg.Connection[tuple[object, ...]]", template: UUID, deciders: Sequence[UUID]) -> None:
    """A decision like the template's for each copy that has none yet."""
    found = database.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'approvals_decision' ORDER BY 1"
    ).fetchall()
    columns = [str(row[0]) for row in found]
    values = ", ".join(DECIDED.get(column, f"d.{column}") for column in columns)
    database.execute(
        f"INSERT INTO approvals_decision ({', '.join(columns)}) SELECT {values} FROM approvals_approval a"  # noqa: S608
        " JOIN approvals_decision d ON d.approval_id = %s WHERE a.request_key LIKE 'seed-%%' AND a.status = 'decided'"
        " AND NOT EXISTS (SELECT 1 FROM approvals_decision x WHERE x.approval_id = a.id)".encode(),
        [list(deciders), len(deciders), template],
    )


def _keep_facets(database: "psycopg.Connection[tuple[object, ...]]") -> None:
    """What the triggers would have kept of the copies that were just made."""
    database.execute(
        "INSERT INTO approvals_facet (approval_id, path, text, number, team_id, risk, waits)"
        " SELECT a.id, found.path, found.value, found.number, a.team_id, a.risk, a.status = 'pending' FROM approvals_approval a"
        " CROSS JOIN LATERAL approval_facets(a.args, a.action, a.agent) found WHERE a.request_key LIKE 'seed-%'"
        " AND NOT EXISTS (SELECT 1 FROM approvals_facet x WHERE x.approval_id = a.id)"
    )
