"""A person's decisions, the newest first, with all that figures about them read. Built without locking the table."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("approvals", "0016_desk_wide_labels")]
    operations = [
        AddIndexConcurrently(
            model_name="decision",
            index=models.Index(
                fields=["decided_by", "decided_at"], name="decision_by", include=["verdict", "seconds_open", "via"]
            ),
        ),
    ]
