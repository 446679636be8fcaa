"""The ledger and what proves it are only added to, and every booking sums to zero in each commodity.

A statement that writes entries leaves every booking that it touches balanced, checked once for all its rows: a run
books hundreds of bills by one. That a booking has entries is checked at the end of the transaction. Standing bills use
no more of a credit than it is: whoever uses one locks it.
"""

from django.db import migrations

APPEND_ONLY = [
    "billing_ledgertransaction",
    "billing_ledgerentry",
    "billing_proventransfer",
    "billing_billline",
    "billing_marketprice",
]

FUNCTIONS = """
CREATE FUNCTION billing_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append only', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_TABLE_NAME || '_append_only';
END $$;

CREATE FUNCTION billing_check_booking() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM billing_ledgerentry WHERE transaction_id = NEW.id) THEN
        RAISE EXCEPTION 'booking % has no entries', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_booking_is_balanced';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION billing_check_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong record;
BEGIN
    SELECT fresh.transaction_id AS booking INTO wrong
    FROM fresh
    JOIN billing_ledgeraccount account ON account.id = fresh.account_id
    JOIN billing_ledgertransaction transaction ON transaction.id = fresh.transaction_id
    WHERE account.utility_id <> transaction.utility_id LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'booking % touches the books of another utility', wrong.booking
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_booking_in_one_utility';
    END IF;
    SELECT sums.booking, string_agg(format('%s by %s', sums.commodity, sums.total), ', ') AS sums INTO wrong FROM (
        SELECT entry.transaction_id AS booking, account.commodity, sum(entry.amount) AS total
        FROM (SELECT DISTINCT transaction_id FROM fresh) touched
        JOIN billing_ledgerentry entry ON entry.transaction_id = touched.transaction_id
        JOIN billing_ledgeraccount account ON account.id = entry.account_id
        GROUP BY entry.transaction_id, account.commodity HAVING sum(entry.amount) <> 0
    ) sums GROUP BY sums.booking LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'booking % does not balance: %', wrong.booking, wrong.sums
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_booking_is_balanced';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION billing_check_credit_use() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    owed numeric;
BEGIN
    SELECT (amount - withdrawn) * 1000000000 INTO owed FROM billing_accountcredit WHERE id = NEW.credit_id FOR UPDATE;
    IF (
        SELECT sum(use.amount_nano) FROM billing_credituse use JOIN billing_bill bill ON bill.id = use.bill_id
        WHERE use.credit_id = NEW.credit_id AND bill.state <> 'cancelled'
    ) > owed THEN
        RAISE EXCEPTION 'credit % is used beyond what it is', NEW.credit_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'credit_is_used_once';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER credit_use_within_credit AFTER INSERT ON billing_credituse
    FOR EACH ROW EXECUTE FUNCTION billing_check_credit_use();
CREATE CONSTRAINT TRIGGER ledger_transaction_balances AFTER INSERT ON billing_ledgertransaction
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION billing_check_booking();
CREATE TRIGGER ledger_entry_balances AFTER INSERT ON billing_ledgerentry
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION billing_check_entries();
"""

UNDO = """
DROP TRIGGER credit_use_within_credit ON billing_credituse;
DROP FUNCTION billing_check_credit_use();
DROP TRIGGER ledger_entry_balances ON billing_ledgerentry;
DROP TRIGGER ledger_transaction_balances ON billing_ledgertransaction;
DROP FUNCTION billing_check_entries();
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
