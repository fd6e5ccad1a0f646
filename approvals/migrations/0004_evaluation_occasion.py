from django.db import migrations, models

CHOICES = [("proposed", "an action was proposed"), ("modified", "a person changed it"), ("executing", "it was about to run")]

# Until now nothing told them apart: the first of the same action is the one that proposed it.
TELL_APART = """
UPDATE approvals_evaluation e SET occasion = CASE WHEN ranked.n = 1 THEN 'proposed' ELSE 'executing' END
FROM (SELECT id, row_number() OVER (PARTITION BY source, source_ref, agent, action, digest ORDER BY at, id) AS n
      FROM approvals_evaluation) ranked
WHERE ranked.id = e.id
"""


class Migration(migrations.Migration):
    """``outcome`` was never filled; what a replay needs is why the policy was asked, so that no action counts twice."""

    dependencies = [("approvals", "0003_find_what_waits_for_a_team")]

    operations = [
        migrations.RenameField("evaluation", "outcome", "occasion"),
        migrations.AlterField(
            "evaluation", "occasion", models.CharField(choices=CHOICES, default="proposed", max_length=16)
        ),
        migrations.RunSQL(TELL_APART, migrations.RunSQL.noop),
    ]
