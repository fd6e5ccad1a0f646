from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("people", "0005_user_session_round")]
    operations = [
        migrations.AddField(
            model_name="user",
            name="keys",
            field=models.JSONField(
                blank=True, default=dict, editable=False, help_text="Acts whose key this user has changed: name and key."
            ),
        ),
        migrations.AddField(model_name="user", name="uses_keys", field=models.BooleanField(default=True)),
        migrations.AddField(model_name="user", name="opens_next", field=models.BooleanField(default=True)),
    ]
