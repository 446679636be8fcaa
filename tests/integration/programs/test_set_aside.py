"""One payee on the list: that payout alone is set aside, its neighbours are paid, two people release it."""

from typing import Any

import pytest

from controls import models as controls_models
from controls.adapters import screening
from controls.usecases import decide_change
from customers import models as customer_models
from openvpp.core import clock, errors, jobs
from programs import models
from programs.usecases import pay_held, settle_event
from tests.factories import customers
from tests.integration.programs import conftest, test_event
from wallets import models as wallet_models

World = conftest.World
unsent = test_event.unsent


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The list of addresses that nobody may pay."""
    found: set[str] = set()
    monkeypatch.setattr(screening, "check", lambda *, addresses: set(addresses) & found)
    return found


def administrators(world: World) -> list[customer_models.User]:
    people = [customers.StaffUser.create(), customers.StaffUser.create()]
    for person in people:
        customers.StaffRole.create(
            user=person, utility=world.program.utility, role=customer_models.StaffRole.Role.ADMINISTRATOR
        )
    return people


def settle(world: World, listed: set[str], *names: str) -> tuple[models.Settlement, Any]:
    """Settle an event of two batteries, of which those of these names are listed."""
    devices = {name: world.join(name) for name in ("battery-1", "battery-2")}
    event = test_event.play(world, test_event.schedule(world))
    listed |= {devices[name].customer.wallet.address for name in names}
    return settle_event.start(event_id=event.pk, by=world.manager, now=clock.get_now()), devices


def paid_log(world: World, payout: models.Payout, index: int) -> Any:
    return test_event.transfer(
        payout.settlement.token,
        world.program.treasury_wallet.address,
        payout.recipient_wallet.address,
        payout.amount_units,
        index,
    )


def test_the_neighbour_is_paid_and_two_people_release_the_other(world: World, listed: set[str]) -> None:
    settlement, devices = settle(world, listed, "battery-1")
    held = models.Payout.objects.get(event_device__device=devices["battery-1"])
    free = models.Payout.objects.get(event_device__device=devices["battery-2"])
    assert (held.state, free.state, settlement.state) == ("held", "pending", "paying")
    assert held.recipient_wallet.address in held.hold.reason
    assert settlement.total_units == held.amount_units + free.amount_units
    operation = settlement.operation
    assert operation.intent["recipients"] == [free.recipient_wallet.address]
    assert operation.spend_units == free.amount_units
    checked = controls_models.Screening.objects.get(reference=f"event:{settlement.event_id}")
    assert (checked.listed, checked.decision) == ([held.recipient_wallet.address], "held")

    test_event.end(settlement, paid_log(world, free, 3))
    held.refresh_from_db()
    free.refresh_from_db()
    settlement.refresh_from_db()
    assert (held.state, free.state, settlement.state) == ("held", "paid", "paid")

    listed.clear()
    maker, checker = administrators(world)
    wish: dict[str, Any] = {
        "kind": "release_payout",
        "subject": str(held.pk),
        "reason": "Cleared.",
        "now": clock.get_now(),
    }
    change = decide_change.propose(**wish, after={"released": True}, maker=maker)
    with pytest.raises(decide_change.UnableToDecide):
        decide_change.approve(change_id=change.pk, checker=maker, now=clock.get_now())
    assert models.HeldPayout.objects.get().state == "held"
    decide_change.approve(change_id=change.pk, checker=checker, now=clock.get_now())
    assert jobs.run_due(now=clock.get_now()) >= 1
    pay_held.start(payout_id=str(held.pk), now=clock.get_now())
    hold = models.HeldPayout.objects.get()
    assert wallet_models.Operation.objects.filter(kind="programs.payout").count() == 2
    assert hold.operation.intent["ref"] == hold.reference != settlement.reference
    assert hold.operation.intent["amounts"] == [str(held.amount_units)]
    settlement.operation = hold.operation
    test_event.end(settlement, paid_log(world, held, 7))
    held.refresh_from_db()
    assert (held.state, models.HeldPayout.objects.get().state) == ("paid", "paid")
    assert models.PayoutTransfer.objects.filter(recipient_wallet=held.recipient_wallet).count() == 1


def test_all_set_aside_pays_nobody_and_settles(world: World, listed: set[str]) -> None:
    settlement, _devices = settle(world, listed, "battery-1", "battery-2")
    assert (settlement.state, settlement.operation) == ("set_aside", None)
    assert models.Event.objects.get().state == "settled"
    assert wallet_models.Operation.objects.count() == 0
    assert models.HeldPayout.objects.filter(state="held").count() == 2


def test_a_release_that_is_refused_sets_it_aside_again(world: World, listed: set[str]) -> None:
    settlement, devices = settle(world, listed, "battery-1")
    maker, checker = administrators(world)
    held = models.Payout.objects.get(event_device__device=devices["battery-1"])
    for _again in range(2):
        change = decide_change.propose(
            kind="release_payout",
            subject=str(held.pk),
            after={"released": True},
            reason="Cleared.",
            maker=maker,
            now=clock.get_now(),
        )
        decide_change.approve(change_id=change.pk, checker=checker, now=clock.get_now())
        jobs.run_due(now=clock.get_now())
        settlement.operation = models.HeldPayout.objects.get().operation
        test_event.end(settlement, succeeded=False, reason="The address is on a list.")
        wallet_models.Operation.objects.filter(pk=settlement.operation.pk).update(state="failed")
        hold = models.HeldPayout.objects.get()
        assert (hold.state, hold.failure) == ("held", "The address is on a list.")
    held.refresh_from_db()
    assert (held.state, held.paid_at) == ("held", None)


def test_only_a_release_may_be_asked_for(world: World, listed: set[str]) -> None:
    _settlement, devices = settle(world, listed, "battery-1")
    maker, _checker = administrators(world)
    held = models.Payout.objects.get(event_device__device=devices["battery-1"])
    wish: dict[str, Any] = {
        "kind": "release_payout",
        "subject": str(held.pk),
        "reason": "More.",
        "now": clock.get_now(),
    }
    for after in ({"released": True, "amount_units": "1"}, {"amount_units": "1"}):
        with pytest.raises(errors.UnableTo):
            decide_change.propose(**wish, after=after, maker=maker)
    with pytest.raises(errors.NotFound):
        decide_change.propose(**wish, after={"released": True}, maker=world.manager)
    assert not controls_models.ChangeRequest.objects.exists()
