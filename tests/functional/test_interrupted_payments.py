"""Payments that are cut short at any point: sent later, or ended with a reason; paid once, or not at all."""

import datetime
from typing import Any

import pytest

from billing import models, queries
from billing.usecases import finish_payment, pay_bill, quote_payment
from contracts.bindings import words
from custody import models as custody_models
from notifications import models as notification_models
from openvpp.core import clock, db, errors
from relayer.domain import receipts
from tests.functional.conftest import DUE_UNITS, TREASURY, Person, Town
from wallets import models as wallet_models
from wallets import operations as wallet_operations
from wallets.adapters import submission
from wallets.domain import outcome
from wallets.operations import sending
from wallets.usecases import follow_operation, revoke_session_key, submit_waiting


class Killed(BaseException):
    """Stands for `kill -9`: nothing catches it and nothing tidies up after it."""


@pytest.fixture
def bill(town: Town, ada: Person) -> models.Bill:
    return town.bill(ada)


def start(person: Person, bill: models.Bill) -> models.Payment:
    quote = quote_payment.quote(
        user=person.user, bill_id=bill.pk, token_symbol="USDX", fee_mode=None, grant=person.grant, now=clock.get_now()
    )
    return pay_bill.start(
        user=person.user,
        bill_id=bill.pk,
        quote_id=quote.fee.pk,
        amount_units=quote.amount_units,
        grant=person.grant,
        now=clock.get_now(),
    )


def expect_paid_once(town: Town, person: Person, bill: models.Bill) -> None:
    bill.refresh_from_db()
    payment = models.Payment.objects.get()
    assert (bill.state, payment.state) == ("paid", "paid")
    assert town.held(TREASURY)[0] == DUE_UNITS
    stablecoin = f"31337:{town.stablecoin.address}"
    assert queries.get_balances(utility_id=town.utility.pk)["treasury", stablecoin] == DUE_UNITS
    assert told(person) == ["bill.issued", "payment.pending", "payment.paid"]
    assert wallet_models.SessionKeyGrant.objects.get().reserved_total_units == DUE_UNITS


def expect_failed(town: Town, person: Person, bill: models.Bill, reason: str) -> None:
    bill.refresh_from_db()
    payment = models.Payment.objects.get()
    assert (bill.state, payment.state) == ("issued", "failed")
    assert reason in payment.failure
    assert town.held(TREASURY) == (0, 0, 0)
    assert told(person)[:3] == ["bill.issued", "payment.pending", "payment.failed"]
    notice = notification_models.Notice.objects.filter(kind="payment.failed").get()
    assert reason in notice.body
    assert wallet_models.SessionKeyGrant.objects.get().reserved_total_units == 0
    assert models.PaymentAllocation.objects.get().state == "released"
    assert not models.ProvenTransfer.objects.exists()


def told(person: Person) -> list[str]:
    rows = notification_models.Notice.objects.filter(user=person.user).order_by("sequence")
    return list(rows.values_list("kind", flat=True))


def after_the_lease() -> datetime.datetime:
    """Let the leases of what a killed process was sending lapse; return an instant at which others may send it."""
    now = clock.get_now()
    assert wallet_models.Operation.objects.filter(leased_until__gt=now).update(
        leased_until=now - datetime.timedelta(milliseconds=1)
    )
    return now


def kill(monkeypatch: pytest.MonkeyPatch, where: object, name: str) -> None:
    def die(**_: object) -> None:
        raise Killed

    monkeypatch.setattr(where, name, die)


