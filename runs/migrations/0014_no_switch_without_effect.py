"""The switch by which rules were to answer an agent's own questions did nothing."""

from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('runs', '0013_cost_of_tools'),
    ]

    operations = [
        migrations.RemoveField(
            model_name='agent',
            name='rules_answer_interrupts',
        ),
    ]
