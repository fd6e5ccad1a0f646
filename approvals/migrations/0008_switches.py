import agentdesk.ids
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('approvals', '0007_tool_accepted'),
    ]

    operations = [
        migrations.AddField(
            model_name='tool',
            name='switched_at',
            field=models.DateTimeField(editable=False, null=True, verbose_name='switched at'),
        ),
        migrations.AddField(
            model_name='tool',
            name='switched_because',
            field=models.CharField(blank=True, editable=False, max_length=300, verbose_name='because'),
        ),
        migrations.AddField(
            model_name='tool',
            name='switched_by_label',
            field=models.CharField(blank=True, editable=False, max_length=200, verbose_name='switched by'),
        ),
        migrations.CreateModel(
            name='Halt',
            fields=[
                ('id', models.UUIDField(default=agentdesk.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('began_at', models.DateTimeField(auto_now_add=True, verbose_name='switched off at')),
                ('began_by_label', models.CharField(max_length=200, verbose_name='switched off by')),
                ('because', models.CharField(blank=True, max_length=300, verbose_name='because')),
                ('ended_at', models.DateTimeField(null=True, verbose_name='switched on at')),
                ('ended_by_label', models.CharField(blank=True, max_length=200, verbose_name='switched on by')),
            ],
            options={
                'verbose_name': 'switch of the desk',
                'verbose_name_plural': 'switch of the desk',
                'ordering': ['-began_at'],
                'constraints': [models.UniqueConstraint(fields=('ended_at',), name='halt_one_open', nulls_distinct=False)],
            },
        ),
    ]
