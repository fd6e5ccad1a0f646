from django.db import migrations, models

# Of the evaluations until now, those of a proposal count: nothing told rehearsals apart.
THE_FIRST_ONES = "UPDATE approvals_evaluation SET counted = false WHERE occasion <> 'proposed'"
HELP = "Counts where rules count calls: it was no rehearsal."


class Migration(migrations.Migration):
    """Which evaluations rules count."""

    dependencies = [("approvals", "0008_switches")]

    operations = [
        migrations.AddField("evaluation", "counted", models.BooleanField(default=True, help_text=HELP)),
        migrations.RunSQL(THE_FIRST_ONES, migrations.RunSQL.noop),
    ]
