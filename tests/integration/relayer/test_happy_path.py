"""One payment in each fee mode, from quote to finality, on a real chain."""

import pytest

from relayer import models, queries
from tests.integration.relayer.conftest import DUE_UNITS, TREASURY, Relayer


@pytest.mark.parametrize("mode", ["utility", "stablecoin", "ovpp"])
def test_a_payment_becomes_final_and_moves_exactly_amount_and_fee(relayer: Relayer, mode: str) -> None:
    wallet = relayer.wallet()
    queued = relayer.pay(wallet, mode=mode)
    relayer.turn()
    queued.refresh_from_db()
    assert queued.state == models.UserOperation.State.BUNDLED
    relayer.finish()
    queued.refresh_from_db()
    assert (queued.state, queued.failure) == (models.UserOperation.State.SUCCEEDED, "")
    fee_units = int(queued.quote.fee_units)
    assert (fee_units > 0) is (mode != "utility")
    assert relayer.treasury_units() == DUE_UNITS + (fee_units if mode == "stablecoin" else 0)
    assert relayer.chain.balance(relayer.chain.deployment.ovpp, TREASURY) == (fee_units if mode == "ovpp" else 0)
    assert relayer.chain.native(wallet.account) == 0
    receipt = queries.get_receipt(user_operation_hash=str(queued.hash))
    assert receipt.succeeded
    assert receipt.gas_cost_wei == queued.gas_cost_wei
    assert {log.address for log in receipt.logs} >= {wallet.address, str(relayer.stablecoin.address)}
    assert list(queued.history.values_list("state", flat=True)) == ["queued", "bundled", "mined", "succeeded"]
    assert models.Bundle.objects.get().state == models.Bundle.State.FINAL
    assert relayer.executions() == [str(queued.hash)]
