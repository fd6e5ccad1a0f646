"""Is this desk well? ``/healthz``: this process answers. ``/readyz``: it can serve, with what is degraded."""

import logging
from typing import Any

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from agentdesk.celery import app

log = logging.getLogger(__name__)

LOCKS = 0x41444B  # the namespace of the advisory locks that living worker processes hold

_migrated = False


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """503 without the database or with migrations missing; a broker or workers that are away only degrade the desk."""
    try:
        migrated, workers = _is_migrated(), _living_workers()
    except DatabaseError as error:
        log.warning("not ready: %s", error)
        return JsonResponse({"status": "unavailable", "database": "away"}, status=503)
    if not migrated:
        return JsonResponse({"status": "unavailable", "database": "ok", "migrations": "missing"}, status=503)
    degraded = [*([] if workers else ["workers"]), *([] if app.broker_answers() else ["broker"])]
    status: dict[str, Any] = {"status": "degraded" if degraded else "ok", "database": "ok", "migrations": "applied"}
    return JsonResponse({**status, "workers": workers, "degraded": degraded})


def _is_migrated() -> bool:
    """Once yes, always yes for the code of this process."""
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connection)
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    else:
        connection.ensure_connection()
    return _migrated


def _living_workers() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND objsubid = 2 AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            [LOCKS],
        )
        return int(cursor.fetchone()[0])
