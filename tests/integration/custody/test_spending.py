"""The signer judges spending by itself: caps of a day from its own log, policies and freezes from the database."""

import datetime
import secrets
from typing import Any

import pytest

from contracts import deployments
from contracts.bindings import accounts, payments, tokens, user_operations, words
from controls import models as controls_models
from controls import operations as controls
from controls.usecases import decide_change
from custody import models, operations, queries
from customers import models as customer_models
from openvpp.core import clock, db
from tests.factories import customers
from tests.integration.custody.test_signer import CHAIN_ID, deployment, session_policy

__all__ = ["deployment"]
TOKEN, OTHER_TOKEN, RECIPIENT = bytes.fromhex("33" * 20), bytes.fromhex("34" * 20), bytes.fromhex("44" * 20)


@pytest.fixture
def utility(signer: str, deployment: None) -> customer_models.Utility:
    made: customer_models.Utility = customers.Utility.create(treasury_address=words.checksummed(b"\x22" * 20))
    return made


def treasury(utility: customer_models.Utility) -> models.SealedKey:
    payouts = deployments.load(chain_id=CHAIN_ID).payouts
    return operations.create_key(
        purpose="treasury_owner",
        subject=f"wallet:treasury:{utility.pk}:Evening: peak",
        policy={
            "chain_id": CHAIN_ID,
            "salt": "0x" + "07" * 32,
            "payouts": "0x" + payouts.hex(),
            "caps": [{"token": "0x" + TOKEN.hex(), "batch_units": "100", "day_units": "250"}],
        },
    )


def operation(*, sender: str, call_data: bytes) -> user_operations.UserOperation:
    return user_operations.UserOperation(
        sender=bytes.fromhex(sender[2:]),
        nonce=0,
        call_data=call_data,
        verification_gas_limit=100_000,
        call_gas_limit=100_000,
        pre_verification_gas=50_000,
        max_priority_fee_per_gas=1,
        max_fee_per_gas=1000,
        paymaster_and_data=b"\x66" * 20 + bytes(133),
    )


def pay(key: models.SealedKey, units: int, reference: bytes | None = None, token: bytes = TOKEN) -> bytes:
    payouts = deployments.load(chain_id=CHAIN_ID).payouts
    batch = tokens.PayoutBatch(
        reference=reference or secrets.token_bytes(16), token=token, recipients=(RECIPIENT,), amounts_units=(units,)
    )
    calls = [
        accounts.Call(to=token, data=tokens.encode_approve(spender=payouts, amount_units=units)),
        accounts.Call(to=payouts, data=tokens.encode_pay_batch(batch=batch)),
    ]
    sent = operation(sender=key.policy["account"], call_data=accounts.encode_execute_batch(calls=calls))
    return operations.sign_user_operation(key_id=key.pk, operation=sent, chain_id=CHAIN_ID)


def refused(key: models.SealedKey, *args: Any, **kwargs: Any) -> str:
    before = models.SignatureLog.objects.count()
    with pytest.raises(operations.UnableToSign) as refusal:
        pay(key, *args, **kwargs)
    assert models.SignatureLog.objects.count() == before
    return refusal.value.code


def test_a_treasury_pays_up_to_its_caps_of_a_batch_and_a_day(utility: customer_models.Utility) -> None:
    key, reference = treasury(utility), secrets.token_bytes(16)
    assert refused(key, 101) == "above_cap"
    assert refused(key, 1, token=OTHER_TOKEN) == "above_cap"
    pay(key, 100, reference)
    pay(key, 100, reference)  # the chain pays a reference once, so it counts once
    pay(key, 100)
    assert refused(key, 51) == "above_cap"
    pay(key, 50)
    assert refused(key, 1) == "above_cap"


def administrator(utility: customer_models.Utility) -> customer_models.User:
    user: customer_models.User = customers.StaffRole.create(utility=utility, role="administrator").user
    return user


