"""What the database itself holds: policies and checks are only added to, and a change keeps what was asked."""

from django.db import migrations

GUARDS = """
CREATE FUNCTION controls_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append only', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_TABLE_NAME || '_append_only';
END $$;
CREATE TRIGGER controls_spendingpolicy_append_only BEFORE UPDATE OR DELETE ON controls_spendingpolicy
    FOR EACH ROW EXECUTE FUNCTION controls_refuse_change();
CREATE TRIGGER controls_screening_append_only BEFORE UPDATE OR DELETE ON controls_screening
    FOR EACH ROW EXECUTE FUNCTION controls_refuse_change();

CREATE FUNCTION controls_keep_change_request() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'open' THEN
            RAISE EXCEPTION 'a change begins open'
                USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'change_begins_open';
        END IF;
        RETURN NEW;
    END IF;
    IF TG_OP = 'DELETE' OR OLD.state <> 'open' OR
        (NEW.id, NEW.utility_id, NEW.kind, NEW.subject, NEW.before, NEW.after, NEW.maker_id, NEW.made_at,
            NEW.expires_at, NEW.reason)
        IS DISTINCT FROM
        (OLD.id, OLD.utility_id, OLD.kind, OLD.subject, OLD.before, OLD.after, OLD.maker_id, OLD.made_at,
            OLD.expires_at, OLD.reason)
    THEN
        RAISE EXCEPTION 'a change keeps what was asked and how it was decided'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'change_keeps_what_was_asked';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER controls_changerequest_kept BEFORE INSERT OR UPDATE OR DELETE ON controls_changerequest
    FOR EACH ROW EXECUTE FUNCTION controls_keep_change_request();

CREATE FUNCTION controls_require_applied(change uuid, wanted text, about text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM controls_changerequest c
        WHERE c.id = change AND c.state = 'applied' AND c.kind = wanted AND (about IS NULL OR c.subject = about);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no applied % stands behind this', wanted
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'needs_applied_change';
    END IF;
END $$;
CREATE FUNCTION controls_policy_needs_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM controls_require_applied(NEW.change_id, 'spending_policy', NULL);
    RETURN NEW;
END $$;
CREATE TRIGGER controls_spendingpolicy_needs_change BEFORE INSERT ON controls_spendingpolicy
    FOR EACH ROW EXECUTE FUNCTION controls_policy_needs_change();
CREATE FUNCTION controls_keep_freeze() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.lifted_at IS NOT NULL OR NEW.lifted_at IS NULL OR
        (NEW.id, NEW.utility_id, NEW.chain_id, NEW.account, NEW.reason, NEW.made_at)
        IS DISTINCT FROM (OLD.id, OLD.utility_id, OLD.chain_id, OLD.account, OLD.reason, OLD.made_at)
    THEN
        RAISE EXCEPTION 'a freeze is lifted once, and is otherwise kept'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'freeze_is_kept';
    END IF;
    PERFORM controls_require_applied(NEW.lifted_by_id, 'lift_freeze', NEW.id::text);
    RETURN NEW;
END $$;
CREATE TRIGGER controls_freeze_kept BEFORE UPDATE OR DELETE ON controls_freeze
    FOR EACH ROW EXECUTE FUNCTION controls_keep_freeze();
"""
DROP = """
DROP FUNCTION controls_refuse_change() CASCADE;
DROP FUNCTION controls_keep_change_request() CASCADE;
DROP FUNCTION controls_policy_needs_change() CASCADE;
DROP FUNCTION controls_keep_freeze() CASCADE;
DROP FUNCTION controls_require_applied(uuid, text, text);
"""


class Migration(migrations.Migration):
    dependencies = [("controls", "0001_initial")]

    operations = [migrations.RunSQL(GUARDS, DROP)]
