"""The ledger and what proves it are only added to, and every booking sums to zero in each commodity."""

from django.db import migrations

APPEND_ONLY = ["billing_ledgertransaction", "billing_ledgerentry", "billing_proventransfer", "billing_billline"]

FUNCTIONS = """
CREATE FUNCTION billing_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append only', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_TABLE_NAME || '_append_only';
END $$;

CREATE FUNCTION billing_check_booking() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    booking bigint;
    wrong text;
BEGIN
    IF TG_TABLE_NAME = 'billing_ledgertransaction' THEN
        booking := NEW.id;
    ELSE
        booking := NEW.transaction_id;
    END IF;
    IF NOT EXISTS (SELECT FROM billing_ledgerentry WHERE transaction_id = booking) THEN
        RAISE EXCEPTION 'booking % has no entries', booking
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_booking_is_balanced';
    END IF;
    SELECT string_agg(format('%s by %s', sums.commodity, sums.total), ', ') INTO wrong FROM (
        SELECT account.commodity, sum(entry.amount) AS total
        FROM billing_ledgerentry entry JOIN billing_ledgeraccount account ON account.id = entry.account_id
        WHERE entry.transaction_id = booking GROUP BY account.commodity HAVING sum(entry.amount) <> 0
    ) sums;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'booking % does not balance: %', booking, wrong
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_booking_is_balanced';
    END IF;
    IF EXISTS (
        SELECT FROM billing_ledgerentry entry
        JOIN billing_ledgeraccount account ON account.id = entry.account_id
        JOIN billing_ledgertransaction transaction ON transaction.id = entry.transaction_id
        WHERE entry.transaction_id = booking AND account.utility_id <> transaction.utility_id
    ) THEN
        RAISE EXCEPTION 'booking % touches the books of another utility', booking
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_booking_in_one_utility';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER ledger_transaction_balances AFTER INSERT ON billing_ledgertransaction
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION billing_check_booking();
CREATE CONSTRAINT TRIGGER ledger_entry_balances AFTER INSERT ON billing_ledgerentry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION billing_check_booking();
"""

UNDO = """
DROP TRIGGER ledger_entry_balances ON billing_ledgerentry;
DROP TRIGGER ledger_transaction_balances ON billing_ledgertransaction;
DROP FUNCTION billing_check_booking();
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial")]

    operations = [
        migrations.RunSQL(FUNCTIONS, UNDO + "DROP FUNCTION billing_refuse_change() CASCADE;"),
        *[
            migrations.RunSQL(
                f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION billing_refuse_change();",
                migrations.RunSQL.noop,
            )
            for table in APPEND_ONLY
        ],
    ]
