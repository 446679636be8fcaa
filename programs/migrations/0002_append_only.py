"""What a settlement computed and what proves its payment stays as it was written; a payout that was made stays made."""

from django.db import migrations

FUNCTIONS = """
CREATE FUNCTION programs_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append only', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_TABLE_NAME || '_append_only';
END $$;

CREATE FUNCTION programs_keep_payout() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.settlement_id, OLD.event_device_id, OLD.recipient_wallet_id, OLD.baseline_days, OLD.intervals,
        OLD.baseline_wh, OLD.actual_wh, OLD.performance_wh, OLD.amount_units, OLD.reason)
       IS DISTINCT FROM
       (NEW.settlement_id, NEW.event_device_id, NEW.recipient_wallet_id, NEW.baseline_days, NEW.intervals,
        NEW.baseline_wh, NEW.actual_wh, NEW.performance_wh, NEW.amount_units, NEW.reason)
       OR (OLD.state = 'paid' AND (NEW.state, NEW.paid_at) IS DISTINCT FROM (OLD.state, OLD.paid_at))
    THEN
        RAISE EXCEPTION 'the figures of payout % are written once', OLD.id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'payout_is_written_once';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION programs_keep_settlement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.event_id, OLD.reference, OLD.token, OLD.token_decimals, OLD.payout_usd_per_kwh, OLD.total_units)
       IS DISTINCT FROM
       (NEW.event_id, NEW.reference, NEW.token, NEW.token_decimals, NEW.payout_usd_per_kwh, NEW.total_units)
       OR (OLD.state IN ('paid', 'nothing_due') AND NEW.state <> OLD.state)
    THEN
        RAISE EXCEPTION 'the figures of settlement % are written once', OLD.id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'settlement_is_written_once';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER programs_payouttransfer_append_only BEFORE UPDATE OR DELETE ON programs_payouttransfer
    FOR EACH ROW EXECUTE FUNCTION programs_refuse_change();
CREATE TRIGGER programs_payout_not_deleted BEFORE DELETE ON programs_payout
    FOR EACH ROW EXECUTE FUNCTION programs_refuse_change();
CREATE TRIGGER programs_settlement_not_deleted BEFORE DELETE ON programs_settlement
    FOR EACH ROW EXECUTE FUNCTION programs_refuse_change();
CREATE TRIGGER programs_payout_written_once BEFORE UPDATE ON programs_payout
    FOR EACH ROW EXECUTE FUNCTION programs_keep_payout();
CREATE TRIGGER programs_settlement_written_once BEFORE UPDATE ON programs_settlement
    FOR EACH ROW EXECUTE FUNCTION programs_keep_settlement();
"""

UNDO = """
DROP FUNCTION programs_refuse_change() CASCADE;
DROP FUNCTION programs_keep_payout() CASCADE;
DROP FUNCTION programs_keep_settlement() CASCADE;
"""


class Migration(migrations.Migration):
    dependencies = [("programs", "0001_initial")]

    operations = [migrations.RunSQL(FUNCTIONS, UNDO)]
