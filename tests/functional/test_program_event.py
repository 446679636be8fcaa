"""Devices answer an event over real HTTP, and their owners are paid on a real chain."""

import dataclasses
import datetime
import decimal
from collections.abc import Mapping

import pytest
from django.core import management

from billing import models as billing_models
from billing import queries as billing_queries
from contracts.bindings import words
from customers import models as customer_models
from ders import models as der_models
from ders import operations as ders
from meters import queries as meters
from notifications import models as notice_models
from openvpp.core import clock, db, period
from programs import models
from programs.usecases import dispatch_event, enroll, settle_event
from tests import provider_fixture
from tests.factories import customers, programs
from tests.functional.conftest import STABLECOINS, Person, Town
from wallets import models as wallet_models
from wallets import operations as wallet_operations

SLUG = "town-devices"
TREASURY_UNITS = 500_000_000
D = decimal.Decimal


@dataclasses.dataclass(frozen=True)
class Scheme:
    """A program in the town, with its manager, its treasury and its provider."""

    town: Town
    provider: provider_fixture.Provider
    provider_row: der_models.Provider
    program: models.Program
    manager: customer_models.User
    starts_at: datetime.datetime

    @property
    def ends_at(self) -> datetime.datetime:
        return self.starts_at + datetime.timedelta(hours=1)

    @property
    def treasury(self) -> wallet_models.Wallet:
        return self.program.treasury_wallet

    def connect(self, person: Person, provider_device_id: str) -> der_models.Device:
        """Add a battery of a person's and wait until its provider has confirmed it."""
        with db.transaction():
            device = ders.add_device(
                customer_id=person.customer.pk,
                provider_id=self.provider_row.pk,
                provider_device_id=provider_device_id,
                name=provider_device_id,
                kind=der_models.Device.Kind.BATTERY,
                power_kw=D("5"),
                energy_kwh=D("13.5"),
                service_point_id=None,
                now=clock.get_now(),
            )
        rows = der_models.Device.objects.filter(pk=device.pk, state="connected")
        provider_fixture.until(rows.exists, "registration")
        return device

    def join(self, person: Person, *devices: der_models.Device) -> None:
        """Apply with devices, and be approved."""
        enrollment = enroll.apply(
            user=person.user,
            program_id=self.program.pk,
            device_ids=[device.pk for device in devices],
            terms_version=1,
            now=clock.get_now(),
        )
        enroll.decide(enrollment_id=enrollment.pk, approve=True, reason="", by=self.manager, now=clock.get_now())

    def dispatch(self, target_kw: str) -> models.Event:
        """Schedule and dispatch the event, and wait for acknowledgements and telemetry."""
        event = dispatch_event.schedule(
            program_id=self.program.pk,
            name="Hot evening",
            target_kw=D(target_kw),
            window=period.Period(self.starts_at, self.ends_at),
            by=self.manager,
            now=clock.get_now(),
        )
        dispatch_event.dispatch(event_id=event.pk, by=self.manager, now=clock.get_now())
        parts = models.EventDevice.objects.filter(event=event)
        mute = parts.filter(device__provider_device_id__startswith="mute-").count()
        provider_fixture.until(lambda: parts.filter(acknowledged_at=None).count() == mute, "acknowledgement")
        provider_fixture.until(lambda: all(len(self.read(part.device)) == 4 for part in parts), "telemetry")
        return event

    def read(self, device: der_models.Device, days_back: int = 0) -> Mapping[int, int]:
        """Return the window's quarter hours of a day as they are stored, Wh by epoch second."""
        back = datetime.timedelta(days=days_back)
        rows = meters.get_device_intervals(
            device_key=str(device.pk), starts_at=self.starts_at - back, ends_at=self.ends_at - back
        )
        return dict(zip(rows.starts.tolist(), rows.whole_units.tolist(), strict=True))

    def settle(self, event: models.Event) -> models.Settlement:
        """Settle, and let the chain come to finality."""
        settlement = settle_event.start(event_id=event.pk, by=self.manager, now=clock.get_now())
        self.town.finish()
        settlement.refresh_from_db()
        return settlement

    def units(self, wallet: wallet_models.Wallet) -> int:
        return self.town.held(wallet.address)[0]


@pytest.fixture
def scheme(town: Town, provider: provider_fixture.Provider) -> Scheme:
    manager = customers.StaffUser.create()
    customers.StaffRole.create(user=manager, utility=town.utility, role="program_manager")
    treasury = wallet_operations.open_treasury_wallet(
        utility_id=town.utility.pk, label="Evening batteries", now=clock.get_now()
    )
    town.chain.give(words.parse_address(treasury.address), TREASURY_UNITS)
    return Scheme(
        town=town,
        provider=provider,
        provider_row=ders.open_provider(
            utility_id=town.utility.pk, slug=SLUG, name="Town Devices", base_url=f"{provider.url}/{SLUG}"
        ),
        program=programs.Program.create(
            utility=town.utility, payout_token=town.stablecoin, treasury_wallet=treasury, name="Evening batteries"
        ),
        manager=manager,
        starts_at=provider_fixture.latest_wednesday_evening(now=clock.get_now()),
    )


def booked_out(scheme: Scheme) -> int:
    """Return what the books say was paid for flexibility, in base units of the one token."""
    balances = billing_queries.get_balances(utility_id=scheme.town.utility.pk)
    return sum(amount for (code, _), amount in balances.items() if code == "program_expense")


