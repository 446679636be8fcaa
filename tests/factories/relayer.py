"""Rows of the relayer that no chain has seen."""

import datetime
import secrets
from typing import Any

from contracts.bindings import accounts, tokens
from custody import models as custody_models
from customers import models as customer_models
from openvpp.core import clock
from relayer import models
from tests.factories import customers

ENTRY_POINT = "0x4337084D9E255Ff0702461CF8895CE9E3b5Ff108"
TOKEN = bytes.fromhex("00000000000000000000000000000000000070c3")
PAYEE = bytes.fromhex("00000000000000000000000000000000000be77e")
GWEI = 10**9


def address() -> str:
    return customers.address()


def hash_() -> str:
    return "0x" + secrets.token_hex(32)


def make_operation(*, utility: customer_models.Utility | None = None, **changes: Any) -> models.UserOperation:
    """Write down a queued operation with the first step of its history."""
    utility = utility or customers.Utility.create()
    given: dict[str, Any] = {
        "hash": hash_(),
        "chain_id": 31337,
        "entry_point": ENTRY_POINT,
        "utility": utility,
        "sender": address(),
        "nonce": 0,
        "init_code": b"",
        "call_data": accounts.encode_execute_batch(
            calls=[accounts.Call(to=TOKEN, data=tokens.encode_transfer(to=PAYEE, amount_units=12_345_678))]
        ),
        "verification_gas_limit": 100_000,
        "call_gas_limit": 100_000,
        "pre_verification_gas": 50_000,
        "max_fee_per_gas_wei": 3 * GWEI,
        "max_priority_fee_per_gas_wei": GWEI,
        "paymaster_and_data": b"",
        "signature": b"\x01" * 65,
        "created_at": clock.get_now(),
        "expires_at": clock.get_now() + datetime.timedelta(minutes=10),
    }
    row: models.UserOperation = models.UserOperation.objects.create(**given | changes)
    models.UserOperationTransition.objects.create(user_operation=row, state="queued", made_at=row.created_at)
    return row


def make_key(**changes: Any) -> models.RelayerKey:
    """Write down a relayer key whose sealed key opens nothing."""
    number = address()
    sealed = custody_models.SealedKey.objects.create(
        purpose="relayer",
        subject=f"relayer:{number}",
        address=number,
        key_encryption_key_id="none",
        created_at=clock.get_now(),
    )
    key: models.RelayerKey = models.RelayerKey.objects.create(
        **{"key": sealed, "chain_id": 31337, "address": number} | changes
    )
    return key


def make_bundle(*, key: models.RelayerKey | None, nonce: int = 0, **changes: Any) -> models.Bundle:
    """Write down a bundle with one signed transaction."""
    given: dict[str, Any] = {
        "chain_id": 31337,
        "relayer_key": key,
        "nonce": None if key is None else nonce,
        "call_data": b"",
        "gas_limit": 500_000,
        "created_at": clock.get_now(),
    }
    bundle: models.Bundle = models.Bundle.objects.create(**given | changes)
    models.BundleTransaction.objects.create(
        hash=hash_(),
        bundle=bundle,
        raw=b"",
        max_fee_per_gas_wei=3 * GWEI,
        max_priority_fee_per_gas_wei=GWEI,
        created_at=bundle.created_at,
        sent_at=bundle.created_at,
    )
    return bundle
