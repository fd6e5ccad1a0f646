"""``migrate`` as the owner's role, followed by LangGraph's tables and the grants of the application's role."""

from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import CommandParser
from django.core.management.commands.migrate import Command as DjangoMigrate
from django.db import connections
from psycopg import sql

from runs.engine import checkpoints, stores

INSERT_ONLY = ("audit_auditentry", "audit_auditcontent")


class Command(DjangoMigrate):
    help = "Bring the database up to date: tables, LangGraph's tables, grants. Runs as the role of DATABASE_OWNER_URL."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(database="owner")

    def handle(self, *args: Any, **options: Any) -> None:
        super().handle(*args, **options)
        if options.get("plan") or options.get("check_unapplied") or options["database"] != "owner":
            return
        owner = connections["owner"]
        owner.ensure_connection()
        checkpoints.create_tables(owner.get_connection_params())
        stores.create_tables(owner.get_connection_params())
        grant(owner.connection, settings.DATABASES["default"]["USER"], owner.settings_dict["USER"])


def grant(connection: "psycopg.Connection[Any]", app: str, owner: str) -> None:
    """Give the role ``app`` what it needs and no more: the record is insert-only for it."""
    if app == owner:
        return
    role = sql.Identifier(app)
    statements = [
        "GRANT USAGE ON SCHEMA public TO {}",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {}",
        "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {}",
        *(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM {{}}" for table in INSERT_ONLY),
    ]
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(sql.SQL(statement).format(role))
    connection.commit()