def test_two_people_raise_the_caps_and_the_signer_looks_for_itself(utility: customer_models.Utility) -> None:
    key, now = treasury(utility), clock.get_now()
    wanted = [{"token": "0x" + TOKEN.hex(), "batch_units": "500", "day_units": "500"}]
    change = decide_change.propose(
        kind="treasury_caps",
        subject=str(key.pk),
        after={"caps": wanted},
        reason="A hot summer",
        maker=administrator(utility),
        now=now,
    )
    with pytest.raises(operations.UnableToApplyChange) as refusal:
        operations.apply_change(change_id=str(change.pk), now=now)
    assert refusal.value.code == "no_such_change"
    assert refused(key, 500) == "above_cap"
    decide_change.approve(change_id=change.pk, checker=administrator(utility), now=now)
    for _ in range(2):
        operations.apply_change(change_id=str(change.pk), now=now)
    key.refresh_from_db()
    assert key.policy["caps"] == wanted
    pay(key, 500)
    models.SealedKey.objects.filter(pk=key.pk).update(
        policy=key.policy | {"caps": [{"token": "0x" + TOKEN.hex(), "batch_units": "9000", "day_units": "9000"}]}
    )
    assert refused(key, 501) == "key_not_open"


def customer_key(utility: customer_models.Utility) -> tuple[models.SealedKey, customer_models.Customer]:
    """Return a session key of a customer's own wallet."""
    customer = customers.Customer.create(utility=utility)
    owner = operations.create_key(
        purpose="wallet_owner",
        subject=f"wallet:customer:{customer.pk}",
        policy={"chain_id": CHAIN_ID, "salt": "0x" + "08" * 32, "payee": utility.treasury_address.lower()},
    )
    key = operations.create_key(
        purpose="session", subject="grant:1", policy=session_policy(account=owner.policy["account"])
    )
    return key, customer


def sign_payment(key: models.SealedKey, units: int) -> bytes:
    payment = payments.BillPayment(
        policy=queries.session_policy(key=key), reference=bytes(16), amount_units=units, fee_units=0
    )
    sent = operation(sender=key.policy["account"], call_data=payments.encode_pay_bill(payment=payment))
    return operations.sign_user_operation(key_id=key.pk, operation=sent, chain_id=CHAIN_ID)


def deny_above(utility: customer_models.Utility, customer: customer_models.Customer, units: int) -> None:
    """Have two people refuse larger payments of a customer."""
    rule = {"name": "small", "effect": "deny", "when": [], "unless": [{"kind": "units", "at_most_units": str(units)}]}
    change = decide_change.propose(
        kind="spending_policy",
        subject=f"customer:{customer.pk}",
        after={"document": {"tag": "spending/1", "rules": [rule]}},
        reason="Asked for by the customer",
        maker=administrator(utility),
        now=clock.get_now(),
    )
    decide_change.approve(change_id=change.pk, checker=administrator(utility), now=clock.get_now())


def test_whoever_goes_around_the_web_meets_the_policies_again(utility: customer_models.Utility) -> None:
    key, customer = customer_key(utility)
    sign_payment(key, 90)
    deny_above(utility, customer, 50)
    sign_payment(key, 50)
    with pytest.raises(operations.UnableToSign) as refusal:
        sign_payment(key, 51)
    assert refusal.value.code == "denied_by_rule"
    assert models.SignatureLog.objects.filter(key=key).count() == 2


def test_a_frozen_wallet_signs_no_payment(utility: customer_models.Utility) -> None:
    key, _ = customer_key(utility)
    with db.transaction():
        controls.freeze(
            utility_id=utility.pk,
            account=words.checksummed(bytes.fromhex(key.policy["account"][2:])),
            chain_id=CHAIN_ID,
            reason="Lost phone",
            by=None,
            now=clock.get_now() - datetime.timedelta(seconds=1),
        )
    with pytest.raises(operations.UnableToSign) as refusal:
        sign_payment(key, 1)
    assert refusal.value.code == "wallet_frozen"
    assert controls_models.Freeze.objects.count() == 1
    assert not models.SignatureLog.objects.filter(key=key).exists()
