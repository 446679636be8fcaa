"""Programs, enrollments, events and payouts for the app: four callers each."""

import datetime
import decimal
from typing import Any

import pytest
from django import db as django_db
from rest_framework import test

from notifications import models as notice_models
from openvpp.core import clock, db
from programs import models
from programs.usecases import enroll
from tests.factories import customers, ders, programs, wallets

D = decimal.Decimal
BOTH = "programs:read programs:write"


def call(method: str, path: str, user: Any = None, scope: str = BOTH, **body: Any) -> Any:
    """Call as a person, or as nobody."""
    client = test.APIClient()
    if user is not None:
        token = wallets.AccessToken.create(user=user, scope=scope)
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token.token}")
    return getattr(client, method)(f"/api/v1/{path}", body or None, format="json")


def staff(utility: Any, role: str = "program_manager") -> Any:
    return customers.StaffRole.create(utility=utility, role=role).user


@pytest.fixture
def program(db: None) -> models.Program:
    program: models.Program = programs.Program.create()
    return program


def newcomer(program: models.Program, **device: Any) -> Any:
    """A device of a customer who has a wallet and is in no program."""
    customer = customers.Customer.create(utility=program.utility)
    wallets.Wallet.create(customer=customer)
    return ders.Device.create(customer=customer, **device)


def apply(device: Any, program: models.Program, **change: Any) -> Any:
    wish: dict[str, Any] = {"program_id": str(program.pk), "device_ids": [str(device.pk)], "terms_version": 1} | change
    return call("post", "enrollments/", device.customer.user, **wish)


def test_four_callers_of_programs(program: models.Program) -> None:
    own = customers.Customer.create(utility=program.utility).user
    for path in ("programs/", f"programs/{program.pk}/"):
        assert call("get", path).status_code == 401
        assert call("get", path, own, scope="bills:read").status_code == 403
        assert call("get", path, own).status_code == 200
    for stranger in (customers.Customer.create().user, staff(customers.Utility.create())):
        assert call("get", "programs/", stranger).json()["results"] == []
        assert call("get", f"programs/{program.pk}/", stranger).status_code == 404
    assert call("get", f"programs/{program.pk}/", own).json() == {
        "id": str(program.pk),
        "name": program.name,
        "kind": "battery_dispatch",
        "description": "",
        "terms": "We may discharge your battery.",
        "terms_version": 1,
        "eligibility": {"device_kinds": ["battery"]},
        "payout_usd_per_kwh": "2.000000",
        "payout_token": "USDX",
        "is_open": True,
    }


def test_four_callers_of_applying(program: models.Program) -> None:
    device = newcomer(program)
    wish: dict[str, Any] = {"program_id": str(program.pk), "device_ids": [str(device.pk)], "terms_version": 1}

    assert call("post", "enrollments/", **wish).status_code == 401
    assert call("post", "enrollments/", device.customer.user, scope="programs:read", **wish).status_code == 403
    for stranger in (customers.Customer.create().user, staff(customers.Utility.create())):
        assert call("post", "enrollments/", stranger, **wish).status_code == 404
    neighbour = newcomer(program)
    refused = call("post", "enrollments/", neighbour.customer.user, **wish)
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    assert not models.Enrollment.objects.exists()

    applied = call("post", "enrollments/", device.customer.user, **wish)
    assert (applied.status_code, applied.json()["state"]) == (201, "applied")
    assert applied.json()["device_ids"] == [str(device.pk)]
    assert models.Enrollment.objects.get().terms == program.terms


@pytest.mark.parametrize(
    ("device", "program_change", "wish", "code"),
    [
        ({"kind": "charger"}, {}, {}, "device_not_eligible"),
        ({"power_kw": D("0.5")}, {"eligibility": {"min_power_kw": "1"}}, {}, "device_not_eligible"),
        ({}, {"eligibility": {"postal_codes": ["04101"]}}, {}, "device_not_eligible"),
        ({"state": "refused"}, {}, {}, "device_not_eligible"),
        ({}, {"is_open": False}, {}, "program_closed"),
        ({}, {}, {"terms_version": 2}, "terms_changed"),
    ],
)
def test_an_application_that_may_not_be_is_refused_with_its_reason(
    program: models.Program,
    device: dict[str, Any],
    program_change: dict[str, Any],
    wish: dict[str, Any],
    code: str,
) -> None:
    models.Program.objects.update(**program_change)
    refused = apply(newcomer(program, **device), program, **wish)
    assert (refused.status_code, refused.json()["code"]) == (409, code)
    assert not models.Enrollment.objects.exists()


def test_a_customer_without_a_wallet_waits_for_it(program: models.Program) -> None:
    device = ders.Device.create(customer=customers.Customer.create(utility=program.utility))
    assert apply(device, program).json()["code"] == "wallet_missing"


def test_a_customer_is_in_a_program_once_and_a_device_in_one_program(program: models.Program) -> None:
    device = newcomer(program)
    assert apply(device, program).status_code == 201
    assert apply(device, program).json()["code"] == "already_enrolled"
    other = programs.Program.create(utility=program.utility, payout_token=program.payout_token)
    assert apply(device, other).json()["code"] == "device_enrolled"
    assert models.Enrollment.objects.count() == 1


