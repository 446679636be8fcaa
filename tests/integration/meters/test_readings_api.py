"""A head-end pushes readings and register reads: each row is told, a retry changes nothing, others are refused."""

import datetime
from typing import Any

import pytest
from rest_framework import test

from customers import models as customers_models
from meters import models, queries
from tests.factories import customers
from tests.integration.meters.conftest import client

READINGS, REGISTERS = "/api/v1/meter-readings/", "/api/v1/meter-register-reads/"
FIRST = datetime.datetime(2026, 6, 1, 4, tzinfo=datetime.UTC)
SPAN = {"starts_at": FIRST, "ends_at": FIRST + datetime.timedelta(days=1)}


@pytest.fixture
def point(transactional_db: None) -> customers_models.ServicePoint:
    return customers.ServicePoint.create()


@pytest.fixture
def system(point: customers_models.ServicePoint) -> test.APIClient:
    return client(user=None, scope="usage:write", utility=point.premise.utility)


def row(point: customers_models.ServicePoint, **changes: Any) -> dict[str, Any]:
    return {
        "service_point": point.number,
        "starts_at": "2026-06-01T00:00:00-04:00",
        "interval_seconds": 900,
        "unit": "kWh",
        "flow": "delivered",
        "quality": "valid",
        "values": ["0.5"] * 4,
    } | changes


def push(caller: test.APIClient, rows: list[dict[str, Any]], key: str = "one", url: str = READINGS) -> Any:
    body = {"reads" if url == REGISTERS else "readings": rows}
    return caller.post(url, body, format="json", HTTP_IDEMPOTENCY_KEY=key)


def test_rows_that_are_right_are_stored_and_the_others_named(
    system: test.APIClient, point: customers_models.ServicePoint
) -> None:
    answer = push(
        system,
        [
            row(point),
            row(point, service_point="NOBODY"),
            row(point, starts_at="2026-06-01T00:45:00-04:00"),
            row(point, starts_at="2026-06-01T01:00:00-04:00", values=["1", None, "3"]),
            row(point, interval_seconds=7 * 60),
            row(point, starts_at="2099-01-01T00:00:00Z"),
            row(point, starts_at="2026-06-01T03:00:00-04:00", values=["-1"]),
            row(point, starts_at="2026-06-01T04:00:00-04:00", unit="kW", values=["8"]),
            row(point, starts_at="2026-06-01T04:00:00-04:00", flow="received", values=["0.1"]),
            row(point, starts_at="2026-06-01T06:00:00-04:00", values=[None]),
        ],
    )

    assert answer.status_code == 200, answer.json()
    body = answer.json()
    assert (body["accepted"], body["rejected"]) == (4, 6)
    assert [one["code"] for one in body["rows"]] == [
        "", "unknown_service_point", "overlap", "", "wrong_interval", "in_the_future", "negative", "", "", "no_values",
    ]  # fmt: skip
    read = queries.get_consumption(service_point_id=point.pk, **SPAN)
    assert int(read.delivered_milli_wh.sum()) == (4 * 500 + 4000 + 2000) * 1000
    assert int(read.received_milli_wh.sum()) == 100_000
    assert len(read) == 7


def test_same_batch_again_is_the_same_answer_and_changed_values_a_new_version(
    system: test.APIClient, point: customers_models.ServicePoint
) -> None:
    first = push(system, [row(point)]).json()

    assert push(system, [row(point)]).json() == first
    assert push(system, [row(point, values=["9"])]).status_code == 422
    assert models.ImportBatch.objects.count() == 1
    assert not models.MeterDayVersion.objects.exists()
    assert push(system, [row(point)], key="two").json()["accepted"] == 1
    assert not models.MeterDayVersion.objects.exists()
    push(system, [row(point, values=["0.7"])], key="three")
    assert models.MeterDayVersion.objects.count() == 1
    read = queries.get_consumption(service_point_id=point.pk, **SPAN)
    assert read.delivered_wh.tolist() == [700, 500, 500, 500]


def test_row_that_contradicts_what_is_stored_leaves_the_others(
    system: test.APIClient, point: customers_models.ServicePoint
) -> None:
    other = customers.ServicePoint.create(premise__utility=point.premise.utility)
    push(system, [row(point)])

    answer = push(system, [row(point, interval_seconds=1800, values=["1", "1"]), row(other)], key="two").json()

    assert [one["code"] for one in answer["rows"]] == ["contradicts_stored", ""]
    assert queries.get_consumption(service_point_id=other.pk, **SPAN).delivered_wh.sum() == 2000
    assert queries.get_consumption(service_point_id=point.pk, **SPAN).delivered_wh.tolist() == [500] * 4


def read(point: customers_models.ServicePoint, day: int, value: str, serial: str = "M-1") -> dict[str, Any]:
    return {
        "service_point": point.number,
        "serial": serial,
        "read_at": f"2026-05-{day:02d}T12:00:00-04:00",
        "value_kwh": value,
    }


def register(point: customers_models.ServicePoint, serial: str = "M-1", **extra: Any) -> models.Register:
    return models.Register.objects.create(
        utility=point.premise.utility, service_point=point, serial=serial, dials=5, **extra
    )


