from django.db import migrations, models

HELP = "Counts where rules count calls: it was no rehearsal."


class Migration(migrations.Migration):
    """Which evaluations rules count."""

    dependencies = [("approvals", "0008_switches")]

    operations = [migrations.AddField("evaluation", "counted", models.BooleanField(default=True, help_text=HELP))]
