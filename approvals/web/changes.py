"""What of the approvals has changed, for pages that no push reached (agentdesk/live/lookout.py)."""

from collections.abc import Iterable

from django.db.models import Count, F, Value
from django.db.models.functions import Coalesce

from agentdesk.audit.models import AuditEntry
from agentdesk.live.registry import Look
from approvals.models import Approval, Claim, Comment, Preview

type Found = Iterable[tuple[str, int, str]]


def rows(look: Look) -> Found:
    """Inbox rows that changed: every verb that changes one makes an entry in the record."""
    entries = AuditEntry.objects.filter(at__gte=look.since, object_type="approval").order_by()
    ids = set(entries.values_list("object_id", flat=True))
    version = F("revision") + Coalesce("claim__revision", Value(0))
    return _found(Approval.objects.filter(pk__in=ids).values_list("pk", version)) if ids else []


def cards(look: Look) -> Found:
    return _found(Approval.objects.filter(pk__in=look.watched).values_list("pk", "revision"))


def claims(look: Look) -> Found:
    return _found(Claim.objects.filter(approval__pk__in=look.watched).values_list("approval_id", "revision"))


def comments(look: Look) -> Found:
    counted = Comment.objects.filter(approval__pk__in=look.watched).values("approval_id").annotate(count=Count("pk"))
    return _found(counted.order_by().values_list("approval_id", "count"))


def previews(look: Look) -> Found:
    return _found(Preview.objects.filter(approval__pk__in=look.watched).values_list("approval_id", "revision"))


def _found(pairs: Iterable[tuple[object, int]]) -> Found:
    return [(str(id), version, "") for id, version in pairs]
