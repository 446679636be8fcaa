"""The admin: who sees what, and that events move on by POST and a manager's hand only."""

import decimal
from typing import Any

import pytest
from django import test

from openvpp.core import models as core_models
from programs import models
from tests.factories import customers, programs
from tests.integration.programs import test_api


@pytest.fixture
def program(transactional_db: None) -> models.Program:
    program: models.Program = programs.Program.create()
    return program


def browser(user: Any) -> test.Client:
    client = test.Client()
    client.force_login(user)
    return client


def staff(utility: Any, role: str) -> test.Client:
    return browser(customers.StaffRole.create(utility=utility, role=role).user)


def do(client: test.Client, event: models.Event, verb: str) -> Any:
    return client.post(f"/admin/programs/event/{event.pk}/do/{verb}/")


def test_a_manager_dispatches_by_a_button(program: models.Program) -> None:
    programs.join(program=program)
    event = programs.Event.create(program=program, starts_at="2099-07-16T21:00Z", ends_at="2099-07-16T22:00Z")
    manager = staff(program.utility, "program_manager")

    page = manager.get(f"/admin/programs/event/{event.pk}/change/")
    assert page.status_code == 200
    assert b"Dispatch event" in page.content
    assert b"/do/settle/" not in page.content

    answer = do(manager, event, "dispatch")
    assert (answer.status_code, answer.url) == (302, f"/admin/programs/event/{event.pk}/change/")
    event.refresh_from_db()
    assert event.state == "dispatching"
    assert core_models.Job.objects.filter(name="ders.deliver_command").count() == 1
    page = manager.get(answer.url)
    assert b"Commands are on their way." in page.content
    assert b"5.000" in page.content


def test_what_a_manager_may_not_do_is_said_and_changes_nothing(program: models.Program) -> None:
    event = programs.Event.create(program=program, starts_at="2099-07-16T21:00Z", ends_at="2099-07-16T22:00Z")
    manager = staff(program.utility, "program_manager")

    answer = do(manager, event, "dispatch")
    assert b"No device of the program can take part in this window." in manager.get(answer.url).content
    assert do(manager, event, "settle").status_code == 302
    event.refresh_from_db()
    assert event.state == "scheduled"
    assert not models.Settlement.objects.exists()


def test_only_managers_of_the_utility_move_events_and_only_by_post(program: models.Program) -> None:
    programs.join(program=program)
    event = programs.Event.create(program=program, starts_at="2099-07-16T21:00Z", ends_at="2099-07-16T22:00Z")
    manager = staff(program.utility, "program_manager")
    path = f"/admin/programs/event/{event.pk}/do/dispatch/"

    assert manager.get(path).status_code == 405
    assert test.Client(enforce_csrf_checks=True).post(path).status_code in {302, 403}
    assert do(staff(program.utility, "csr"), event, "dispatch").status_code == 403
    assert do(staff(customers.Utility.create(), "program_manager"), event, "dispatch").status_code == 404
    assert test.Client().post(path).status_code == 302
    assert do(manager, event, "pay-me").status_code == 404
    event.refresh_from_db()
    assert event.state == "scheduled"


def test_staff_of_another_utility_see_nothing(program: models.Program) -> None:
    payout = test_api.settled(program)
    own, other = staff(program.utility, "auditor"), staff(customers.Utility.create(), "auditor")
    rows = {
        "programs/program": program.pk,
        "programs/event": payout.settlement.event_id,
        "programs/enrollment": models.Enrollment.objects.get().pk,
        "programs/settlement": payout.settlement_id,
        "programs/payout": payout.pk,
        "ders/device": payout.event_device.device_id,
        "ders/provider": payout.event_device.device.provider_id,
    }
    for name, key in rows.items():
        path = f"/admin/{name}/{key}/change/"
        assert own.get(path).status_code == 200, name
        assert other.get(path).status_code == 302, name
        assert own.get(f"/admin/{name}/").status_code == 200, name
        rest = other.get(f"/admin/{name}/").content
        names = [program.name, payout.settlement.event.name, payout.event_device.device.name]
        assert not [word for word in names if word.encode() in rest], name


def test_applications_are_decided_by_actions(program: models.Program) -> None:
    device = test_api.newcomer(program)
    enrollment_id = test_api.apply(device, program).json()["id"]
    wish = {"action": "approve", "_selected_action": [enrollment_id]}

    staff(program.utility, "csr").post("/admin/programs/enrollment/", wish)
    staff(customers.Utility.create(), "program_manager").post("/admin/programs/enrollment/", wish)
    assert models.Enrollment.objects.get().state == "applied"

    staff(program.utility, "program_manager").post("/admin/programs/enrollment/", wish)
    assert models.Enrollment.objects.get().state == "approved"


def test_an_event_is_scheduled_by_a_form_that_knows_the_rules(program: models.Program) -> None:
    manager = staff(program.utility, "program_manager")
    wish = {
        "program": str(program.pk),
        "name": "Hot evening",
        "target_kw": "3",
        "starts_at_0": "2099-07-16",
        "starts_at_1": "21:05",
        "ends_at_0": "2099-07-16",
        "ends_at_1": "22:00",
    }
    page = manager.post("/admin/programs/event/add/", wish)
    assert b"quarter of an hour" in page.content
    assert not models.Event.objects.exists()

    assert manager.post("/admin/programs/event/add/", wish | {"starts_at_1": "21:00"}).status_code == 302
    event = models.Event.objects.get()
    assert (event.state, event.program, event.created_by is not None) == ("scheduled", program, True)


def test_an_event_is_not_scheduled_for_another_utilitys_program(program: models.Program) -> None:
    manager = staff(customers.Utility.create(), "program_manager")
    wish = {
        "program": str(program.pk),
        "name": "Hot evening",
        "target_kw": "3",
        "starts_at_0": "2099-07-16",
        "starts_at_1": "21:00",
        "ends_at_0": "2099-07-16",
        "ends_at_1": "22:00",
    }
    assert manager.post("/admin/programs/event/add/", wish).status_code == 200
    assert not models.Event.objects.exists()


def test_a_manager_does_not_change_where_the_money_comes_from(program: models.Program) -> None:
    page = staff(program.utility, "program_manager").get(f"/admin/programs/program/{program.pk}/change/")
    assert b'name="payout_usd_per_kwh"' in page.content
    assert b'name="treasury_wallet"' not in page.content
    assert b'name="payout_token"' not in page.content


@pytest.mark.parametrize(
    ("state", "status", "rate"),
    [
        ("scheduled", 200, "2"),
        ("ended", 200, "2"),
        ("settling", 200, "2"),
        ("settled", 302, "9"),
        ("cancelled", 302, "9"),
    ],
)
def test_an_event_is_paid_at_the_rate_at_which_it_was_called(
    program: models.Program, state: str, status: int, rate: str
) -> None:
    programs.Event.create(program=program, starts_at="2026-07-16T21:00Z", ends_at="2026-07-16T22:00Z", state=state)
    wish = {
        "name": program.name,
        "kind": program.kind,
        "terms": program.terms,
        "terms_version": "1",
        "eligibility": '{"device_kinds": ["battery"]}',
        "payout_usd_per_kwh": "9",
        "baseline_min_days": "10",
        "holidays": "[]",
        "is_open": "on",
    }
    answer = staff(program.utility, "program_manager").post(f"/admin/programs/program/{program.pk}/change/", wish)
    program.refresh_from_db()
    assert (answer.status_code, program.payout_usd_per_kwh) == (status, decimal.Decimal(rate))
    assert (b"An event is not settled yet." in answer.content) == (status == 200)
