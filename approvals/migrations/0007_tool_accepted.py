from django.db import migrations, models

# Nothing told changes until now: what a tool is today is what later changes are compared with.
AS_IT_IS = """
UPDATE approvals_tool
SET accepted_schema = schema, accepted_schema_version = schema_version, accepted_description = description
"""


class Migration(migrations.Migration):
    """What an admin last accepted of a tool."""

    dependencies = [("approvals", "0006_pending_by_agent")]

    operations = [
        migrations.AddField("tool", "accepted_schema", models.JSONField(default=dict, editable=False)),
        migrations.AddField(
            "tool", "accepted_schema_version", models.CharField(blank=True, default="", editable=False, max_length=71),
            preserve_default=False,
        ),
        migrations.AddField(
            "tool", "accepted_description", models.TextField(blank=True, default="", editable=False), preserve_default=False
        ),
        migrations.AddField("tool", "accepted_at", models.DateTimeField(editable=False, null=True)),
        migrations.AddField(
            "tool", "accepted_by_label", models.CharField(blank=True, default="", editable=False, max_length=200),
            preserve_default=False,
        ),
        migrations.RunSQL(AS_IT_IS, migrations.RunSQL.noop),
    ]  # fmt: skip
