"""Steps and tool calls count their own changes: a live page never replaces a newer line with an older one.

A trigger does it, because many places change these rows and none of them may forget.
"""

from django.db import migrations, models

FORWARD = """
CREATE FUNCTION runs_next_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.revision := OLD.revision + 1;
    RETURN NEW;
END $$;
CREATE TRIGGER step_next_revision BEFORE UPDATE ON runs_step FOR EACH ROW EXECUTE FUNCTION runs_next_revision();
CREATE TRIGGER call_next_revision BEFORE UPDATE ON runs_toolcall FOR EACH ROW EXECUTE FUNCTION runs_next_revision();
"""
BACKWARD = """
DROP TRIGGER step_next_revision ON runs_step;
DROP TRIGGER call_next_revision ON runs_toolcall;
DROP FUNCTION runs_next_revision();
"""
HELP = "Rises with every change; a trigger counts."


class Migration(migrations.Migration):
    dependencies = [("runs", "0001_initial")]
    operations = [
        migrations.AddField("step", "revision", models.PositiveBigIntegerField(default=1, editable=False, help_text=HELP)),
        migrations.AddField("toolcall", "revision", models.PositiveBigIntegerField(default=1, editable=False, help_text=HELP)),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
