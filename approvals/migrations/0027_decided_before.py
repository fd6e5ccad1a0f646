"""The closed approvals of a team, the newest first: with what its load reads of them, and by agent and action for what was decided
before. Built without locking the table."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("approvals", "0026_standing_successors")]
    operations = [
        AddIndexConcurrently(
            model_name="approval",
            index=models.Index(
                fields=["team", "agent", "action", "-closed_at"],
                name="approval_like",
                condition=Q(closed_at__isnull=False),
            ),
        ),
        AddIndexConcurrently(
            model_name="approval",
            index=models.Index(
                fields=["team", "-closed_at", "-id"],
                name="approval_closed",
                include=["status", "requested_at"],
                condition=Q(closed_at__isnull=False),
            ),
        ),
        RemoveIndexConcurrently(model_name="approval", name="approval_done"),
    ]
