"""Usage by hour, beside last year and as files, each with four callers."""

import csv
import datetime
import io
import itertools
from typing import Any

import pytest
from lxml import etree
from rest_framework import test

from customers import models as customers_models
from meters import models, queries
from meters.adapters import espi
from meters.usecases import ingest_readings
from tests.factories import customers
from tests.integration.meters.conftest import NOW, client
from tests.integration.meters.test_ingest_readings import MONTHS

ADDRESSES = ["/api/v1/usage/comparison/", "/api/v1/usage/csv/", "/api/v1/usage/green-button/"]


def asked(agreement: customers_models.ServiceAgreement, **extra: object) -> dict[str, Any]:
    return {"service_point": agreement.service_point_id, "from": "2012-04-01", "to": "2012-05-01"} | extra


def text_of(answer: Any) -> str:
    return b"".join(answer.streaming_content).decode()


def test_hours_add_up_to_the_month(agreement: customers_models.ServiceAgreement, csr: test.APIClient) -> None:
    body = csr.get("/api/v1/usage/", asked(agreement, step="hour", unit="kW")).json()

    assert len(body["results"]) == 720
    assert (body["gaps"], body["gap_count"]) == ([], 0)
    assert round(sum(float(row["delivered_kwh"]) for row in body["results"]), 3) == 2215.348
    first = body["results"][0]
    assert (first["starts_at"], first["ends_at"]) == ("2012-04-01T00:00:00-04:00", "2012-04-01T01:00:00-04:00")
    assert first["delivered_kw"] == first["delivered_kwh"] == first["peak_kw"]


def test_gaps_are_named_and_empty_spans_are_empty(
    agreement: customers_models.ServiceAgreement, csr: test.APIClient
) -> None:
    models.MeterDay.objects.filter(local_date=datetime.date(2012, 4, 15)).delete()

    body = csr.get("/api/v1/usage/", asked(agreement, step="month")).json()
    empty = csr.get("/api/v1/usage/", asked(agreement) | {"from": "2011-01-01", "to": "2011-02-01"}).json()

    (month,) = body["results"]
    assert (month["missing"], month["quality"]) == (24, "incomplete")
    assert body["gaps"] == [{"starts_at": "2012-04-15T00:00:00-04:00", "ends_at": "2012-04-16T00:00:00-04:00"}]
    assert empty["results"] == []
    assert empty["gap_count"] == 1


def test_what_has_not_happened_is_no_gap(agreement: customers_models.ServiceAgreement, csr: test.APIClient) -> None:
    body = csr.get("/api/v1/usage/", asked(agreement) | {"from": "2199-01-01", "to": "2199-02-01"}).json()

    assert (body["results"], body["gap_count"]) == ([], 0)


def test_year_before_stands_beside_each_day(agreement: customers_models.ServiceAgreement, csr: test.APIClient) -> None:
    query = asked(agreement, align="weekday") | {"from": "2013-04-01", "to": "2013-04-04"}

    body = csr.get("/api/v1/usage/comparison/", query).json()

    assert [(row["date"], row["date_before"]) for row in body["results"]] == [
        ("2013-04-01", "2012-04-02"),
        ("2013-04-02", "2012-04-03"),
        ("2013-04-03", "2012-04-04"),
    ]
    assert body["days_compared"] == 0
    assert body["change_percent"] is None
    assert [lack["why"] for lack in body["lacking"]] == ["missing"] * 3
    assert body["lacking_before"] == []
    assert body["results"][0]["delivered_kwh"] is None
    assert float(body["results"][0]["delivered_kwh_before"]) > 0


def test_customer_compares_with_no_day_before_their_service(
    agreement: customers_models.ServiceAgreement, holder: customers_models.User
) -> None:
    """Who moved in does not see what was used there a year before."""
    customers.ServiceAgreement.create(
        account=agreement.account, service_point=agreement.service_point, starts_on=datetime.date(2013, 4, 1)
    )
    query = asked(agreement) | {"from": "2013-04-08", "to": "2013-04-12"}

    body = client(user=holder, scope="usage:read").get("/api/v1/usage/comparison/", query).json()

    assert [row["delivered_kwh_before"] is None for row in body["results"]] == [True, True, False, False]
    assert [lack["date"] for lack in body["lacking_before"]] == ["2012-04-08", "2012-04-09"]


def test_csv_is_exact_and_says_its_units(agreement: customers_models.ServiceAgreement, csr: test.APIClient) -> None:
    answer = csr.get("/api/v1/usage/csv/", asked(agreement), headers={"Accept": "text/csv"})

    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"].endswith('2012-04-01-2012-05-01.csv"')
    text = text_of(answer)
    assert text.endswith("\r\n")
    assert text.count("\n") == text.count("\r\n") == 721
    found = list(csv.DictReader(io.StringIO(text, newline="")))
    assert list(found[0]) == ["starts_at", "ends_at", "delivered_kWh", "received_kWh", "quality"]
    assert found[0]["starts_at"] == "2012-04-01T00:00:00-04:00"
    assert round(sum(float(row["delivered_kWh"]) for row in found), 6) == 2215.348