def test_register_reads_become_consumption_over_rollover_and_exchange(
    system: test.APIClient, point: customers_models.ServicePoint
) -> None:
    register(point)
    register(point, "M-2")
    reads = [
        read(point, 1, "99800"),
        read(point, 11, "100"),
        read(point, 21, "250"),
        read(point, 21, "7", "M-2"),
        read(point, 28, "107", "M-2"),
        read(point, 29, "1", "M-9"),
    ]

    answer = push(system, reads, url=REGISTERS).json()

    assert [one["counted_kwh"] for one in answer["rows"]] == [None, "300", "150", None, "100", None]
    assert [one["code"] for one in answer["rows"]] == ["", "", "", "", "", "unknown_register"]
    start = datetime.datetime(2026, 5, 1, 16, tzinfo=datetime.UTC)
    spread = queries.get_consumption(
        service_point_id=point.pk, starts_at=start, ends_at=start + datetime.timedelta(days=27)
    )
    assert int(spread.delivered_milli_wh.sum()) == 550 * 10**6
    assert len(spread) == 27 * 24
    assert set(spread.qualities) == {6}
    assert push(system, reads, key="again", url=REGISTERS).json()["rejected"] == 1
    assert models.RegisterRead.objects.count() == 5


def test_register_is_multiplied_once(system: test.APIClient, point: customers_models.ServicePoint) -> None:
    customers_models.MeterInstallation.objects.create(
        service_point=point, serial="M-1", multiplier=40, starts_on=datetime.date(2026, 1, 1)
    )
    register(point)

    push(system, [read(point, 1, "100"), read(point, 11, "110")], url=REGISTERS)

    start = datetime.datetime(2026, 5, 1, 16, tzinfo=datetime.UTC)
    spread = queries.get_consumption(
        service_point_id=point.pk, starts_at=start, ends_at=start + datetime.timedelta(days=10)
    )
    assert int(spread.delivered_milli_wh.sum()) == 400 * 10**6


@pytest.mark.parametrize("url", [READINGS, REGISTERS])
def test_others_are_refused_with_nothing_stored(
    system: test.APIClient, point: customers_models.ServicePoint, url: str
) -> None:
    register(point)
    rows = [row(point)] if url == READINGS else [read(point, 1, "5")]
    staff = customers.StaffRole.create(utility=point.premise.utility).user
    callers = [
        test.APIClient(),
        client(user=None, scope="usage:read", utility=point.premise.utility),
        client(user=staff, scope="usage:write"),
    ]
    stranger = client(user=None, scope="usage:write", utility=customers.Utility.create())

    assert [push(caller, rows, url=url).status_code for caller in callers] == [401, 403, 403]
    foreign = push(stranger, rows, url=url).json()
    assert foreign["rejected"] == 1
    assert foreign["rows"][0]["code"] in {"unknown_service_point", "unknown_register"}
    assert system.post(url, {}, format="json", HTTP_IDEMPOTENCY_KEY="x").status_code == 400
    no_key = system.post(url, {"reads" if url == REGISTERS else "readings": rows}, format="json")
    assert no_key.json()["code"] == "idempotency_key_required"
    assert not models.MeterDay.objects.exists()
    assert not models.RegisterRead.objects.exists()


def test_reads_within_one_hour_lose_nothing(system: test.APIClient, point: customers_models.ServicePoint) -> None:
    register(point)
    stamps = ("09:10", "09:50", "09:55", "10:30", "13:00")
    reads = [
        read(point, 1, value) | {"read_at": f"2026-05-01T{stamp}:00-04:00"}
        for stamp, value in zip(stamps, ("99990", "99995", "3", "10", "40"), strict=True)
    ]

    for place, one in enumerate(reads):
        assert push(system, [one], key=f"k{place}", url=REGISTERS).json()["accepted"] == 1

    start = datetime.datetime(2026, 5, 1, 13, tzinfo=datetime.UTC)
    spread = queries.get_consumption(
        service_point_id=point.pk, starts_at=start, ends_at=start + datetime.timedelta(hours=4)
    )
    assert int(spread.delivered_milli_wh.sum()) == 50 * 10**6
    assert int(spread.delivered_milli_wh[0]) == 20 * 10**6


def test_dial_of_another_unit_is_not_read_in_kwh(system: test.APIClient, point: customers_models.ServicePoint) -> None:
    reactive = register(point, unit="varh")
    active = register(point)

    push(system, [read(point, 1, "5")], url=REGISTERS)

    assert (active.reads.count(), reactive.reads.count()) == (1, 0)


def test_times_that_no_meter_has_are_refused(system: test.APIClient, point: customers_models.ServicePoint) -> None:
    register(point)

    pushed = push(system, [row(point, starts_at="0001-01-01T00:00:00Z")]).json()
    old = push(system, [read(point, 1, "5") | {"read_at": "0001-01-01T00:00:00Z"}], key="two", url=REGISTERS).json()

    assert [one["rows"][0]["code"] for one in (pushed, old)] == ["wrong_time", "wrong_time"]
    assert not models.RegisterRead.objects.exists()
    assert not models.MeterDay.objects.exists()
