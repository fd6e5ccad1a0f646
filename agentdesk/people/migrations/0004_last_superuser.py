"""The last active superuser stays: a trigger refuses to switch off, demote or delete them, whoever asks and by whatever way.
Of two at once the second waits for the first, sees what it did, and is refused."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION people_keep_a_superuser() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.is_superuser AND NEW.is_active AND NEW.kind = 'person' THEN
        RETURN NEW;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('agentdesk.people.superusers', 0));
    IF NOT EXISTS (
        SELECT 1 FROM people_user WHERE id <> OLD.id AND is_superuser AND is_active AND kind = 'person'
    ) THEN
        RAISE EXCEPTION 'the last active superuser stays: make somebody else one first'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'last_superuser', TABLE = 'people_user';
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER people_keep_a_superuser BEFORE UPDATE OF is_superuser, is_active, kind OR DELETE ON people_user
    FOR EACH ROW WHEN (OLD.is_superuser AND OLD.is_active AND OLD.kind = 'person')
    EXECUTE FUNCTION people_keep_a_superuser();
"""
BACKWARD = """
DROP TRIGGER people_keep_a_superuser ON people_user;
DROP FUNCTION people_keep_a_superuser();
"""


class Migration(migrations.Migration):
    dependencies = [("people", "0003_team_reject_reasons")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
