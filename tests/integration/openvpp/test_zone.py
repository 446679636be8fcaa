"""The admin's clock: staff read and write times of their utility, and the page says which zone that is."""

# mypy: disable-error-code="no-untyped-call"

import datetime
from typing import Any

import pytest
from django import test
from django.utils import timezone

from programs import models
from tests.factories import customers, programs

EVENTS = "/admin/programs/event/"


@pytest.fixture
def program(transactional_db: None) -> models.Program:
    program: models.Program = programs.Program.create(utility__time_zone="America/New_York")
    return program


def manager_of(*utilities: Any) -> test.Client:
    user = customers.StaffRole.create(utility=utilities[0], role="program_manager").user
    for utility in utilities[1:]:
        customers.StaffRole.create(utility=utility, role="program_manager", user=user)
    client = test.Client()
    client.force_login(user)
    return client


def wish(program: models.Program) -> dict[str, str]:
    return {
        "program": str(program.pk),
        "name": "Hot evening",
        "target_kw": "3",
        "starts_at_0": "2099-07-16",
        "starts_at_1": "17:00",
        "ends_at_0": "2099-07-16",
        "ends_at_1": "18:00",
    }


def test_what_is_typed_is_time_at_the_utility(program: models.Program) -> None:
    manager = manager_of(program.utility)
    form = manager.get(f"{EVENTS}add/").content.decode()
    assert form.count("America/New_York, on a quarter of an hour.") == 2

    assert manager.post(f"{EVENTS}add/", wish(program)).status_code == 302

    assert models.Event.objects.get().starts_at == datetime.datetime(2099, 7, 16, 21, tzinfo=datetime.UTC)
    page = manager.get(EVENTS).content.decode()
    assert "July 16, 2099, 5 p.m." in page
    assert "Times: America/New_York" in page


def test_staff_of_utilities_in_several_zones_are_told_utc(program: models.Program) -> None:
    manager = manager_of(program.utility, customers.Utility.create(time_zone="America/Los_Angeles"))
    assert "Times: UTC" in manager.get(EVENTS).content.decode()

    manager.post(f"{EVENTS}add/", wish(program))

    assert models.Event.objects.get().starts_at == datetime.datetime(2099, 7, 16, 17, tzinfo=datetime.UTC)


def test_no_other_request_keeps_the_zone(program: models.Program) -> None:
    manager = manager_of(program.utility)
    manager.get(EVENTS)

    assert str(timezone.get_current_timezone()) == "UTC"
    assert test.Client().get("/admin/").status_code == 302
