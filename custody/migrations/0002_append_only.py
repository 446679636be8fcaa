"""The signature log and the consents are only added to, and a key that was disabled stays so."""

from django.db import migrations

REFUSE = """
CREATE FUNCTION custody_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append only', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_TABLE_NAME || '_append_only';
END $$;
CREATE TRIGGER custody_consent_append_only BEFORE UPDATE OR DELETE ON custody_consent
    FOR EACH ROW EXECUTE FUNCTION custody_refuse_change();
CREATE FUNCTION custody_record_closing_now() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.recorded_at < now() - interval '10 minutes' THEN
        RAISE EXCEPTION 'the wish to close an account counts from now'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'closing_counts_from_now';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER custody_consent_counts_from_now BEFORE INSERT ON custody_consent
    FOR EACH ROW WHEN (NEW.terms ->> 'type' = 'ovpp_closing') EXECUTE FUNCTION custody_record_closing_now();
CREATE FUNCTION custody_keep_disabled() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a key that was disabled stays so'
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'disabled_key_stays_disabled';
END $$;
CREATE TRIGGER custody_sealedkey_stays_disabled BEFORE UPDATE ON custody_sealedkey
    FOR EACH ROW WHEN (OLD.disabled_at IS NOT NULL AND OLD.disabled_at IS DISTINCT FROM NEW.disabled_at)
    EXECUTE FUNCTION custody_keep_disabled();
CREATE TRIGGER custody_signaturelog_append_only BEFORE UPDATE OR DELETE ON custody_signaturelog
    FOR EACH ROW EXECUTE FUNCTION custody_refuse_change();
"""
DROP = """
DROP FUNCTION custody_refuse_change() CASCADE;
DROP FUNCTION custody_record_closing_now() CASCADE;
DROP FUNCTION custody_keep_disabled() CASCADE;
"""


class Migration(migrations.Migration):
    dependencies = [("custody", "0001_initial")]

    operations = [migrations.RunSQL(REFUSE, DROP)]
