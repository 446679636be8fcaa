"""The third journey: a customer's devices join a program, answer an event, and the payout reaches the wallet."""

import dataclasses
import datetime
import decimal
import time
import zoneinfo
from typing import Any

from customers import models as customer_models
from ders import models as der_models
from openvpp.core import clock, money, period
from openvpp.demo import cast, proof
from openvpp.demo import stage as stages
from openvpp.demo.adapters import node, phone
from programs import models as program_models
from programs.usecases import dispatch_event, enroll, settle_event
from wallets import models as wallet_models

HOUR = datetime.timedelta(hours=1)
PEAK_HOURS = range(17, 20)
MOST_HOURS_BACK = 24 * 21
TARGET_KW = decimal.Decimal(4)
ANSWER_WITHIN_S = 60.0
PAID_WITHIN_S = 60.0
NOTICE_WITHIN_S = 20.0
FINAL_STATES = {"paid", "failed", "nothing_due"}


@dataclasses.dataclass(slots=True)
class Journey:
    """The journey and what it has found out so far."""

    stack: cast.Stack
    stage: stages.Stage

    def play(self) -> dict[str, Any]:
        """Play it to its end and return what is printed as the last line.

        :raises phone.UnableToPlay: something was not as promised.
        """
        self.stage.open(
            title="A customer is paid for an event",
            subtitle=f"{self.stack.utility.name} · chain {self.stack.utility.chain_id}",
        )
        manager = customer_models.User.objects.get(email=self.stack.people["programs"]["email"])
        self.stage.step("Ben", "signs in on his phone and looks at his devices")
        ben = cast.sign_in(stack=self.stack, key="ben")
        try:
            program = self._join(ben, manager=manager)
            event = self._dispatch(program, manager=manager)
            return self._settle(ben, event=event, manager=manager)
        finally:
            ben.listener.close()

    def _join(self, ben: cast.SignedIn, *, manager: customer_models.User) -> program_models.Program:
        devices = ben.api.get("devices/")["results"]
        for device in devices:
            self.stage.fact(f"{device['name']}: {device['kind']}, {device['power_kw']} kW, {device['state']}")
        offered = next(item for item in ben.api.get("programs/")["results"] if item["is_open"])
        program = program_models.Program.objects.get(pk=offered["id"])
        self.stage.step("Ben", f"reads the terms of {offered['name']}")
        self.stage.quote([offered["terms"], "", f"{offered['payout_usd_per_kwh']} USD for each kWh"])
        standing = next(
            (
                item
                for item in ben.api.get("enrollments/")["results"]
                if item["program_id"] == offered["id"] and item["state"] in {"applied", "approved"}
            ),
            None,
        )
        if standing is None:
            standing = ben.api.post(
                "enrollments/",
                {
                    "program_id": offered["id"],
                    "device_ids": [device["id"] for device in devices],
                    "terms_version": offered["terms_version"],
                },
            )
            self.stage.fact(f"applied with {len(devices)} devices")
        if standing["state"] == "applied":
            enroll.decide(enrollment_id=standing["id"], approve=True, reason="", by=manager, now=clock.get_now())
            self._hear(ben, kind="enrollment.decided", name="enrollment_id", value=standing["id"])
        else:
            self.stage.fact("is in the program since an earlier run")
        return program

    def _dispatch(self, program: program_models.Program, *, manager: customer_models.User) -> program_models.Event:
        zone = zoneinfo.ZoneInfo(self.stack.utility.time_zone)
        window = _free_peak_hour(program=program, zone=zone, now=clock.get_now())
        local = f"{window.starts_at.astimezone(zone):%a %d %b %H:%M} to {window.ends_at.astimezone(zone):%H:%M}"
        self.stage.step("The program manager", f"dispatches an event of {TARGET_KW} kW for {local}")
        self.stage.fact("that hour is over, so that nobody has to wait: the simulated provider plays it now")
        event = dispatch_event.schedule(
            program_id=program.pk,
            name=f"Peak of {local}",
            target_kw=TARGET_KW,
            window=window,
            by=manager,
            now=clock.get_now(),
        )
        event = dispatch_event.dispatch(event_id=event.pk, by=manager, now=clock.get_now())
        parts = event.devices.select_related("device")
        self.stage.rows(
            title="Who is asked for how much",
            columns=("device", "available kW", "share kW"),
            rows=[(part.device.name, str(part.available_kw), str(part.share_kw)) for part in parts],
        )
        total = event.devices.count()

        def acknowledged() -> int:
            return event.devices.filter(acknowledged_at__isnull=False).count()

        self.stage.until(
            "commands go out, devices answer through their provider",
            lambda: acknowledged() == total,
            within_s=ANSWER_WITHIN_S,
            standing=lambda: f"{acknowledged()} of {total} acknowledged",
        )
        self.stage.good(f"{total} of {total} devices acknowledged, by signed webhook")
        return event

    def _settle(
        self, ben: cast.SignedIn, *, event: program_models.Event, manager: customer_models.User
    ) -> dict[str, Any]:
        self.stage.step("The program manager", "settles: 10-in-10 baseline, performance, payout")
        wallet = wallet_models.Wallet.objects.select_related("owner_key").get(
            customer__user__email=self.stack.people["ben"]["email"], utility=self.stack.utility
        )
        token = event.program.payout_token
        before = self.stack.node.token_units(token=token.address, holder=wallet.address)
        started = time.monotonic()
        # The seeded history has readings of that hour too: only what is told after the dispatch is the event's own.
        total = event.devices.count()
        self.stage.until(
            "telemetry of the event comes in",
            lambda: _count_told_since(event) >= total,
            within_s=ANSWER_WITHIN_S,
            standing=lambda: f"{_count_told_since(event)} of {total} devices told",
        )
        settlement = self.stage.until(
            "telemetry is complete", lambda: self._start(event, manager=manager), within_s=ANSWER_WITHIN_S
        )
        paying = time.monotonic()

        def state() -> str:
            settlement.refresh_from_db()
            return str(settlement.state)

        self.stage.until(
            "one transaction pays everybody from the program's treasury",
            lambda: state() in FINAL_STATES,
            within_s=PAID_WITHIN_S,
            standing=lambda: str(settlement.state),
        )
        paid_in_s = time.monotonic() - paying
        self._show(settlement)
        if settlement.state != "paid":
            raise phone.UnableToPlay(f"The settlement is {settlement.state}: {settlement.failure}", code="not_paid")
        self._hear(ben, kind="payout.paid", name="event_id", value=str(event.pk))
        self.stage.step("We", "check it against the chain, and settle once more")
        self._check(settlement, event=event, wallet=wallet, before=before, manager=manager)
        performed = sum(settlement.payouts.filter(amount_units__gt=0).values_list("performance_wh", flat=True))
        self.stage.fact(f"from the manager's click to the money: {time.monotonic() - started:.1f} s with telemetry")
        return {
            "event_id": str(event.pk),
            "devices": settlement.payouts.count(),
            "reduced_kwh": float(performed / 1000),
            "payout_units": settlement.total_units,
            "token": settlement.token_symbol,
            "transaction_hash": settlement.transaction_hash,
            "paid_in_s": round(paid_in_s, 3),
        }

    def _start(self, event: program_models.Event, *, manager: customer_models.User) -> program_models.Settlement | None:
        try:
            return settle_event.start(event_id=event.pk, by=manager, now=clock.get_now())
        except settle_event.UnableToSettleEvent as error:
            if error.code != "telemetry_missing":
                raise
            return None

    def _show(self, settlement: program_models.Settlement) -> None:
        rows = settlement.payouts.select_related("event_device__device").order_by("pk")
        total = money.from_units(units=settlement.total_units, decimals=settlement.token_decimals)
        self.stage.rows(
            title="What each device earned",
            columns=("device", "baseline Wh", "actual Wh", "performance Wh", settlement.token_symbol),
            rows=[
                (
                    payout.event_device.device.name,
                    str(payout.baseline_wh),
                    str(payout.actual_wh),
                    str(payout.performance_wh),
                    payout.reason
                    or f"{money.from_units(units=payout.amount_units, decimals=settlement.token_decimals):f}",
                )
                for payout in rows
            ],
            total=f"{total:f}",
        )

    def _check(
        self,
        settlement: program_models.Settlement,
        *,
        event: program_models.Event,
        wallet: wallet_models.Wallet,
        before: int,
        manager: customer_models.User,
    ) -> None:
        receipt = self.stack.node.receipt(settlement.transaction_hash)
        treasury = event.program.treasury_wallet.address
        due = sum(payout.amount_units for payout in settlement.payouts.filter(recipient_wallet=wallet))
        found = [move for move in self.stack.node.transfers(receipt) if move.recipient == wallet.address]
        proof.require(
            "Transfers to Ben's wallet",
            found,
            [node.Moved(token=settlement.token, sender=treasury, recipient=wallet.address, units=due)],
        )
        held = self.stack.node.token_units(token=settlement.token, holder=wallet.address)
        proof.require("Ben's balance", held - before, due)
        self.stage.good(f"transaction {settlement.transaction_hash} in block {settlement.block_number}")
        self.stage.good("the token's own Transfer log and Ben's balance say the same, to the unit")
        try:
            settle_event.start(event_id=event.pk, by=manager, now=clock.get_now())
        except settle_event.UnableToSettleEvent as error:
            proof.require("a second settlement", error.code, "already_settled")
            self.stage.good("a second settlement pays nothing")
        else:
            raise phone.UnableToPlay("A second settlement was taken.", code="settled_twice")

    def _hear(self, ben: cast.SignedIn, *, kind: str, name: str, value: str) -> None:
        with self.stage.waiting("Ben's phone listens"):
            told = ben.listener.wait_for(
                lambda notice: notice["kind"] == kind and notice["data"].get(name) == value,
                within_s=NOTICE_WITHIN_S,
                what=kind,
            )
        self.stage.notice(told)


def _count_told_since(event: program_models.Event) -> int:
    """Return how many telemetry messages came since an event was dispatched: one for each device."""
    told = der_models.WebhookEvent.objects.of_utility(event.program.utility_id)
    return told.filter(kind="telemetry", received_at__gte=event.dispatched_at).count()


def _free_peak_hour(
    *, program: program_models.Program, zone: zoneinfo.ZoneInfo, now: datetime.datetime
) -> period.Period:
    """Return the latest hour of an evening peak that is over and in which the program had no event yet.

    :raises phone.UnableToPlay: there is none in three weeks.
    """
    taken = [(event.starts_at, event.ends_at) for event in program.events.exclude(state="cancelled")]
    starts_at = now.replace(minute=0, second=0, microsecond=0) - HOUR
    for _ in range(MOST_HOURS_BACK):
        is_peak = starts_at.astimezone(zone).hour in PEAK_HOURS
        if is_peak and not any(starts_at < ends and starts_at + HOUR > starts for starts, ends in taken):
            return period.Period(starts_at, starts_at + HOUR)
        starts_at -= HOUR
    raise phone.UnableToPlay(
        "Every evening of three weeks had its events: start over with `make reset`.", code="no_hour"
    )
