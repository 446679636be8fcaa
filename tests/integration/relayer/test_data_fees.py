"""On a rollup the fee of carrying an operation's bytes is part of its quote and of its limits."""

import datetime
from typing import Any

import pytest

from contracts.bindings import words
from openvpp.core import clock, errors
from relayer import models, operations
from relayer.adapters import chain as chain_adapter
from relayer.adapters import data_fees
from relayer.domain import gas
from relayer.usecases import make_api_key
from tests import chain_fixture
from tests.integration.relayer.conftest import Relayer

WEI_PER_BYTE = 2 * 10**11
# Answers each call with WEI_PER_BYTE times the length of the bytes in it: the word at 36 is that length.
_RUNTIME = bytes.fromhex("602435") + b"\x67" + WEI_PER_BYTE.to_bytes(8) + bytes.fromhex("0260005260206000f3")
_CREATION = (
    bytes.fromhex("60")
    + bytes([len(_RUNTIME)])
    + bytes.fromhex("600c60003960")
    + bytes([len(_RUNTIME)])
    + (bytes.fromhex("6000f3") + _RUNTIME)
)


@pytest.fixture
def _oracle(relayer: Relayer, settings: Any) -> None:
    data_fees._sample_wei.cache_clear()
    settings.CHAIN_DATA_FEE_ORACLE = words.checksummed(chain_fixture.create_code(relayer.chain, _CREATION))


def test_without_an_oracle_nothing_is_asked_or_added(relayer: Relayer) -> None:
    limits = operations.estimate(kind=gas.Kind.BILL_PAYMENT, is_deployed=True)
    assert data_fees.fee_wei(size_bytes=1_000) == 0
    assert operations.with_data_fee(limits=limits) == limits


@pytest.mark.usefixtures("_oracle")
def test_the_oracles_fee_is_in_the_quote_and_in_the_limits(relayer: Relayer) -> None:
    assert data_fees.fee_wei(size_bytes=1_125) == 1_125 * WEI_PER_BYTE
    limits = operations.estimate(kind=gas.Kind.BILL_PAYMENT, is_deployed=True)
    priced = operations.with_data_fee(limits=limits)
    more = -(-1_125 * WEI_PER_BYTE // chain_adapter.recent_gas_prices().expected_wei)
    assert gas.size_bytes(pre_verification_gas=limits.pre_verification_gas) == 1_125
    assert priced.expected == limits.expected + more
    assert priced.pre_verification_gas == limits.pre_verification_gas + more + more * 20 // 100
    assert priced.call_gas_limit == limits.call_gas_limit


def test_an_oracle_that_is_none_is_unreachable(relayer: Relayer, settings: Any) -> None:
    data_fees._sample_wei.cache_clear()
    settings.CHAIN_DATA_FEE_ORACLE = "0x" + "12" * 20
    with pytest.raises(errors.Unreachable, match="no oracle"):
        data_fees.fee_wei(size_bytes=1)


@pytest.mark.usefixtures("_oracle")
def test_what_does_not_pay_for_its_bytes_any_more_waits_until_the_fee_falls(relayer: Relayer, settings: Any) -> None:
    operation = relayer.pay(relayer.wallet())
    key, _ = make_api_key.make(
        utility_id=relayer.utility.pk, application="Tests", scopes=["operations:send"], now=clock.get_now()
    )
    models.UserOperation.objects.update(api_key=key)
    relayer.turn()
    operation.refresh_from_db()
    assert (operation.state, operation.attempts, models.Bundle.objects.count()) == ("queued", 1, 0)
    settings.CHAIN_DATA_FEE_ORACLE = ""
    for _ in range(6):
        relayer.turn(later=datetime.timedelta(seconds=20))
        relayer.mine()
    operation.refresh_from_db()
    assert operation.state == "succeeded"


@pytest.mark.usefixtures("_oracle")
def test_an_operation_of_our_own_goes_whatever_its_bytes_cost(relayer: Relayer) -> None:
    operation = relayer.pay(relayer.wallet())
    relayer.finish()
    operation.refresh_from_db()
    assert operation.state == "succeeded"