def test_four_callers_of_an_enrollment(program: models.Program) -> None:
    part = programs.join(program=program)
    owner, path = part.device.customer.user, f"enrollments/{part.enrollment_id}/"
    strangers = [customers.Customer.create(utility=program.utility).user, staff(customers.Utility.create())]

    for method in ("get", "delete"):
        assert call(method, path).status_code == 401
        assert call(method, path, owner, scope="bills:read").status_code == 403
        assert [call(method, path, user).status_code for user in strangers] == [404, 404]
    assert [call("get", "enrollments/", user).json()["results"] for user in strangers] == [[], []]
    assert [row["id"] for row in call("get", "enrollments/", owner).json()["results"]] == [str(part.enrollment_id)]
    assert models.Enrollment.objects.get().state == "approved"

    assert call("delete", path, owner).status_code == 204
    part.refresh_from_db()
    assert (models.Enrollment.objects.get().state, part.ended_at is not None) == ("left", True)
    assert call("delete", path, owner).json()["code"] == "enrollment_over"


def test_a_manager_decides_and_the_customer_is_told(program: models.Program) -> None:
    device = newcomer(program)
    enrollment = models.Enrollment.objects.get(pk=apply(device, program).json()["id"])
    manager = staff(program.utility)
    wish: dict[str, Any] = {"enrollment_id": enrollment.pk, "approve": False, "reason": "Full.", "now": clock.get_now()}

    enroll.decide(**wish, by=manager)

    enrollment.refresh_from_db()
    assert (enrollment.state, enrollment.decided_by, enrollment.reason) == ("refused", manager, "Full.")
    notice = notice_models.Notice.objects.get()
    assert (notice.user, notice.kind, notice.body) == (device.customer.user, "enrollment.decided", "Full.")
    with pytest.raises(enroll.UnableToDecide):
        enroll.decide(**(wish | {"approve": True}), by=manager)
    assert apply(device, program).status_code == 201


def settled(program: models.Program) -> models.Payout:
    part = programs.join(program=program)
    event = programs.Event.create(program=program, state="settled")
    event_device = models.EventDevice.objects.create(event=event, device=part.device, available_kw=5, share_kw=D("2.5"))
    settlement = models.Settlement.objects.create(
        event=event,
        reference="0x" + "0a" * 16,
        token=program.payout_token.address,
        token_symbol="USDX",
        token_decimals=6,
        payout_usd_per_kwh=2,
        total_units=5_000_000,
        state="paid",
        computed_at=event.ends_at,
        paid_at=event.ends_at,
        transaction_hash="0x" + "5f" * 32,
        block_number=1288,
    )
    payout: models.Payout = models.Payout.objects.create(
        settlement=settlement,
        event_device=event_device,
        recipient_wallet=part.device.customer.wallet,
        baseline_days=[],
        intervals=[],
        baseline_wh=100,
        actual_wh=-2400,
        performance_wh=2500,
        amount_units=5_000_000,
        state="paid",
        paid_at=event.ends_at,
    )
    return payout


def test_four_callers_of_events_and_payouts(program: models.Program) -> None:
    payout = settled(program)
    device = payout.event_device.device
    owner = device.customer.user
    strangers = [customers.Customer.create(utility=program.utility).user, staff(customers.Utility.create())]
    for path in ("events/", "payouts/"):
        assert call("get", path).status_code == 401
        assert call("get", path, owner, scope="bills:read").status_code == 403
        assert [call("get", path, user).json()["results"] for user in strangers] == [[], []]
    [event] = call("get", "events/", owner).json()["results"]
    assert (event["event_id"], event["device_id"], event["share_kw"], event["state"]) == (
        str(payout.settlement.event_id),
        str(device.pk),
        "2.500",
        "settled",
    )
    [earned] = call("get", "payouts/", owner).json()["results"]
    assert earned == {
        "id": str(payout.pk),
        "event_id": str(payout.settlement.event_id),
        "event": payout.settlement.event.name,
        "device_id": str(device.pk),
        "baseline_wh": "100.000",
        "actual_wh": -2400,
        "performance_wh": "2500.000",
        "amount_units": "5000000",
        "amount": "5.000000",
        "token": "USDX",
        "decimals": 6,
        "state": "paid",
        "reason": "",
        "paid_at": "2026-07-16T22:00:00Z",
        "transaction_hash": "0x" + "5f" * 32,
        "block_number": 1288,
    }
    assert datetime.datetime.fromisoformat(earned["paid_at"]).tzinfo is not None


@pytest.mark.parametrize(
    ("rows", "change", "constraint"),
    [
        (models.Payout, {"amount_units": 5_000_001}, "payout_is_written_once"),
        (models.Payout, {"performance_wh": 0}, "payout_is_written_once"),
        (models.Payout, {"state": "pending"}, "payout_is_written_once"),
        (models.Settlement, {"total_units": 1}, "settlement_is_written_once"),
        (models.Settlement, {"state": "failed"}, "settlement_is_written_once"),
    ],
)
def test_what_was_settled_stays_as_it_was_written(
    program: models.Program, rows: Any, change: dict[str, Any], constraint: str
) -> None:
    settled(program)
    with pytest.raises(django_db.IntegrityError) as refused, db.transaction():
        rows.objects.update(**change)
    assert refused.value.__cause__.diag.constraint_name == constraint
    with pytest.raises(django_db.IntegrityError), db.transaction():
        rows.objects.all()._raw_delete("default")
    assert rows.objects.count() == 1
