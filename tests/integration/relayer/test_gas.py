"""What operations are charged on the real EntryPoint lies just below what quotes expect."""

import pytest

from relayer import models, operations
from relayer.domain import gas
from tests.integration.relayer.conftest import Relayer

# A quote may expect too much by this part, never too little: the fee is charged whatever the gas turns out to be.
MOST_ABOVE = 1.1


@pytest.mark.parametrize("mode", ["utility", "stablecoin", "ovpp"])
def test_a_first_and_a_later_payment_are_charged_what_was_expected(relayer: Relayer, mode: str) -> None:
    wallet = relayer.wallet()
    for is_deployed in (False, True):
        paid = relayer.pay(wallet, mode=mode)
        relayer.finish()
        paid.refresh_from_db()
        assert paid.state == models.UserOperation.State.SUCCEEDED
        expected = operations.estimate(kind=gas.Kind.BILL_PAYMENT, is_deployed=is_deployed).expected
        expected += gas.SECOND_TRANSFER if mode == "ovpp" else 0
        used = models.UserOperationReceipt.objects.get(user_operation=paid).gas_used
        assert used <= expected <= MOST_ABOVE * used
