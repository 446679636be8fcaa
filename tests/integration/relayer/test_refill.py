"""Keys and deposits are filled up from the refill key, which can pay nobody else, and not without bounds."""

import datetime
from typing import Any

import pytest

from contracts.bindings import user_operations, words
from custody import models as custody_models
from custody import operations as custody_operations
from custody import queries as custody_queries
from custody.domain import transactions
from openvpp.core import clock
from relayer import models
from relayer.adapters import chain as chain_adapter
from relayer.usecases import refill
from tests import chain_fixture
from tests.integration.relayer.conftest import Relayer

ETHER = 10**18
State = models.Refill.State
OTHER = bytes.fromhex("99" * 20)


@pytest.fixture(autouse=True)
def _thresholds(settings: Any) -> None:
    settings.REFILL_KEY_BELOW_WEI, settings.REFILL_KEY_TO_WEI = ETHER, 3 * ETHER
    settings.REFILL_DEPOSIT_BELOW_WEI, settings.REFILL_DEPOSIT_TO_WEI = 2 * ETHER, 5 * ETHER


def run(relayer: Relayer, *, later: datetime.timedelta = datetime.timedelta()) -> list[str]:
    return refill.refill(chain_id=relayer.chain.chain_id, now=clock.get_now() + later)


def empty(relayer: Relayer, address: str, *, left: int = 0) -> None:
    relayer.chain.rpc("anvil_setBalance", address, hex(left))


def deposit_of(relayer: Relayer, holder: bytes) -> int:
    data = user_operations.encode_deposit_of(holder=holder)
    return words.read_uint(relayer.chain.call(relayer.chain.deployment.entry_point, data), 0)


def test_an_empty_key_is_filled_up_and_then_the_deposit_that_is_low(relayer: Relayer, settings: Any) -> None:
    key = models.RelayerKey.objects.get()
    settings.REFILL_DEPOSIT_BELOW_WEI = 0
    assert run(relayer) == []
    empty(relayer, str(key.address))
    run(relayer)
    row = models.Refill.objects.get()
    assert (row.receiver, row.state, int(row.amount_wei)) == (str(key.address), State.OPEN, 3 * ETHER)
    relayer.mine(3)
    run(relayer)
    row.refresh_from_db()
    assert row.state == State.DONE
    assert relayer.chain.native(words.parse_address(str(key.address))) == 3 * ETHER

    deployment = relayer.chain.deployment
    settings.REFILL_DEPOSIT_BELOW_WEI = 1
    assert run(relayer) == []
    call = user_operations.encode_deposit_to(account=deployment.relay_paymaster)
    relayer.chain.send(deployment.entry_point, call, sender=chain_fixture.DEPLOYER.address, value_wei=5)
    before = deposit_of(relayer, deployment.relay_paymaster)
    settings.REFILL_DEPOSIT_BELOW_WEI = before + 1
    settings.REFILL_DEPOSIT_TO_WEI = before + ETHER
    for _ in range(2):
        run(relayer)
        relayer.mine(3)
    deposit = models.Refill.objects.get(receiver="relay paymaster")
    assert int(deposit.amount_wei) == ETHER
    assert deposit_of(relayer, deployment.relay_paymaster) == before + ETHER


def test_a_refill_that_no_block_takes_is_sent_again_and_replaced_under_its_nonce(
    relayer: Relayer, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.REFILL_DEPOSIT_BELOW_WEI = 0
    key = models.RelayerKey.objects.get()
    empty(relayer, str(key.address))
    with monkeypatch.context() as patch:
        patch.setattr(chain_adapter, "send", lambda **_: None)
        run(relayer)
    row = models.Refill.objects.get()
    assert relayer.chain.native(words.parse_address(str(key.address))) == 0
    with monkeypatch.context() as patch:
        patch.setattr(chain_adapter, "send", lambda **_: None)
        run(relayer, later=refill.REPLACE_AFTER)
    first_fee = int(row.max_fee_per_gas_wei)
    row.refresh_from_db()
    assert len(row.hashes) == 2
    assert int(row.max_fee_per_gas_wei) * 10 >= first_fee * 11
    run(relayer)
    relayer.mine(3)
    run(relayer)
    row.refresh_from_db()
    assert row.state == State.DONE
    assert relayer.chain.native(words.parse_address(str(key.address))) == 3 * ETHER
    assert models.Refill.objects.count() == 1


def test_a_refill_that_cannot_be_paid_is_said_and_kills_nothing(relayer: Relayer, settings: Any) -> None:
    settings.REFILL_DEPOSIT_BELOW_WEI = 0
    key = models.RelayerKey.objects.get()
    empty(relayer, str(key.address))
    treasury = custody_queries.get_key_of(subject=refill.subject(chain_id=relayer.chain.chain_id))
    empty(relayer, str(treasury.address))
    said = run(relayer)
    assert said[0].startswith(f"{key.address} has 0 wei")
    assert said[1] == f"{key.address} is not refilled: the refill key {treasury.address} is empty"
    assert models.Refill.objects.count() == 0
    empty(relayer, str(treasury.address), left=10 * ETHER)
    custody_models.SealedKey.objects.filter(pk=treasury.pk).update(disabled_at=clock.get_now())
    assert "key is disabled" in run(relayer)[1]
    assert models.Refill.objects.count() == 0


def test_while_gas_is_above_the_cap_nothing_is_refilled(relayer: Relayer, settings: Any) -> None:
    settings.REFILL_DEPOSIT_BELOW_WEI = 0
    settings.CHAIN_MOST_FEE_WEI = 1
    empty(relayer, str(models.RelayerKey.objects.get().address))
    assert run(relayer)[-1] == "gas is above the cap; refilled later"
    assert models.Refill.objects.count() == 0


def test_the_refill_key_pays_nobody_else_and_not_without_end(relayer: Relayer) -> None:
    treasury = custody_queries.get_key_of(subject=refill.subject(chain_id=relayer.chain.chain_id))
    key = words.parse_address(str(models.RelayerKey.objects.get().address))

    def sign(to: bytes, *, nonce: int = 0, value: int = ETHER, data: bytes = b"") -> bytes:
        return custody_operations.sign_transaction(
            key_id=treasury.pk,
            transaction=transactions.Transaction(
                chain_id=relayer.chain.chain_id,
                nonce=nonce,
                max_priority_fee_per_gas_wei=1,
                max_fee_per_gas_wei=1,
                gas_limit=100_000,
                to=to,
                value_wei=value,
                data=data,
            ),
        )

    deployment = relayer.chain.deployment
    refused = {
        "other_receiver": lambda: sign(OTHER),
        "other_call": lambda: sign(deployment.entry_point, data=user_operations.encode_deposit_to(account=OTHER)),
        "above_cost_limit": lambda: sign(key, value=5 * ETHER),
    }
    for code, wish in refused.items():
        with pytest.raises(custody_operations.UnableToSign) as refusal:
            wish()
        assert refusal.value.code == code
    assert custody_models.SignatureLog.objects.filter(key=treasury).count() == 0
    for _ in range(3):
        sign(key, value=4 * ETHER, nonce=1)
    for nonce in range(2, 5):
        sign(key, value=4 * ETHER, nonce=nonce)
    sign(deployment.entry_point, data=user_operations.encode_deposit_to(account=deployment.paymaster), nonce=5)
    with pytest.raises(custody_operations.UnableToSign) as refusal:
        sign(key, value=4 * ETHER, nonce=6)
    assert refusal.value.code == "above_day_limit"
