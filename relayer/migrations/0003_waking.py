"""A row that comes in wakes whoever waits for it up (openvpp.core.waking)."""

from django.db import migrations

WAKE = """
CREATE FUNCTION relayer_wake() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM made) THEN PERFORM pg_notify(TG_ARGV[0], ''); END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER relayer_useroperation_wakes AFTER INSERT ON relayer_useroperation
    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION relayer_wake('relayer_queue');
CREATE TRIGGER relayer_operationnews_wakes AFTER INSERT ON relayer_operationnews
    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION relayer_wake('relayer_news');
"""


class Migration(migrations.Migration):
    dependencies = [("relayer", "0002_append_only")]

    operations = [migrations.RunSQL(WAKE, "DROP FUNCTION relayer_wake() CASCADE;")]
