"""The signer gives an account over only to whom the customer named, or to the key that two people had made."""

import secrets
import uuid
from typing import Any

import pytest

from contracts.bindings import accounts, control, user_operations, words
from controls import models as controls_models
from controls import operations as controls
from custody import models, operations
from custody.domain import consents
from openvpp.core import clock, db
from tests.factories import customers
from tests.integration.custody.test_signer import CHAIN_ID, deployment

__all__ = ["deployment"]
NEXT = words.checksummed(bytes.fromhex("ab" * 20))


@pytest.fixture
def owner(signer: str, deployment: None) -> models.SealedKey:
    customer = customers.Customer.create()
    return operations.create_key(
        purpose="wallet_owner",
        subject=f"wallet:customer:{customer.pk}",
        policy={"chain_id": CHAIN_ID, "salt": "0x" + secrets.token_hex(32), "payee": "0x" + "22" * 20},
    )


def sign(key: models.SealedKey, call_data: bytes) -> bytes:
    return sign_on(key, call_data, chain_id=CHAIN_ID)


def sign_on(key: models.SealedKey, call_data: bytes, *, chain_id: int) -> bytes:
    """Have an operation of the key's account signed."""
    operation = user_operations.UserOperation(
        sender=bytes.fromhex(key.policy["account"][2:]),
        nonce=0,
        call_data=call_data,
        verification_gas_limit=100_000,
        call_gas_limit=100_000,
        pre_verification_gas=50_000,
        max_priority_fee_per_gas=1,
        max_fee_per_gas=1000,
        paymaster_and_data=b"\x66" * 20 + bytes(133),
    )
    return operations.sign_user_operation(key_id=key.pk, operation=operation, chain_id=chain_id)


def refusal(key: models.SealedKey, call_data: bytes) -> str:
    before = models.SignatureLog.objects.count()
    with pytest.raises(operations.UnableToSign) as refused:
        sign(key, call_data)
    assert models.SignatureLog.objects.count() == before
    return refused.value.code


def announcement(owner: str) -> bytes:
    return control.encode_announce_exit(owner=words.parse_address(owner), keeps_guardian=False)


def change_to(owner: str) -> bytes:
    return accounts.encode_schedule_change(call=accounts.encode_change_owner(owner=words.parse_address(owner)))


def approved(key: models.SealedKey, **values: Any) -> controls_models.ChangeRequest:
    maker, checker = customers.User.create(), customers.User.create()
    now = clock.get_now()
    made: controls_models.ChangeRequest = controls_models.ChangeRequest.objects.create(
        **{
            "utility": customers.Utility.create(),
            "kind": "owner_key",
            "subject": str(uuid.uuid4()),
            "title": "Owner key",
            "before": {"owner": str(key.address), "replace": False},
            "after": {"owner": str(key.address), "replace": True},
            "reason": "Yearly.",
            "maker": maker,
            "made_at": now,
            "expires_at": now + clock.get_now().resolution * 10**9,
        }
        | values
    )
    if "state" not in values:
        made.state, made.checker, made.decided_at = "applied", checker, now
        made.save()
    return made


def successor(key: models.SealedKey, change: controls_models.ChangeRequest) -> models.SealedKey:
    return operations.create_key(
        purpose="wallet_owner", subject=f"{key.subject}:{change.pk}", policy={"follows": key.subject}
    )


def test_an_exit_is_announced_only_to_the_key_that_the_customer_named(owner: models.SealedKey) -> None:
    assert refusal(owner, announcement(NEXT)) == "unknown_consent"
    terms = {"type": consents.EXIT, "wallet": "0x", "new_owner": NEXT, "exit_id": "1"}
    operations.record_consent(key_id=owner.pk, terms=terms, now=clock.get_now())
    assert len(sign(owner, announcement(NEXT))) == 65
    assert refusal(owner, announcement(words.checksummed(b"\xcd" * 20))) == "unknown_consent"


def test_a_frozen_account_is_given_to_nobody(owner: models.SealedKey) -> None:
    terms = {"type": consents.EXIT, "wallet": "0x", "new_owner": NEXT, "exit_id": "1"}
    operations.record_consent(key_id=owner.pk, terms=terms, now=clock.get_now())
    account = words.checksummed(bytes.fromhex(owner.policy["account"][2:]))
    with db.transaction():
        controls.freeze(
            utility_id=customers.Utility.create().pk,
            account=account,
            chain_id=CHAIN_ID,
            reason="listed",
            by=None,
            now=clock.get_now(),
        )
    assert refusal(owner, announcement(NEXT)) == "wallet_frozen"
    assert refusal(owner, control.encode_exit()) == "wallet_frozen"
    assert len(sign(owner, control.encode_cancel_exit())) == 65


def test_the_next_key_is_one_that_two_people_had_made(owner: models.SealedKey) -> None:
    assert refusal(owner, change_to(NEXT)) == "other_owner"
    assert refusal(owner, change_to(str(owner.address))) == "no_such_change"
    stranger = operations.create_key(
        purpose="wallet_owner",
        subject=f"wallet:customer:{customers.Customer.create().pk}",
        policy={"chain_id": CHAIN_ID, "salt": "0x" + secrets.token_hex(32), "payee": "0x" + "22" * 20},
    )
    assert refusal(owner, change_to(str(stranger.address))) == "other_owner"
    waiting = approved(owner, state="open")
    assert refusal(owner, change_to(str(successor(owner, waiting).address))) == "no_such_change"
    next_key = successor(owner, approved(owner))
    assert next_key.policy == owner.policy
    assert next_key.address != owner.address
    assert len(sign(owner, change_to(str(next_key.address)))) == 65
