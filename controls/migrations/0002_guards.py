"""What the database itself holds.

Policies and checks are only added to, a change keeps what was asked, and terms that guard money, the rule for a screener
that is down, policies and the lifting of a freeze come of a change that two people made.
"""

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

-- Terms are those of the latest change that two people made of them; what nobody changed yet is as it was entered.
CREATE FUNCTION controls_require_terms(wanted text, about text, terms jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM controls_changerequest c
        WHERE c.kind = wanted AND c.subject = about AND c.state = 'applied'
            AND lower(c.after::text)::jsonb @> lower(terms::text)::jsonb
            AND c.decided_at = (
                SELECT max(decided_at) FROM controls_changerequest
                    WHERE kind = wanted AND subject = about AND state = 'applied'
            );
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no applied % stands behind these terms', wanted
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'needs_applied_change';
    END IF;
END $$;
CREATE FUNCTION controls_utility_needs_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM controls_require_terms('utility_terms', NEW.id::text, jsonb_build_object(
        'treasury_address', '0x' || encode(NEW.treasury_address, 'hex'),
        'default_fee_mode', NEW.default_fee_mode,
        'offers_fee_in_ovpp', NEW.offers_fee_in_ovpp,
        'offers_fee_in_stablecoin', NEW.offers_fee_in_stablecoin,
        'absorbs_fee', NEW.absorbs_fee,
        'default_payment_limit_cents', NEW.default_payment_limit_cents,
        'default_period_limit_cents', NEW.default_period_limit_cents,
        'default_grant_days', NEW.default_grant_days,
        'max_payment_limit_cents', NEW.max_payment_limit_cents,
        'max_period_limit_cents', NEW.max_period_limit_cents,
        'max_grant_days', NEW.max_grant_days,
        'step_up_above_cents', NEW.step_up_above_cents
    ));
    RETURN NEW;
END $$;
CREATE TRIGGER customers_utility_needs_change BEFORE UPDATE ON customers_utility FOR EACH ROW WHEN (
    (OLD.treasury_address, OLD.default_fee_mode, OLD.offers_fee_in_ovpp, OLD.offers_fee_in_stablecoin,
        OLD.absorbs_fee, OLD.default_payment_limit_cents, OLD.default_period_limit_cents, OLD.default_grant_days,
        OLD.max_payment_limit_cents, OLD.max_period_limit_cents, OLD.max_grant_days, OLD.step_up_above_cents)
    IS DISTINCT FROM
    (NEW.treasury_address, NEW.default_fee_mode, NEW.offers_fee_in_ovpp, NEW.offers_fee_in_stablecoin,
        NEW.absorbs_fee, NEW.default_payment_limit_cents, NEW.default_period_limit_cents, NEW.default_grant_days,
        NEW.max_payment_limit_cents, NEW.max_period_limit_cents, NEW.max_grant_days, NEW.step_up_above_cents)
) EXECUTE FUNCTION controls_utility_needs_change();
CREATE FUNCTION controls_token_needs_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM controls_require_terms('accepted_token', NEW.id::text, jsonb_build_object(
        'pays_bills', NEW.pays_bills, 'pays_fees', NEW.pays_fees, 'fee_cap_units', trunc(NEW.fee_cap_units)::text
    ));
    RETURN NEW;
END $$;
CREATE TRIGGER customers_acceptedtoken_needs_change BEFORE UPDATE ON customers_acceptedtoken FOR EACH ROW WHEN (
    (OLD.pays_bills, OLD.pays_fees, OLD.fee_cap_units) IS DISTINCT FROM
    (NEW.pays_bills, NEW.pays_fees, NEW.fee_cap_units)
) EXECUTE FUNCTION controls_token_needs_change();
CREATE FUNCTION controls_screening_needs_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM controls_require_terms(
        'screening', NEW.utility_id::text, jsonb_build_object('when_down', NEW.when_down)
    );
    RETURN NEW;
END $$;
CREATE TRIGGER controls_screeningrule_needs_change BEFORE INSERT OR UPDATE ON controls_screeningrule
    FOR EACH ROW EXECUTE FUNCTION controls_screening_needs_change();
"""
DROP = """
DROP FUNCTION controls_screening_needs_change() CASCADE;
DROP FUNCTION controls_token_needs_change() CASCADE;
DROP FUNCTION controls_utility_needs_change() CASCADE;
DROP FUNCTION controls_require_terms(text, text, jsonb);
DROP FUNCTION controls_refuse_change() CASCADE;
DROP FUNCTION controls_keep_change_request() CASCADE;
DROP FUNCTION controls_policy_needs_change() CASCADE;
DROP FUNCTION controls_keep_freeze() CASCADE;
DROP FUNCTION controls_require_applied(uuid, text, text);
"""


class Migration(migrations.Migration):
    dependencies = [("controls", "0001_initial")]

    operations = [migrations.RunSQL(GUARDS, DROP)]
