"""A waiting operation gives way to a dearer one of the same sender and nonce, and to nothing else."""

import dataclasses
import datetime

import pytest

from contracts.bindings import user_operations
from openvpp.core import clock
from relayer import models
from tests.integration.relayer import application as applications
from tests.integration.relayer.conftest import Relayer

pytestmark = pytest.mark.django_db(transaction=True)

SEND, AT = "eth_sendUserOperation", applications.ENTRY_POINT


@pytest.fixture
def app(relayer: Relayer) -> applications.Application:
    return applications.make(relayer)


@pytest.fixture
def account(app: applications.Application) -> applications.Account:
    return applications.open_account(app)


def raised(
    account: applications.Account,
    operation: user_operations.UserOperation,
    percent: int,
    *,
    tip_percent: int | None = None,
) -> dict[str, str]:
    """Return the operation with both fees higher, sponsored and signed anew."""
    tip = percent if tip_percent is None else tip_percent
    dearer = dataclasses.replace(
        operation,
        max_fee_per_gas=-(-operation.max_fee_per_gas * (100 + percent) // 100),
        max_priority_fee_per_gas=-(-operation.max_priority_fee_per_gas * (100 + tip) // 100),
    )
    return account.signed(account.sponsored(dearer))


def test_a_dearer_operation_takes_the_place_of_one_that_waits(
    relayer: Relayer, app: applications.Application, account: applications.Account
) -> None:
    operation = account.operation()
    first = app.call(SEND, account.signed(account.sponsored(operation)), AT)
    for sent in (raised(account, operation, 9), raised(account, operation, 50, tip_percent=9)):
        answer = app.ask(SEND, sent, AT)["error"]
        assert answer["code"] == -32602
        assert int(answer["data"]["maxFeePerGas"], 16) == -(-operation.max_fee_per_gas * 110 // 100)
        assert app.call("pimlico_getUserOperationStatus", first)["status"] == "not_submitted"

    second = app.call(SEND, raised(account, operation, 10), AT)

    dropped = app.call("pimlico_getUserOperationStatus", first)
    assert (dropped["status"], dropped["reason"]) == ("rejected", f"Replaced by {second}.")
    relayer.finish()
    assert app.call("pimlico_getUserOperationStatus", second)["status"] == "included"
    assert app.call("pimlico_getUserOperationStatus", first)["status"] == "rejected"
    assert app.call("eth_getUserOperationReceipt", first) is None
    assert relayer.executions() == [second]
    history = models.UserOperationTransition.objects.filter(user_operation__in=[first]).values_list("state", flat=True)
    assert list(history) == ["queued", "failed"]


def test_what_a_relay_or_a_bundle_holds_stays(
    relayer: Relayer, app: applications.Application, account: applications.Account
) -> None:
    operation = account.operation()
    first = app.call(SEND, account.signed(account.sponsored(operation)), AT)
    rows = models.UserOperation.objects.filter(hash=first)
    rows.update(leased_by="relay-1", leased_until=clock.get_now() + datetime.timedelta(minutes=1))
    assert app.code(SEND, raised(account, operation, 20), AT) == -32602
    rows.update(leased_by="", leased_until=None, broadcast_at=clock.get_now())
    assert app.code(SEND, raised(account, operation, 30), AT) == -32602
    assert models.UserOperation.objects.count() == 1


def test_another_utilitys_application_replaces_nothing(
    relayer: Relayer, app: applications.Application, account: applications.Account
) -> None:
    operation = account.operation()
    app.call(SEND, account.signed(account.sponsored(operation)), AT)
    other = type(relayer.utility).objects.create(
        slug="other", name="Other", chain_id=relayer.chain.chain_id, treasury_address="0x" + "7f" * 20
    )
    foreign = applications.make(dataclasses.replace(relayer, utility=other))
    unsponsored = dataclasses.replace(operation, max_fee_per_gas=2 * operation.max_fee_per_gas)
    assert foreign.code(SEND, account.signed(unsponsored), AT) == -32602
    assert models.UserOperation.objects.get().state == "queued"
