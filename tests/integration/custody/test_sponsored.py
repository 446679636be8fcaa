"""Two signatures in one question: the sponsor's, and that of the key whose operation it sponsors."""

import dataclasses
import threading
from collections.abc import Iterable
from typing import Any

import pytest
from django import db as django_db

from contracts import deployments
from contracts.bindings import accounts, paymaster, payments, tokens, user_operations, words
from controls import operations as controls
from custody import models, operations, queries
from custody.domain import keys
from customers import models as customer_models
from openvpp.core import clock, db, errors
from tests.integration.custody.test_signer import CHAIN_ID, deployment
from tests.integration.custody.test_spending import (
    RECIPIENT,
    TOKEN,
    customer_key,
    deny_above,
    operation,
    treasury,
    utility,
)

__all__ = ["deployment", "utility"]
MAX_COST_WEI = 10**12


@pytest.fixture
def sponsor(signer: str, deployment: None) -> models.SealedKey:
    policy = {
        "chain_id": CHAIN_ID,
        "paymaster": "0x" + deployments.load(chain_id=CHAIN_ID).paymaster.hex(),
        "max_cost_wei": MAX_COST_WEI,
    }
    return operations.create_key(purpose="sponsor", subject=f"sponsor:{CHAIN_ID}", policy=policy)


def ask(
    sponsor: models.SealedKey, key: models.SealedKey, *, units: int = 10, reference: int = 1, valid_until: int = 2**40
) -> user_operations.UserOperation:
    deployed = deployments.load(chain_id=CHAIN_ID)
    batch = tokens.PayoutBatch(
        reference=reference.to_bytes(16, "big"), token=TOKEN, recipients=(RECIPIENT,), amounts_units=(units,)
    )
    calls = [
        accounts.Call(to=TOKEN, data=tokens.encode_approve(spender=deployed.payouts, amount_units=units)),
        accounts.Call(to=deployed.payouts, data=tokens.encode_pay_batch(batch=batch)),
    ]
    return operations.sign_sponsored(
        sponsor_key_id=sponsor.pk,
        operation=operation(sender=key.policy["account"], call_data=accounts.encode_execute_batch(calls=calls)),
        sponsorship=sponsorship(valid_until=valid_until),
        key_id=key.pk,
        chain_id=CHAIN_ID,
    )


def sponsorship(*, valid_until: int = 2**40) -> paymaster.Sponsorship:
    return paymaster.Sponsorship(
        paymaster=deployments.load(chain_id=CHAIN_ID).paymaster,
        mode=paymaster.FeeMode.UTILITY,
        utility_id=1,
        valid_after=0,
        valid_until=valid_until,
        fee_units=0,
        verification_gas_limit=60_000,
        post_op_gas_limit=25_000,
    )


def test_both_sign_and_each_log_carries_its_own(sponsor: models.SealedKey, utility: customer_models.Utility) -> None:
    key = treasury(utility)

    made = ask(sponsor, key)

    hash_ = user_operations.hash_user_operation(
        operation=made, chain_id=CHAIN_ID, entry_point=deployments.load(chain_id=CHAIN_ID).entry_point
    )
    assert keys.recover(digest=hash_, signature=made.signature) == key.address
    logged = {row.key_id: (row.kind, row.digest) for row in models.SignatureLog.objects.all()}
    assert logged[key.pk] == ("user_operation", "0x" + hash_.hex())
    assert logged[sponsor.pk][0] == "sponsorship"
    assert keys.recover(digest=bytes.fromhex(logged[sponsor.pk][1][2:]), signature=made.paymaster_and_data[-65:]) == (
        sponsor.address
    )
    assert made.paymaster_and_data[:20] == words.parse_address(sponsor.policy["paymaster"])


@pytest.mark.parametrize("whose", ["sponsor", "key", "sponsor's rule", "key's rule"])
def test_where_one_does_not_sign_the_other_did_not(
    sponsor: models.SealedKey, utility: customer_models.Utility, whose: str
) -> None:
    key, now = treasury(utility), clock.get_now()
    with db.transaction():
        if whose in {"sponsor", "key"}:
            operations.disable_key(key_id=(sponsor if whose == "sponsor" else key).pk, now=now)

    with pytest.raises(operations.UnableToSign) as refusal:
        ask(
            sponsor,
            key,
            units=101 if whose == "key's rule" else 10,
            valid_until=1 if whose == "sponsor's rule" else 2**40,
        )

    assert refusal.value.code == {"sponsor's rule": "expired", "key's rule": "above_cap"}.get(whose, "key_disabled")
    assert not models.SignatureLog.objects.exists()


