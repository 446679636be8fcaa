"""An event from schedule to settlement: real HTTP to and from the provider, the chain's word made by hand."""

import concurrent.futures
import datetime
import decimal
import secrets

import pytest
from django.db import connections

from contracts.bindings import events
from ders import models as der_models
from ders import queries as ders
from notifications import models as notice_models
from openvpp.core import clock, db, period, upcalls
from programs import models, queries
from programs.usecases import dispatch_event, settle_event
from relayer.domain import receipts
from tests.factories import customers
from tests.integration.programs import conftest
from wallets import models as wallet_models
from wallets import operations as wallet_operations
from wallets.domain import outcome

World = conftest.World
D = decimal.Decimal
TRANSACTION = "0x" + "5f" * 32


def schedule(world: World, target_kw: str = "6") -> models.Event:
    return dispatch_event.schedule(
        program_id=world.program.pk,
        name="Hot evening",
        target_kw=D(target_kw),
        window=period.Period(world.starts_at, world.ends_at),
        by=world.manager,
        now=clock.get_now(),
    )


def play(world: World, event: models.Event) -> models.Event:
    """Dispatch an event and wait for acknowledgements and telemetry."""
    dispatch_event.dispatch(event_id=event.pk, by=world.manager, now=clock.get_now())
    parts = models.EventDevice.objects.filter(event=event)
    mute = parts.filter(device__provider_device_id__startswith="mute-").count()
    conftest.until(lambda: parts.filter(acknowledged_at=None).count() == mute, "acknowledgement")
    conftest.until(lambda: all(len(measured(world, part.device)) == 4 for part in parts), "telemetry")
    event.refresh_from_db()
    return event


def measured(world: World, device: der_models.Device) -> list[int]:
    return list(
        ders.get_net_wh(
            device_id=device.pk, starts_at=world.starts_at, ends_at=world.ends_at, interval_seconds=900
        ).values()
    )


def transfer(token: str, sender: str, recipient: str, units: int, index: int) -> receipts.Log:
    topics = (
        "0x" + events.topic_of("Transfer(address,address,uint256)").hex(),
        "0x" + "00" * 12 + sender[2:].lower(),
        "0x" + "00" * 12 + recipient[2:].lower(),
    )
    return receipts.Log(address=token, topics=topics, data=f"0x{units:064x}", log_index=index)


def end(settlement: models.Settlement, *logs: receipts.Log, succeeded: bool = True, reason: str = "") -> None:
    """Tell what the chain said, as wallets do."""
    operation = settlement.operation
    assert operation is not None
    receipt = receipts.Receipt(
        user_operation_hash="0x" + secrets.token_hex(32),
        succeeded=succeeded,
        reason=reason,
        transaction_hash=TRANSACTION,
        block_number=1288,
        block_hash="0x" + "00" * 32,
        gas_used=1,
        gas_cost_wei=1,
        logs=logs,
    )
    with db.transaction():
        upcalls.call(
            event="operation.programs.payout",
            outcome=outcome.Outcome(
                operation_id=operation.pk,
                kind=operation.kind,
                reference=operation.reference,
                intent=operation.intent,
                succeeded=succeeded,
                reason=reason,
                receipt=receipt,
            ),
            now=clock.get_now(),
        )