def test_killed_after_the_reservation(
    town: Town, ada: Person, bill: models.Bill, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        kill(patch, wallet_operations, "submit_reserved")
        with pytest.raises(Killed):
            start(ada, bill)
    assert wallet_models.Operation.objects.get().state == "reserved"
    assert submit_waiting.submit_waiting(now=clock.get_now()) == 0
    assert submit_waiting.submit_waiting(now=after_the_lease()) == 1
    town.finish()
    expect_paid_once(town, ada, bill)


def test_killed_while_it_was_signed(
    town: Town, ada: Person, bill: models.Bill, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        kill(patch, sending, "_queue")
        with pytest.raises(Killed):
            start(ada, bill)
    operation = wallet_models.Operation.objects.get()
    assert (operation.state, operation.user_operation) == ("reserved", None)
    assert operation.leased_until is not None
    assert submit_waiting.submit_waiting(now=clock.get_now()) == 0
    assert submit_waiting.submit_waiting(now=after_the_lease()) == 1
    town.finish()
    expect_paid_once(town, ada, bill)


def test_the_signer_is_away_for_a_while(
    town: Town, ada: Person, bill: models.Bill, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise errors.Unreachable("signer")

    with monkeypatch.context() as patch:
        patch.setattr(submission, "prepare", fail)
        assert start(ada, bill).state == "pending"
    operation = wallet_models.Operation.objects.get()
    assert (operation.state, operation.leased_until, operation.attempts) == ("reserved", None, 0)
    assert submit_waiting.submit_waiting(now=clock.get_now()) == 1
    town.finish()
    expect_paid_once(town, ada, bill)


def test_one_broken_operation_holds_no_other_up(
    town: Town, ada: Person, bill: models.Bill, monkeypatch: pytest.MonkeyPatch
) -> None:
    ben = town.settle("ben")
    other = town.bill(ben)
    with monkeypatch.context() as patch:
        kill(patch, wallet_operations, "submit_reserved")
        for person, due in ((ada, bill), (ben, other)):
            with pytest.raises(Killed):
                start(person, due)
    wallet_models.Operation.objects.filter(wallet=ada.wallet).update(intent={"broken": True})
    assert submit_waiting.submit_waiting(now=after_the_lease()) == 1
    town.finish()
    other.refresh_from_db()
    assert other.state == "paid"
    broken = wallet_models.Operation.objects.get(wallet=ada.wallet)
    assert (broken.state, broken.attempts, broken.leased_until) == ("reserved", 2, None)
    late = clock.get_now() + datetime.timedelta(minutes=3)
    assert submit_waiting.submit_waiting(now=late) == 1
    bill.refresh_from_db()
    assert bill.state == "issued"


def test_what_is_sent_twice_is_sent_once(town: Town, ada: Person, bill: models.Bill) -> None:
    payment = start(ada, bill)
    for code in ("already_submitted",) * 2:
        with pytest.raises(wallet_operations.UnableToSubmit) as refusal:
            wallet_operations.submit(operation_id=payment.operation_id, now=clock.get_now())
        assert refusal.value.code == code
    town.finish()
    expect_paid_once(town, ada, bill)


def test_a_quote_that_expires_before_it_is_sent(
    town: Town, ada: Person, bill: models.Bill, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        kill(patch, wallet_operations, "submit_reserved")
        with pytest.raises(Killed):
            start(ada, bill)
    late = clock.get_now() + datetime.timedelta(minutes=3)
    assert submit_waiting.submit_waiting(now=late) == 1
    town.finish()
    expect_failed(town, ada, bill, "expired before")
    assert not wallet_models.Operation.objects.filter(state="reserved").exists()
    assert start(ada, bill).state == "pending"
    town.finish()
    bill.refresh_from_db()
    assert bill.state == "paid"
    assert town.held(TREASURY)[0] == DUE_UNITS


def test_a_grant_that_is_withdrawn_before_it_is_sent(
    town: Town, ada: Person, bill: models.Bill, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        kill(patch, wallet_operations, "submit_reserved")
        with pytest.raises(Killed):
            start(ada, bill)
    with db.transaction():
        revoke_session_key.revoke(grant_id=ada.grant.pk, now=clock.get_now())
    assert submit_waiting.submit_waiting(now=after_the_lease()) == 1
    town.finish()
    expect_failed(town, ada, bill, "withdrawn")


def test_a_grant_that_is_withdrawn_while_its_payment_is_signed(
    town: Town, ada: Person, bill: models.Bill, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = submission.prepare

    def prepare_and_lose_the_grant(**keywords: Any) -> Any:
        prepared = prepare(**keywords)
        with db.transaction():
            revoke_session_key.revoke(grant_id=ada.grant.pk, now=clock.get_now())
        return prepared

    with monkeypatch.context() as patch:
        patch.setattr(submission, "prepare", prepare_and_lose_the_grant)
        assert start(ada, bill).state == "failed"
    town.finish()
    expect_failed(town, ada, bill, "withdrawn")


def test_a_key_that_is_disabled_signs_nothing(town: Town, ada: Person, bill: models.Bill) -> None:
    custody_models.SealedKey.objects.filter(pk__in=[ada.grant.key_id]).update(disabled_at=clock.get_now())
    assert start(ada, bill).state == "failed"
    town.finish()
    expect_failed(town, ada, bill, "disabled")


def receipt(*logs: receipts.Log) -> receipts.Receipt:
    return receipts.Receipt(
        user_operation_hash="0x" + "11" * 32,
        succeeded=True,
        reason="",
        transaction_hash="0x" + "22" * 32,
        block_number=7,
        block_hash="0x" + "33" * 32,
        gas_used=1,
        gas_cost_wei=1_000,
        logs=logs,
    )


def log(emitter: str, signature: bytes, topics: list[str], units: list[int], index: int = 1) -> receipts.Log:
    padded = ["0x" + topic.removeprefix("0x").rjust(64, "0").lower() for topic in topics]
    return receipts.Log(
        address=emitter,
        topics=("0x" + words.keccak(signature).hex(), *padded),
        data="0x" + b"".join(words.uint(each) for each in units).hex(),
        log_index=index,
    )


def finish(payment: models.Payment, found: receipts.Receipt | None, **changes: Any) -> None:
    given = {
        "operation_id": payment.operation_id,
        "kind": "billing.payment",
        "reference": payment.operation.reference,
        "intent": payment.operation.intent,
        "succeeded": True,
        "reason": "",
        "receipt": found,
    }
    with db.transaction():
        finish_payment.finish(outcome=outcome.Outcome(**(given | changes)), now=clock.get_now())


def bill_paid(payment: models.Payment) -> receipts.Log:
    reference = payment.operation.reference.removeprefix("0x").ljust(64, "0")
    return log(
        payment.wallet.address,
        b"BillPaid(bytes16,address,address,uint256,uint256)",
        [reference, payment.wallet.address, payment.token.address],
        [payment.amount_units, 0],
    )


def test_a_bill_paid_event_without_the_transfer_pays_nothing(town: Town, ada: Person, bill: models.Bill) -> None:
    payment = start(ada, bill)
    finish(payment, receipt(bill_paid(payment)))
    bill.refresh_from_db()
    payment.refresh_from_db()
    assert (bill.state, payment.state) == ("issued", "failed")
    assert "No transfer of exactly" in payment.failure
    assert not models.ProvenTransfer.objects.exists()
    books = queries.get_balances(utility_id=town.utility.pk)
    assert set(books) == {
        ("receivable", "USD"),
        ("revenue", "USD"),
        ("gas_expense", "31337:wei"),
        ("gas_deposit", "31337:wei"),
    }
    assert told(ada) == ["bill.issued", "payment.pending", "payment.failed"]
    assert town.held(TREASURY) == (0, 0, 0)


def test_a_log_that_was_counted_proves_no_second_payment(town: Town, ada: Person) -> None:
    first, second = town.bill(ada, month=8), town.bill(ada, month=9)
    paid = start(ada, first)
    moved = log(
        town.stablecoin.address, b"Transfer(address,address,uint256)", [ada.wallet.address, TREASURY], [DUE_UNITS]
    )
    finish(paid, receipt(moved))
    wallet_models.Operation.objects.update(state="succeeded")
    again = start(ada, second)
    finish(again, receipt(moved))
    again.refresh_from_db()
    assert again.state == "failed"
    assert models.ProvenTransfer.objects.count() == 1


def test_a_payment_ends_once(town: Town, ada: Person, bill: models.Bill) -> None:
    payment = start(ada, bill)
    town.finish()
    expect_paid_once(town, ada, bill)
    with pytest.raises(finish_payment.UnableToFinishPayment):
        finish(payment, None, succeeded=False, reason="No.")
    expect_paid_once(town, ada, bill)


def test_an_operation_that_nobody_knows_is_left_alone(town: Town) -> None:
    with db.transaction():
        follow_operation.follow(user_operation_hash="0x" + "99" * 32, state="succeeded", detail="", now=clock.get_now())
    assert not wallet_models.Operation.objects.exists()