def test_payments_at_once_leave_the_sponsors_log_whole(
    sponsor: models.SealedKey, utility: customer_models.Utility
) -> None:
    key = treasury(utility)

    def one(number: int) -> None:
        try:
            ask(sponsor, key, reference=number)
        finally:
            django_db.connection.close()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for each in (sponsor, key):
        assert models.SignatureLog.objects.filter(key=each).count() == 8
        assert queries.first_broken_link(key=each) is None


def test_what_cannot_be_logged_is_not_signed(
    sponsor: models.SealedKey, utility: customer_models.Utility, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = treasury(utility)
    ask(sponsor, key)
    read = queries.AskedReady.get

    def read_before_the_last(asked: queries.AskedReady, *, keys: Iterable[models.SealedKey]) -> dict[int, Any]:
        return {
            key_id: dataclasses.replace(ready, sequence=0 if key_id == sponsor.pk else ready.sequence)
            for key_id, ready in read(asked, keys=keys).items()
        }

    with monkeypatch.context() as patched:
        patched.setattr(queries.AskedReady, "get", read_before_the_last)
        with pytest.raises(errors.Unreachable):
            ask(sponsor, key, reference=2)
    assert models.SignatureLog.objects.count() == 2
    ask(sponsor, key, reference=2)
    assert [queries.first_broken_link(key=each) for each in (sponsor, key)] == [None, None]


def test_what_a_phone_signs_is_sponsored_by_the_same_rules(
    sponsor: models.SealedKey, utility: customer_models.Utility
) -> None:
    key, customer = customer_key(utility)
    account = words.checksummed(bytes.fromhex(key.policy["account"][2:]))

    def pay(units: int, **policy: Any) -> str:
        """Return the code by which the sponsor refuses a payment, if it does."""
        session = dataclasses.replace(queries.session_policy(key=key), **policy)
        payment = payments.BillPayment(policy=session, reference=bytes(16), amount_units=units, fee_units=0)
        wish = operation(sender=account, call_data=payments.encode_pay_bill(payment=payment))
        try:
            operations.sign_sponsorship(key_id=sponsor.pk, operation=wish, sponsorship=sponsorship(), chain_id=CHAIN_ID)
        except operations.UnableToSign as refusal:
            return refusal.code
        return ""

    assert pay(51) == ""
    assert pay(1, payee=RECIPIENT) == "other_treasury"
    deny_above(utility, customer, 50)
    assert (pay(50), pay(51)) == ("", "denied_by_rule")
    owner = queries.get_key_of(subject=f"wallet:customer:{customer.pk}")
    with db.transaction():
        controls.freeze(
            utility_id=utility.pk, account=account, chain_id=CHAIN_ID, reason="Lost", by=None, now=clock.get_now()
        )
    assert pay(1) == "wallet_frozen"
    with db.transaction():
        operations.disable_key(key_id=owner.pk, now=clock.get_now())
    assert pay(1) == "wallet_frozen"
    assert models.SignatureLog.objects.filter(key=sponsor).count() == 2


def test_who_left_custody_pays_whom_they_like(sponsor: models.SealedKey, utility: customer_models.Utility) -> None:
    key, customer = customer_key(utility)
    deny_above(utility, customer, 50)
    with db.transaction():
        operations.disable_key(
            key_id=queries.get_key_of(subject=f"wallet:customer:{customer.pk}").pk, now=clock.get_now()
        )
    session = dataclasses.replace(queries.session_policy(key=key), payee=RECIPIENT)
    payment = payments.BillPayment(policy=session, reference=bytes(16), amount_units=51, fee_units=0)
    wish = operation(sender=key.policy["account"], call_data=payments.encode_pay_bill(payment=payment))
    operations.sign_sponsorship(key_id=sponsor.pk, operation=wish, sponsorship=sponsorship(), chain_id=CHAIN_ID)
    assert models.SignatureLog.objects.filter(key=sponsor).count() == 1