def test_the_payout_reaches_the_wallet_to_the_unit(scheme: Scheme, ada: Person) -> None:
    ben = scheme.town.settle("ben")
    battery, second = scheme.connect(ada, "battery-1"), scheme.connect(ada, "battery-2")
    mute, idle = scheme.connect(ben, "mute-battery"), scheme.connect(ben, "idle-battery")
    for device in (battery, second, mute, idle):
        ders.seed_history(device_id=device.pk, until=scheme.starts_at, days=30, now=clock.get_now())
    scheme.join(ada, battery, second)
    scheme.join(ben, mute, idle)

    event = scheme.dispatch("14")
    settlement = scheme.settle(event)

    # By hand: the ten working days before a Wednesday are 1, 2, 5, 6, 7, 8, 9, 12, 13 and 14 days back.
    working_days = (1, 2, 5, 6, 7, 8, 9, 12, 13, 14)
    earned = {}
    for device in (battery, second):
        tenfold_wh = sum(sum(scheme.read(device, days_back=back).values()) for back in working_days)
        performance_tenths_wh = tenfold_wh - 10 * sum(scheme.read(device).values())
        assert 10 * 3200 < performance_tenths_wh <= 10 * 3600
        earned[device.pk] = performance_tenths_wh * 200  # two dollars a kWh are 2000 units a Wh
    due = sum(earned.values())
    assert (settlement.state, settlement.total_units) == ("paid", due)
    assert dict(models.Payout.objects.values_list("event_device__device_id", "amount_units")) == {
        **earned,
        mute.pk: 0,
        idle.pk: 0,
    }
    assert scheme.units(ada.wallet) == STABLECOINS + due
    assert scheme.units(ben.wallet) == STABLECOINS
    assert scheme.town.held(scheme.treasury.address) == (TREASURY_UNITS - due, 0, 0)
    transfer = models.PayoutTransfer.objects.get()
    assert (transfer.recipient_wallet_id, transfer.amount_units) == (ada.wallet.pk, due)
    assert transfer.transaction_hash == settlement.transaction_hash
    told = notice_models.Notice.objects.filter(kind="payout.paid")
    assert [(notice.user_id, notice.data["amount_units"]) for notice in told] == [(ada.user.pk, str(due))]

    with pytest.raises(settle_event.UnableToSettleEvent) as refused:
        settle_event.start(event_id=event.pk, by=scheme.manager, now=clock.get_now())
    assert refused.value.code == "already_settled"
    scheme.town.finish()
    assert scheme.units(ada.wallet) == STABLECOINS + due
    assert scheme.units(scheme.treasury) == TREASURY_UNITS - due
    assert booked_out(scheme) == due
    management.call_command("check_books")


def test_telemetry_that_was_written_by_hand_pays_what_was_worked_out_by_hand(scheme: Scheme, ada: Person) -> None:
    battery = scheme.connect(ada, "battery-1")
    scheme.join(ada, battery)
    # Ten working days back, day i of them (0 the latest) used 100 + 10 i Wh a quarter: the mean is 145 Wh.
    for index, back in enumerate((1, 2, 5, 6, 7, 8, 9, 12, 13, 14)):
        scheme.provider.tell_telemetry(
            slug=SLUG,
            device_id="battery-1",
            starts_at=scheme.starts_at - datetime.timedelta(days=back),
            net_wh=[100 + 10 * index] * 4,
        )
    event = scheme.dispatch("2.5")
    scheme.provider.tell_telemetry(
        slug=SLUG, device_id="battery-1", starts_at=scheme.starts_at, net_wh=[-600, -610, -605, -585]
    )

    settlement = scheme.settle(event)

    # 4 * 145 Wh - (-2400 Wh) = 2980 Wh, at two dollars a kWh: 5.96 dollars.
    payout = models.Payout.objects.get()
    assert (payout.baseline_wh, payout.actual_wh, payout.performance_wh) == (D("580"), -2400, D("2980"))
    assert (settlement.state, settlement.total_units, payout.amount_units) == ("paid", 5_960_000, 5_960_000)
    assert scheme.units(ada.wallet) == STABLECOINS + 5_960_000
    assert scheme.units(scheme.treasury) == TREASURY_UNITS - 5_960_000


def test_a_treasury_without_tokens_pays_when_it_is_filled_and_once(scheme: Scheme, ada: Person) -> None:
    battery = scheme.connect(ada, "battery-1")
    ders.seed_history(device_id=battery.pk, until=scheme.starts_at, days=30, now=clock.get_now())
    scheme.join(ada, battery)
    event = scheme.dispatch("3")
    empty = wallet_operations.open_treasury_wallet(
        utility_id=scheme.town.utility.pk, label="Empty", now=clock.get_now()
    )
    models.Program.objects.update(treasury_wallet=empty)

    failed = scheme.settle(event)
    assert failed.state == "failed"
    assert failed.failure
    assert scheme.units(ada.wallet) == STABLECOINS

    scheme.town.chain.give(words.parse_address(empty.address), TREASURY_UNITS)
    settle_event.retry(event_id=event.pk, by=scheme.manager, now=clock.get_now())
    scheme.town.finish()

    paid = models.Settlement.objects.get()
    assert (paid.state, paid.reference, paid.total_units) == ("paid", failed.reference, failed.total_units)
    assert scheme.units(ada.wallet) == STABLECOINS + paid.total_units
    assert booked_out(scheme) == paid.total_units
    management.call_command("check_books")
    billing_models.LedgerAccount.objects.filter(code="program_treasury").update(code="treasury")
    with pytest.raises(SystemExit):
        management.call_command("check_books")
    with pytest.raises(settle_event.UnableToRetrySettlement):
        settle_event.retry(event_id=event.pk, by=scheme.manager, now=clock.get_now())
