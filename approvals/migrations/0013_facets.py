"""What approvals can be found by is kept by triggers, and made for those that are there.

``approval_facets`` flattens stored arguments: it knows the type tags of agentdesk.digests, takes a text that spells a number for
a number too, and stops at 8 levels and 100 values. It casts nothing that it has not looked at first, so it cannot fail.
"""

from django.db import migrations

MAKE = r"""
CREATE FUNCTION approval_facets(args jsonb, action text, agent text)
RETURNS TABLE (path text, value text, number numeric) LANGUAGE sql IMMUTABLE AS $$
    WITH RECURSIVE node (path, value, depth) AS (
        SELECT ''::text, args, 0
        UNION ALL
        SELECT below.path, below.value, node.depth + 1 FROM node CROSS JOIN LATERAL (
            SELECT ltrim(node.path || '.' || part.key, '.') AS path, part.value
            FROM jsonb_each(CASE WHEN jsonb_typeof(node.value) = 'object' AND NOT node.value ? '$' THEN node.value END) part
            UNION ALL
            SELECT node.path, item.value
            FROM jsonb_array_elements(CASE WHEN jsonb_typeof(node.value) = 'array' THEN node.value END) item
        ) below WHERE node.depth < 8
    ), scalar (path, value) AS (
        SELECT node.path, CASE
            WHEN jsonb_typeof(node.value) IN ('string', 'number', 'boolean') THEN node.value #>> '{}'
            WHEN node.value ->> '$' IN ('int', 'float', 'decimal', 'str', 'date', 'datetime', 'time', 'uuid') THEN node.value ->> 'v'
        END FROM node WHERE node.path <> '' AND length(node.path) <= 200 LIMIT 100
    )
    SELECT DISTINCT scalar.path, lower(left(scalar.value, 100)), CASE
        WHEN length(scalar.value) <= 40 AND scalar.value ~ '^\s*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,2})?\s*$'
        THEN scalar.value::numeric END
    FROM scalar WHERE scalar.value IS NOT NULL
    UNION
    SELECT named.path, lower(left(word, 100)), NULL FROM (VALUES ('@tool', action), ('@agent', agent)) named (path, name)
    CROSS JOIN LATERAL (SELECT name UNION SELECT regexp_split_to_table(name, '[^[:alnum:]]+')) words (word) WHERE word <> ''
$$;

CREATE FUNCTION approval_keep_facets() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' OR (OLD.args, OLD.action, OLD.agent, OLD.team_id, OLD.risk)
        IS DISTINCT FROM (NEW.args, NEW.action, NEW.agent, NEW.team_id, NEW.risk) THEN
        IF TG_OP = 'UPDATE' THEN
            DELETE FROM approvals_facet WHERE approval_id = NEW.id;
        END IF;
        INSERT INTO approvals_facet (approval_id, path, text, number, team_id, risk, waits)
        SELECT NEW.id, found.path, found.value, found.number, NEW.team_id, NEW.risk, NEW.status = 'pending'
        FROM approval_facets(NEW.args, NEW.action, NEW.agent) found;
    ELSIF (OLD.status = 'pending') <> (NEW.status = 'pending') THEN
        UPDATE approvals_facet SET waits = NEW.status = 'pending' WHERE approval_id = NEW.id;
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.status = 'pending' AND NEW.status <> 'pending' THEN
        UPDATE approvals_claim SET user_id = NULL, assigned_by_id = NULL, until = NULL
            WHERE approval_id = NEW.id AND user_id IS NOT NULL;
        DELETE FROM approvals_snooze WHERE approval_id = NEW.id;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER approval_asked AFTER INSERT ON approvals_approval FOR EACH ROW EXECUTE FUNCTION approval_keep_facets();
CREATE TRIGGER approval_changed AFTER UPDATE OF args, action, agent, team_id, risk, status ON approvals_approval
    FOR EACH ROW EXECUTE FUNCTION approval_keep_facets();

INSERT INTO approvals_facet (approval_id, path, text, number, team_id, risk, waits)
    SELECT a.id, found.path, found.value, found.number, a.team_id, a.risk, a.status = 'pending'
    FROM approvals_approval a CROSS JOIN LATERAL approval_facets(a.args, a.action, a.agent) found;
"""

UNMAKE = """
DROP TRIGGER approval_asked ON approvals_approval;
DROP TRIGGER approval_changed ON approvals_approval;
DROP FUNCTION approval_keep_facets();
DROP FUNCTION approval_facets(jsonb, text, text);
DELETE FROM approvals_facet;
"""


class Migration(migrations.Migration):
    dependencies = [("approvals", "0012_inbox")]

    operations = [migrations.RunSQL(MAKE, UNMAKE)]
