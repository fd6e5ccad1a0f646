"""What an asker says about the whole answer goes on record, so that a preview is made with the schema it was asked with."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("approvals", "0004_evaluation_occasion")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="approval",
            name="response_schema",
            field=models.JSONField(help_text="What the asker itself says about the whole answer, encoded; for an interrupt.", null=True),
        ),
    ]
