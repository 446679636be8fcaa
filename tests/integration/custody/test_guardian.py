"""The signer lets a guardian act on its own utility's customers, and recover to a proven key that two people named."""

import datetime
import secrets
from typing import Any

import pytest

from contracts.bindings import accounts, control, words
from controls import models as controls_models
from controls import operations as controls
from custody import models, operations
from custody.domain import consents, recoveries
from customers import models as customer_models
from openvpp.core import clock, db
from tests import chain_fixture
from tests.factories import customers
from tests.integration.custody import test_control
from tests.integration.custody.test_signer import CHAIN_ID, deployment

__all__ = ["deployment"]
NEXT = chain_fixture.Key(words.keccak(b"the next key"))
OWNER = words.checksummed(NEXT.address)
SESSION = bytes(32)


@pytest.fixture
def customer() -> customer_models.Customer:
    found: customer_models.Customer = customers.Customer.create()
    return found


@pytest.fixture
def guarded(signer: str, deployment: None, customer: customer_models.Customer) -> models.SealedKey:
    """The key of the customer's wallet."""
    return owner_of(customer)


@pytest.fixture
def guardian(signer: str, deployment: None, customer: customer_models.Customer) -> models.SealedKey:
    return guardian_of(customer.utility)


def owner_of(customer: customer_models.Customer) -> models.SealedKey:
    return operations.create_key(
        purpose="wallet_owner",
        subject=f"wallet:customer:{customer.pk}",
        policy={"chain_id": CHAIN_ID, "salt": "0x" + secrets.token_hex(32), "payee": "0x" + "22" * 20},
    )


def guardian_of(utility: customer_models.Utility) -> models.SealedKey:
    return operations.create_key(
        purpose="guardian",
        subject=f"wallet:guardian:{utility.pk}",
        policy={"chain_id": CHAIN_ID, "salt": "0x" + secrets.token_hex(32)},
    )


def account_of(key: models.SealedKey) -> bytes:
    return bytes.fromhex(key.policy["account"][2:])


def to(guarded: models.SealedKey, data: bytes) -> bytes:
    return accounts.encode_execute_batch(calls=[accounts.Call(to=account_of(guarded), data=data)])


def recovery(guarded: models.SealedKey) -> bytes:
    return to(guarded, control.encode_schedule_recovery(owner=NEXT.address))


def prove(guarded: models.SealedKey, *, by: chain_fixture.Key = NEXT) -> str:
    named: dict[str, Any] = {
        "wallet": words.checksummed(account_of(guarded)),
        "chain_id": CHAIN_ID,
        "new_owner": OWNER,
        "recovery_id": secrets.token_hex(8),
    }
    signature = by.sign(recoveries.digest(text=recoveries.message(**named)))
    terms = {"type": recoveries.TERMS, **named, "signature": "0x" + signature.hex()}
    operations.record_consent(key_id=guarded.pk, terms=terms, now=clock.get_now())
    return str(named["recovery_id"])


def decide(
    guarded: models.SealedKey, customer: customer_models.Customer, recovery_id: str, **values: Any
) -> controls_models.ChangeRequest:
    after = {
        "wallet": words.checksummed(account_of(guarded)),
        "recovery_id": recovery_id,
        "new_owner": OWNER,
    }
    change = {"utility": customer.utility, "kind": "recover_wallet", "before": {}, "after": after}
    return test_control.approved(guarded, **(change | values))


def test_it_stops_sessions_of_its_own_customers_alone(guardian: models.SealedKey, guarded: models.SealedKey) -> None:
    hold = control.encode_hold_sessions(session_ids=[SESSION])
    assert len(test_control.sign(guardian, to(guarded, hold))) == 65
    stranger = guardian_of(customers.Utility.create())
    assert test_control.refusal(stranger, to(guarded, hold)) == "other_utility"
    assert test_control.refusal(guardian, to(guardian, hold)) == "other_account"


def test_it_proposes_only_whom_the_customer_proved_and_two_people_named(
    guardian: models.SealedKey, guarded: models.SealedKey, customer: customer_models.Customer
) -> None:
    assert test_control.refusal(guardian, recovery(guarded)) == "unknown_consent"
    forged = prove(guarded, by=chain_fixture.SPONSOR)
    decide(guarded, customer, forged)
    assert test_control.refusal(guardian, recovery(guarded)) == "unknown_consent"
    proven = prove(guarded)
    assert test_control.refusal(guardian, recovery(guarded)) == "no_such_change"
    decide(guarded, customer, proven, state="open")
    decide(guarded, customer, proven, utility=customers.Utility.create())
    assert test_control.refusal(guardian, recovery(guarded)) == "no_such_change"
    decide(guarded, customer, proven)
    assert len(test_control.sign(guardian, recovery(guarded))) == 65
    carried_out = control.encode_recover(previous_owner=account_of(guardian), owner=NEXT.address)
    assert len(test_control.sign(guardian, to(guarded, carried_out))) == 65
    elsewhere = control.encode_schedule_recovery(owner=account_of(guardian))
    assert test_control.refusal(guardian, to(guarded, elsewhere)) == "unknown_consent"


def test_a_decision_of_the_day_before_proposes_nobody(
    guardian: models.SealedKey, guarded: models.SealedKey, customer: customer_models.Customer
) -> None:
    change = decide(guarded, customer, prove(guarded), state="open")
    change.state, change.checker = "applied", customers.User.create()
    change.decided_at = clock.get_now() - datetime.timedelta(days=1, minutes=1)
    change.save()
    assert test_control.refusal(guardian, recovery(guarded)) == "no_such_change"


def test_a_frozen_wallet_is_not_recovered(
    guardian: models.SealedKey, guarded: models.SealedKey, customer: customer_models.Customer
) -> None:
    decide(guarded, customer, prove(guarded))
    with db.transaction():
        controls.freeze(
            utility_id=customer.utility_id,
            account=words.checksummed(account_of(guarded)),
            chain_id=CHAIN_ID,
            reason="listed",
            by=None,
            now=clock.get_now(),
        )
    assert test_control.refusal(guardian, recovery(guarded)) == "wallet_frozen"


def test_an_owner_appoints_only_its_utilitys_guardian_and_by_the_customers_wish(
    guardian: models.SealedKey, guarded: models.SealedKey
) -> None:
    appointment = control.encode_set_guardian(guardian=account_of(guardian))
    keeping = control.encode_announce_exit(owner=NEXT.address, keeps_guardian=True)
    terms = {"type": consents.EXIT, "wallet": "0x", "new_owner": OWNER, "exit_id": "1"}
    operations.record_consent(key_id=guarded.pk, terms=terms, now=clock.get_now())
    assert test_control.refusal(guarded, appointment) == "unknown_consent"
    assert test_control.refusal(guarded, keeping) == "unknown_consent"
    operations.record_consent(key_id=guarded.pk, terms={**terms, "keeps_guardian": True}, now=clock.get_now())
    assert len(test_control.sign(guarded, appointment)) == 65
    assert len(test_control.sign(guarded, keeping)) == 65
    stranger = guardian_of(customers.Utility.create())
    foreign = control.encode_set_guardian(guardian=account_of(stranger))
    assert test_control.refusal(guarded, foreign) == "other_guardian"
