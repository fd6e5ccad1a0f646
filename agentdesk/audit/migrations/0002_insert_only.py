"""The record is insert-only for every role: triggers say what the grants of the application's role say too."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION audit_insert_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the record is insert-only: % on % refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_entry_insert_only BEFORE UPDATE OR DELETE ON audit_auditentry
    FOR EACH ROW EXECUTE FUNCTION audit_insert_only();
CREATE TRIGGER audit_entry_no_truncate BEFORE TRUNCATE ON audit_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION audit_insert_only();
CREATE TRIGGER audit_content_unchanged BEFORE UPDATE ON audit_auditcontent
    FOR EACH ROW EXECUTE FUNCTION audit_insert_only();
CREATE TRIGGER audit_content_no_truncate BEFORE TRUNCATE ON audit_auditcontent
    FOR EACH STATEMENT EXECUTE FUNCTION audit_insert_only();
"""
BACKWARD = """
DROP TRIGGER audit_entry_insert_only ON audit_auditentry;
DROP TRIGGER audit_entry_no_truncate ON audit_auditentry;
DROP TRIGGER audit_content_unchanged ON audit_auditcontent;
DROP TRIGGER audit_content_no_truncate ON audit_auditcontent;
DROP FUNCTION audit_insert_only();
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
