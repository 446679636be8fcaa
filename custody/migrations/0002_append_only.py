"""The signature log and the consents are only added to."""

from django.db import migrations

REFUSE = """
CREATE FUNCTION custody_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append only', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_TABLE_NAME || '_append_only';
END $$;
CREATE TRIGGER custody_consent_append_only BEFORE UPDATE OR DELETE ON custody_consent
    FOR EACH ROW EXECUTE FUNCTION custody_refuse_change();
CREATE TRIGGER custody_signaturelog_append_only BEFORE UPDATE OR DELETE ON custody_signaturelog
    FOR EACH ROW EXECUTE FUNCTION custody_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("custody", "0001_initial")]

    operations = [migrations.RunSQL(REFUSE, "DROP FUNCTION custody_refuse_change() CASCADE;")]
