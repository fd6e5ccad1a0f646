"""The table of Django's database cache, which counts failed logins for all web processes."""

from django.db import migrations

FORWARD = """
CREATE TABLE people_cache (
    cache_key varchar(255) NOT NULL PRIMARY KEY,
    value text NOT NULL,
    expires timestamp with time zone NOT NULL
);
CREATE INDEX people_cache_expires ON people_cache (expires);
"""


class Migration(migrations.Migration):
    dependencies = [("people", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, "DROP TABLE people_cache")]
