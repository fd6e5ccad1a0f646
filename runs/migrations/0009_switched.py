from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('runs', '0008_held'),
    ]

    operations = [
        migrations.AddField(
            model_name='agent',
            name='switched_at',
            field=models.DateTimeField(editable=False, null=True, verbose_name='switched at'),
        ),
        migrations.AddField(
            model_name='agent',
            name='switched_because',
            field=models.CharField(blank=True, editable=False, max_length=300, verbose_name='because'),
        ),
        migrations.AddField(
            model_name='agent',
            name='switched_by_label',
            field=models.CharField(blank=True, editable=False, max_length=200, verbose_name='switched by'),
        ),
    ]
