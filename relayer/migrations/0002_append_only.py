"""The history of operations, and what staff did, are only added to."""

from django.db import migrations

REFUSE = """
CREATE FUNCTION relayer_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append only', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_TABLE_NAME || '_append_only';
END $$;
CREATE TRIGGER relayer_useroperationtransition_append_only BEFORE UPDATE OR DELETE ON relayer_useroperationtransition
    FOR EACH ROW EXECUTE FUNCTION relayer_refuse_change();
CREATE TRIGGER relayer_staffaction_append_only BEFORE UPDATE OR DELETE ON relayer_staffaction
    FOR EACH ROW EXECUTE FUNCTION relayer_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("relayer", "0001_initial")]

    operations = [migrations.RunSQL(REFUSE, "DROP FUNCTION relayer_refuse_change() CASCADE;")]