def test_green_button_is_valid_and_imports_to_the_same_sums(
    agreement: customers_models.ServiceAgreement, csr: test.APIClient
) -> None:
    document = text_of(csr.get("/api/v1/usage/green-button/", asked(agreement))).encode()

    resources = [child for content in etree.fromstring(document).iter(f"{espi.ATOM}content") for child in content]
    for resource in resources:
        espi.schema().assertValid(resource)
    # Days are New York's there as here; elsewhere the point of that number is the utility's own.
    utility = customers.Utility.create()
    point = customers.ServicePoint.create(premise__utility=utility, number=agreement.service_point.number)
    batch = ingest_readings.ingest_green_button(stream=io.BytesIO(document), utility_id=utility.pk, now=NOW)
    assert (batch.intervals, batch.days_added, batch.warnings) == (720, 30, [])
    staff = client(user=customers.StaffRole.create(utility=utility).user, scope="usage:read")
    query = asked(agreement, step="interval", page_size=3000)
    again = staff.get("/api/v1/usage/", query | {"service_point": point.pk}).json()["results"]
    assert again == csr.get("/api/v1/usage/", query).json()["results"]


def test_months_read_as_one_are_downloaded_too(transactional_db: None) -> None:
    service = customers.ServiceAgreement.create(starts_on=datetime.date(2011, 1, 1))
    point = service.service_point
    utility = service.account.utility
    ingest_readings.ingest_green_button(
        stream=io.BytesIO(MONTHS.read_bytes()), utility_id=utility.pk, service_point_id=point.pk, now=NOW
    )
    kept = queries.get_period_readings(service_point_id=point.pk)
    staff = client(user=customers.StaffRole.create(utility=utility).user, scope="usage:read")
    first, last = kept[0].starts_at.date(), kept[11].ends_at.date() + datetime.timedelta(days=2)
    first -= datetime.timedelta(days=1)
    last = min(last, first + datetime.timedelta(days=366))
    span = {"service_point": str(point.pk), "from": first.isoformat(), "to": last.isoformat()}
    inside = [row for row in kept if row.ends_at.date() < last]

    rows = list(csv.DictReader(io.StringIO(text_of(staff.get("/api/v1/usage/csv/", span)), newline="")))
    document = text_of(staff.get("/api/v1/usage/green-button/", span)).encode()

    assert len(rows) == len(inside) > 9
    assert [row["delivered_kWh"] for row in rows] == [f"{row.milli_units / 10**6:.6f}" for row in inside]
    for content in etree.fromstring(document).iter(f"{espi.ATOM}content"):
        for resource in content:
            espi.schema().assertValid(resource)
    other = customers.ServicePoint.create(premise__utility=utility)
    ingest_readings.ingest_green_button(
        stream=io.BytesIO(document), utility_id=utility.pk, service_point_id=other.pk, now=NOW
    )
    again = queries.get_period_readings(service_point_id=other.pk)
    assert [(row.starts_at, row.ends_at, row.milli_units) for row in again] == [
        (row.starts_at, row.ends_at, row.milli_units) for row in inside
    ]
    customers.MeterInstallation.create(service_point=point, multiplier=40)
    assert text_of(staff.get("/api/v1/usage/csv/", span)).count("\n") == 1


def test_customer_takes_only_their_own_days(
    agreement: customers_models.ServiceAgreement, holder: customers_models.User
) -> None:
    text = text_of(client(user=holder, scope="usage:read").get("/api/v1/usage/csv/", asked(agreement)))

    days = {line[:10] for line in text.splitlines()[1:]}
    assert sorted(days) == [f"2012-04-{day}" for day in range(10, 20)]


@pytest.mark.parametrize("address", ADDRESSES)
def test_callers_who_may_not(
    agreement: customers_models.ServiceAgreement, holder: customers_models.User, address: str
) -> None:
    query = asked(agreement)
    strangers = [customers.Customer.create().user, customers.StaffRole.create().user]

    assert test.APIClient().get(address, query).status_code == 401
    assert client(user=holder, scope="bills:read").get(address, query).status_code == 403
    for stranger in strangers:
        assert client(user=stranger, scope="usage:read").get(address, query).status_code == 404
    system = client(user=None, scope="usage:read", utility=agreement.account.utility)
    assert system.get(address, query).json()["code"] == "person_required"
    assert client(user=holder, scope="usage:read").get(address, query).status_code == 200


@pytest.mark.parametrize(
    ("address", "change", "status"),
    [
        *itertools.product(ADDRESSES, [{"to": "2012-04-01"}], [400]),
        *itertools.product(ADDRESSES, [{"to": "2013-05-01"}], [422]),
        *itertools.product(ADDRESSES, [{"service_point": "x"}], [400]),
        (ADDRESSES[0], {"align": "moon"}, 400),
    ],
)
def test_senseless_requests_are_refused(
    agreement: customers_models.ServiceAgreement, csr: test.APIClient, address: str, change: dict[str, str], status: int
) -> None:
    answer = csr.get(address, asked(agreement) | change)

    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"