@pytest.fixture(autouse=True)
def unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing leave for a signer or a chain, which these tests are not about."""
    monkeypatch.setattr(wallet_operations, "submit", lambda **_: None)


def test_the_target_is_shared_and_every_device_answers_over_http(world: World) -> None:
    big, small = world.join("battery-1"), world.join("battery-2", power_kw="3", energy_kwh="2.5")

    event = play(world, schedule(world, target_kw="6"))

    # 5 kW and 2.5 kW (2.5 kWh over an hour) are there for 6 kW: 4 and 2.
    shares = dict(models.EventDevice.objects.filter(event=event).values_list("device_id", "share_kw"))
    assert shares == {big.pk: D("4.000"), small.pk: D("2.000")}
    assert set(der_models.Command.objects.values_list("state", "attempts")) == {("acknowledged", 1)}
    assert all(-1000 + 4 <= wh <= -940 + 4 for wh in measured(world, big))
    conftest.until(lambda: models.Event.objects.get(pk=event.pk).state == "ended", "the window's end")
    owners = notice_models.Notice.objects.filter(kind="event.scheduled").values_list("user_id", flat=True)
    assert set(owners) == {big.customer.user_id, small.customer.user_id}


def test_a_settlement_pays_what_a_hand_computes(world: World) -> None:
    device = world.join("battery-1")
    mute, idle = world.join("mute-battery"), world.join("idle-battery")
    event = play(world, schedule(world, target_kw="9"))

    settlement = settle_event.start(event_id=event.pk, by=world.manager, now=clock.get_now())

    # An idle battery stands by with 4 Wh a quarter in the evening, so its baseline is 16 Wh; two dollars a kWh are
    # 2000 base units a Wh.
    actual_wh = sum(measured(world, device))
    earned_units = (16 - actual_wh) * 2000
    rows = {p.event_device.device_id: p for p in models.Payout.objects.select_related("event_device")}
    assert (rows[device.pk].baseline_wh, rows[device.pk].actual_wh) == (D("16"), actual_wh)
    assert (rows[device.pk].amount_units, rows[device.pk].state) == (earned_units, "pending")
    assert len(rows[device.pk].baseline_days) == 10
    assert (rows[mute.pk].amount_units, rows[mute.pk].reason) == (0, "not_acknowledged")
    assert (rows[idle.pk].amount_units, rows[idle.pk].reason) == (0, "nothing_performed")
    assert (rows[idle.pk].performance_wh, measured(world, idle)) == (D("0"), [4, 4, 4, 4])
    assert settlement.total_units == earned_units
    operation = wallet_models.Operation.objects.get()
    assert operation.wallet_id == world.program.treasury_wallet_id
    assert operation.intent == {
        "program_id": str(world.program.pk),
        "ref": settlement.reference,
        "token": world.program.payout_token.address,
        "recipients": [device.customer.wallet.address],
        "amounts": [str(earned_units)],
    }

    token, treasury = settlement.token, world.program.treasury_wallet.address
    end(settlement, transfer(token, treasury, device.customer.wallet.address, earned_units, 5))

    settlement.refresh_from_db()
    event.refresh_from_db()
    assert (settlement.state, settlement.transaction_hash, settlement.block_number) == ("paid", TRANSACTION, 1288)
    assert event.state == "settled"
    assert models.Payout.objects.get(state="paid").event_device.device_id == device.pk
    proven = models.PayoutTransfer.objects.get()
    assert (proven.recipient_wallet_id, proven.amount_units, proven.log_index) == (
        device.customer.wallet.pk,
        earned_units,
        5,
    )
    notice = notice_models.Notice.objects.get(kind="payout.paid")
    assert (notice.user_id, notice.data["amount_units"]) == (device.customer.user_id, str(earned_units))


def test_a_second_settlement_pays_nothing(world: World) -> None:
    device = world.join("battery-1")
    event = play(world, schedule(world))
    settlement = settle_event.start(event_id=event.pk, by=world.manager, now=clock.get_now())

    with pytest.raises(settle_event.UnableToSettleEvent) as refused:
        settle_event.start(event_id=event.pk, by=world.manager, now=clock.get_now())
    assert refused.value.code == "already_settled"
    with pytest.raises(settle_event.UnableToRetrySettlement):
        settle_event.retry(event_id=event.pk, by=world.manager, now=clock.get_now())

    end(
        settlement,
        transfer(
            settlement.token,
            world.program.treasury_wallet.address,
            device.customer.wallet.address,
            settlement.total_units,
            1,
        ),
    )
    with pytest.raises(settle_event.UnableToSettleEvent):
        settle_event.start(event_id=event.pk, by=world.manager, now=clock.get_now())
    with pytest.raises(settle_event.UnableToFinishSettlement):
        end(settlement)
    assert wallet_models.Operation.objects.count() == 1
    assert models.Payout.objects.count() == 1


def test_a_batch_that_failed_is_sent_again_under_the_same_reference(world: World) -> None:
    world.join("battery-1")
    event = play(world, schedule(world))
    first = settle_event.start(event_id=event.pk, by=world.manager, now=clock.get_now())
    end(first, succeeded=False, reason="out of tokens")
    first.refresh_from_db()
    assert (first.state, first.failure) == ("failed", "out of tokens")
    assert models.Payout.objects.get().state == "pending"
    with pytest.raises(settle_event.UnableToSettleEvent):
        settle_event.start(event_id=event.pk, by=world.manager, now=clock.get_now())

    again = settle_event.retry(event_id=event.pk, by=world.manager, now=clock.get_now())

    assert (again.pk, again.state) == (first.pk, "paying")
    old, new = wallet_models.Operation.objects.order_by("created_at")
    assert old.intent == new.intent
    assert new.intent["ref"] == first.reference
    assert old.reference != new.reference
    # The first operation's end does not count any more.
    with pytest.raises(settle_event.UnableToFinishSettlement):
        end(first)


def test_a_success_without_the_tokens_own_logs_is_no_payment(world: World) -> None:
    device = world.join("battery-1")
    event = play(world, schedule(world))
    settlement = settle_event.start(event_id=event.pk, by=world.manager, now=clock.get_now())
    treasury, owner = world.program.treasury_wallet.address, device.customer.wallet.address

    end(settlement, transfer(settlement.token, treasury, owner, settlement.total_units - 1, 1))

    settlement.refresh_from_db()
    assert settlement.state == "failed"
    assert models.Payout.objects.get().state == "pending"
    assert not models.PayoutTransfer.objects.exists()
    assert not notice_models.Notice.objects.filter(kind="payout.paid").exists()


def test_gaps_are_refused_until_they_are_accepted_and_earn_nothing(world: World) -> None:
    device = world.join("battery-1")
    event = schedule(world)
    dispatch_event.dispatch(event_id=event.pk, by=world.manager, now=clock.get_now())

    with pytest.raises(settle_event.UnableToSettleEvent) as refused:
        settle_event.start(event_id=event.pk, by=world.manager, now=clock.get_now())
    assert (refused.value.code, refused.value.extra) == ("telemetry_missing", {"device_ids": [str(device.pk)]})
    assert not models.Settlement.objects.exists()

    settlement = settle_event.start(event_id=event.pk, by=world.manager, now=clock.get_now(), accept_gaps=True)
    assert (settlement.state, settlement.total_units) == ("nothing_due", 0)
    assert models.Payout.objects.get().reason == "not_measured"
    assert not wallet_models.Operation.objects.exists()


def test_days_of_other_events_are_no_baseline_days(world: World) -> None:
    device = world.join("battery-1")
    earlier = world.starts_at - datetime.timedelta(days=1)
    models.EventDevice.objects.create(
        event=models.Event.objects.create(
            program=world.program,
            name="The day before",
            target_kw=1,
            starts_at=earlier,
            ends_at=earlier + datetime.timedelta(hours=1),
            state="settled",
            created_at=earlier,
        ),
        device=device,
        available_kw=1,
        share_kw=1,
    )
    event = play(world, schedule(world))
    settle_event.start(event_id=event.pk, by=world.manager, now=clock.get_now())
    day = world.starts_at.date()
    assert models.Payout.objects.get().baseline_days[0] == (day - datetime.timedelta(days=2)).isoformat()


def test_only_a_program_manager_of_the_utility_may_dispatch_and_settle(world: World) -> None:
    world.join("battery-1")
    event = schedule(world)
    stranger = customers.StaffRole.create(role="program_manager").user
    csr = customers.StaffRole.create(utility=world.program.utility, role="csr").user
    for user in (stranger, csr):
        with pytest.raises(queries.UnableToManageProgram):
            dispatch_event.dispatch(event_id=event.pk, by=user, now=clock.get_now())
        with pytest.raises(queries.UnableToManageProgram):
            settle_event.start(event_id=event.pk, by=user, now=clock.get_now())
    assert not der_models.Command.objects.exists()
    assert not models.Settlement.objects.exists()


def test_an_event_is_dispatched_once(world: World) -> None:
    world.join("battery-1")
    event = play(world, schedule(world))
    with pytest.raises(dispatch_event.UnableToDispatchEvent) as refused:
        dispatch_event.dispatch(event_id=event.pk, by=world.manager, now=clock.get_now())
    assert refused.value.code == "event_not_scheduled"
    assert der_models.Command.objects.count() == 1


def test_an_event_without_devices_is_not_dispatched(world: World) -> None:
    event = schedule(world)
    with pytest.raises(dispatch_event.UnableToDispatchEvent) as refused:
        dispatch_event.dispatch(event_id=event.pk, by=world.manager, now=clock.get_now())
    assert refused.value.code == "no_devices"
    event.refresh_from_db()
    assert event.state == "scheduled"


def test_of_many_settlements_at_once_one_pays(world: World) -> None:
    world.join("battery-1")
    event = play(world, schedule(world))

    def settle(_: int) -> str:
        try:
            settle_event.start(event_id=event.pk, by=world.manager, now=clock.get_now())
        except settle_event.UnableToSettleEvent as refused:
            return refused.code
        finally:
            connections.close_all()
        return "settled"

    with concurrent.futures.ThreadPoolExecutor(max_workers=8) as pool:
        answers = sorted(pool.map(settle, range(8)))

    assert answers == ["already_settled"] * 7 + ["settled"]
    assert (models.Settlement.objects.count(), wallet_models.Operation.objects.count()) == (1, 1)


def test_an_event_on_a_holiday_is_compared_with_days_of_rest(world: World) -> None:
    device = world.join("battery-1")
    models.Program.objects.update(holidays=[world.starts_at.date().isoformat()], baseline_min_days=8)
    event = play(world, schedule(world))
    settle_event.start(event_id=event.pk, by=world.manager, now=clock.get_now())
    days = [datetime.date.fromisoformat(day) for day in models.Payout.objects.get().baseline_days]
    assert {day.weekday() for day in days} == {5, 6}
    assert len(days) >= 8
    assert models.Payout.objects.get().event_device.device_id == device.pk


def test_too_few_like_days_earn_nothing_and_say_so(world: World) -> None:
    world.join("battery-1")
    # Thirty days of history have eight or nine days of rest.
    models.Program.objects.update(holidays=[world.starts_at.date().isoformat()])
    event = play(world, schedule(world))

    settlement = settle_event.start(event_id=event.pk, by=world.manager, now=clock.get_now())

    assert (settlement.state, settlement.total_units) == ("nothing_due", 0)
    payout = models.Payout.objects.get()
    assert (payout.reason, payout.baseline_wh, payout.amount_units) == ("too_few_like_days", None, 0)
    event.refresh_from_db()
    assert event.state == "settled"


def test_a_device_is_asked_by_one_of_two_events_at_once(world: World) -> None:
    world.join("battery-1")
    events_at_once = [schedule(world), schedule(world)]

    def dispatch(event: models.Event) -> str:
        try:
            dispatch_event.dispatch(event_id=event.pk, by=world.manager, now=clock.get_now())
        except dispatch_event.UnableToDispatchEvent as refused:
            return refused.code
        finally:
            connections.close_all()
        return "dispatched"

    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        answers = sorted(pool.map(dispatch, events_at_once))

    assert answers == ["dispatched", "no_devices"]
    assert models.EventDevice.objects.count() == 1
