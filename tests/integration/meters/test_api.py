"""Usage and imports over HTTP, each with four callers."""

import pathlib
from typing import Any

import pytest
from django.core.files import uploadedfile
from rest_framework import test

from customers import models as customers_models
from meters import models
from meters.templatetags import usage_plot
from tests.factories import customers
from tests.integration.meters.conftest import SAMPLES, client

QUARTER_HOURS = SAMPLES / "gb_openespi_15minLP_15Days.xml"


def asked(agreement: customers_models.ServiceAgreement, **extra: object) -> dict[str, Any]:
    return {"service_point": agreement.service_point_id, "from": "2012-04-01", "to": "2012-05-01"} | extra


def test_customer_sees_the_days_of_their_own_service_only(
    agreement: customers_models.ServiceAgreement, holder: customers_models.User
) -> None:
    answer = client(user=holder, scope="usage:read").get("/api/v1/usage/", asked(agreement, step="day"))

    assert answer.status_code == 200
    body = answer.json()
    assert body["time_zone"] == "America/New_York"
    assert [row["starts_at"][:10] for row in body["results"]] == [f"2012-04-{day}" for day in range(10, 20)]
    assert body["results"][0] == {
        "starts_at": "2012-04-10T00:00:00-04:00",
        "ends_at": "2012-04-11T00:00:00-04:00",
        "delivered_kwh": body["results"][0]["delivered_kwh"],
        "received_kwh": "0",
        "quality": "valid",
        "missing": 0,
        "estimated": 0,
    }


def test_csr_of_the_utility_sees_the_whole_month_exactly(agreement: customers_models.ServiceAgreement) -> None:
    staff = customers.StaffRole.create(utility=agreement.account.utility).user

    answer = client(user=staff, scope="usage:read").get("/api/v1/usage/", asked(agreement, step="month"))

    (month,) = answer.json()["results"]
    assert month["delivered_kwh"] == "2215.348"
    assert (month["starts_at"], month["ends_at"]) == ("2012-04-01T00:00:00-04:00", "2012-05-01T00:00:00-04:00")


def test_pages_join_to_all_intervals(agreement: customers_models.ServiceAgreement) -> None:
    staff = customers.StaffRole.create(utility=agreement.account.utility).user
    caller = client(user=staff, scope="usage:read")
    url: str | None = "/api/v1/usage/"
    query: dict[str, Any] | None = asked(agreement, step="interval", page_size=500)
    starts: list[str] = []

    while url:
        body = caller.get(url, query).json()
        starts += [row["starts_at"] for row in body["results"]]
        url, query = body["next"], None

    assert len(starts) == len(set(starts)) == 720
    assert starts == sorted(starts)


def test_nobody_gets_401(agreement: customers_models.ServiceAgreement) -> None:
    assert test.APIClient().get("/api/v1/usage/", asked(agreement)).status_code == 401


def test_wrong_scope_gets_403(agreement: customers_models.ServiceAgreement, holder: customers_models.User) -> None:
    answer = client(user=holder, scope="bills:read").get("/api/v1/usage/", asked(agreement))

    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")


@pytest.mark.parametrize("make", [customers.Customer, customers.StaffRole])
def test_another_customer_or_staff_of_another_utility_gets_404(
    agreement: customers_models.ServiceAgreement, make: type
) -> None:
    stranger = make.create().user  # type: ignore[attr-defined]

    answer = client(user=stranger, scope="usage:read").get("/api/v1/usage/", asked(agreement))

    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"from": "2012-05-01"}, 400),
        ({"from": "yesterday"}, 400),
        ({"to": "9999-12-31"}, 400),
        ({"step": "week"}, 400),
        ({"unit": "MW"}, 400),
        ({"to": "2020-01-01"}, 422),
        ({"cursor": "%%%"}, 422),
        ({"page_size": 100_000}, 400),
    ],
)
def test_senseless_spans_are_refused(
    agreement: customers_models.ServiceAgreement, holder: customers_models.User, change: dict[str, Any], status: int
) -> None:
    answer = client(user=holder, scope="usage:read").get("/api/v1/usage/", asked(agreement) | change)

    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"


def upload(caller: test.APIClient, path: pathlib.Path, **fields: str) -> Any:
    file = uploadedfile.SimpleUploadedFile(path.name, path.read_bytes(), "application/xml")
    return caller.post("/api/v1/meter-imports/", {"file": file, **fields}, format="multipart")


def test_system_of_the_utility_imports_a_file(agreement: customers_models.ServiceAgreement) -> None:
    system = client(user=None, scope="usage:write", utility=agreement.account.utility)

    answer = upload(system, QUARTER_HOURS, service_point=agreement.service_point.number)

    assert answer.status_code == 201, answer.json()
    assert (answer.json()["intervals"], answer.json()["days_added"]) == (1340, 14)
    again = upload(system, QUARTER_HOURS, service_point=agreement.service_point.number)
    assert again.json()["id"] == answer.json()["id"]


def test_import_refuses_others_with_nothing_stored(
    agreement: customers_models.ServiceAgreement, holder: customers_models.User
) -> None:
    number = agreement.service_point.number
    before = models.MeterDay.objects.count()

    refused = [
        upload(test.APIClient(), QUARTER_HOURS, service_point=number),
        upload(client(user=None, scope="bills:write", utility=agreement.account.utility), QUARTER_HOURS),
        upload(client(user=holder, scope="usage:write"), QUARTER_HOURS, service_point=number),
        upload(
            client(user=None, scope="usage:write", utility=customers.Utility.create()),
            QUARTER_HOURS,
            service_point=number,
        ),
        upload(
            client(user=None, scope="usage:write", utility=agreement.account.utility),
            SAMPLES / "gb_openespi_BAD_template.xml",
            service_point=number,
        ),
    ]

    assert [answer.status_code for answer in refused] == [401, 403, 403, 404, 422]
    assert refused[-1].json()["code"] == "green_button_not_a_feed"
    assert "line 53" in refused[-1].json()["detail"]
    assert models.MeterDay.objects.count() == before


def test_plot_names_unit_and_zone(agreement: customers_models.ServiceAgreement) -> None:
    svg = str(usage_plot.usage_plot(agreement.service_point_id))

    assert svg.startswith("<svg")
    assert "kWh a day" in svg
    assert "days of America/New_York" in svg
    assert "Daily usage from 2 April 2012 to 2 May 2012" in svg
    assert svg.count("<rect") == 31
    assert "No meter readings yet" in str(usage_plot.usage_plot(customers.ServicePoint.create().pk))
