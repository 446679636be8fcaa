"""With several nodes, what one alone says of a bundle is never final."""

import copy
from typing import Any

import pytest

from relayer import models
from relayer.adapters import chain
from tests.integration.relayer.conftest import Relayer, assert_paid_once

pytestmark = pytest.mark.django_db(transaction=True)

State = models.UserOperation.State


def mined(relayer: Relayer) -> tuple[models.UserOperation, dict[str, Any]]:
    operation = relayer.pay(relayer.wallet())
    relayer.turn()
    relayer.mine()
    relayer.turn()
    operation.refresh_from_db()
    assert operation.state == State.MINED
    (receipt,) = chain.receipts(hashes=[str(operation.receipt.transaction_hash)])
    assert receipt is not None
    return operation, dict(receipt)


def test_while_nodes_differ_nothing_is_final(relayer: Relayer, monkeypatch: pytest.MonkeyPatch) -> None:
    operation, receipt = mined(relayer)
    forged = copy.deepcopy(receipt)
    for log in forged["logs"]:
        if log["address"].lower() == str(relayer.stablecoin.address).lower():
            log["data"] = "0x" + "00" * 31 + "01"
    assert forged != receipt
    for other in (forged, None):
        with monkeypatch.context() as patch:
            patch.setattr(chain, "receipt_of_each", lambda other=other, **_: [receipt, other])
            for _ in range(4):
                relayer.mine()
                relayer.turn()
        operation.refresh_from_db()
        assert operation.state == State.MINED
    monkeypatch.setattr(chain, "receipt_of_each", lambda **_: [receipt, receipt])
    relayer.turn()
    assert_paid_once(relayer, operation)


def test_what_one_node_made_up_is_written_anew(relayer: Relayer, monkeypatch: pytest.MonkeyPatch) -> None:
    operation, receipt = mined(relayer)
    true_logs = operation.receipt.logs
    forged = [log | {"data": "0x" + "ff" * 32} for log in true_logs]
    models.UserOperationReceipt.objects.update(has_succeeded=False, logs=forged)
    monkeypatch.setattr(chain, "receipt_of_each", lambda **_: [receipt, receipt])
    for _ in range(4):
        relayer.mine()
        relayer.turn()
    assert_paid_once(relayer, operation)
    written = models.UserOperationReceipt.objects.get()
    assert (written.has_succeeded, written.logs) == (True, true_logs)
