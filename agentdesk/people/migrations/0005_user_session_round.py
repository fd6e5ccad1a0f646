from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("people", "0004_last_superuser")]
    operations = [
        migrations.AddField(
            model_name="user",
            name="session_round",
            field=models.PositiveIntegerField(
                default=0, editable=False, help_text="Rises when all sessions of this user end."
            ),
        ),
    ]
