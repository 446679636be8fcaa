"""The signer over HTTP, with PostgreSQL behind it."""

import threading
import time

import coincurve
import httpx
import pytest
from django import db as django_db

from contracts.bindings import sessions, words
from custody import models, operations, queries
from custody.adapters import signer as signer_adapter
from custody.domain import keys, sealing
from custody.usecases import rewrap_keys
from openvpp.core import clock, db, errors
from tests import signer_fixture

CHAIN_ID = 31337
ACCOUNT = bytes.fromhex("11" * 20)
PAYEE = bytes.fromhex("22" * 20)
TOKEN = bytes.fromhex("33" * 20)
ENTRY_POINT = bytes.fromhex("4337084D9E255Ff0702461CF8895CE9E3b5Ff108")


def session_policy(**changes: object) -> dict[str, object]:
    return {
        "chain_id": CHAIN_ID,
        "account": "0x" + ACCOUNT.hex(),
        "payee": "0x" + PAYEE.hex(),
        "token": "0x" + TOKEN.hex(),
        "fee_token": "0x" + "00" * 20,
        "max_per_payment_units": 100,
        "max_per_period_units": 200,
        "max_total_units": 2**90,
        "max_fee_units": 5,
        "max_fee_in_fee_token_units": 0,
        "starts_at": 1_700_000_000,
        "ends_at": 4_000_000_000,
        "period_seconds": 86400,
        "salt": 7,
    } | changes


def relayer_key(subject: str = "relayer:1") -> models.SealedKey:
    return operations.create_key(
        purpose="relayer",
        subject=subject,
        policy={"chain_id": CHAIN_ID, "entry_point": "0x" + ENTRY_POINT.hex(), "max_cost_wei": 10**18},
    )


def test_create_key_is_idempotent_by_subject_and_refuses_another_policy(signer: str) -> None:
    first = operations.create_key(purpose="session", subject="grant:1", policy=session_policy())
    again = operations.create_key(purpose="session", subject="grant:1", policy=session_policy())
    assert first.pk == again.pk
    assert queries.session_policy(key=first).max_total_units == 2**90
    assert queries.session_policy(key=first).key == words.parse_address(str(first.address))
    with pytest.raises(operations.UnableToCreateKey) as refusal:
        operations.create_key(purpose="session", subject="grant:1", policy=session_policy(max_total_units=2**91))
    assert refusal.value.code == "subject_taken"
    assert models.SealedKey.objects.count() == 1


def test_a_policy_with_an_unknown_field_makes_no_key(signer: str) -> None:
    with pytest.raises(operations.UnableToCreateKey) as refusal:
        operations.create_key(purpose="session", subject="grant:1", policy=session_policy(anything=1))
    assert refusal.value.code == "bad_policy"
    assert models.SealedKey.objects.count() == 0
