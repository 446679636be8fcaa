"""Weather beside usage, where a utility has set a source; none by default."""

import datetime
import pathlib
from typing import Any

import pytest
from django.core import management
from rest_framework import test

from customers import models as customers_models
from meters import models, tasks
from meters.usecases import fetch_weather
from openvpp import celery
from openvpp.core import errors, http
from tests.factories import customers
from tests.integration.meters.conftest import NOW, serve

TABLE = "date,mean_c\n2012-04-02,8\n2012-04-03,12.5\n2012-04-04,21\n"


@pytest.fixture
def agreement(transactional_db: None) -> customers_models.ServiceAgreement:
    return serve(account__utility__slug="harbor", starts_on=datetime.date(2012, 4, 1))


def shown(agreement: customers_models.ServiceAgreement, csr: test.APIClient, **asked: Any) -> dict[str, Any]:
    query: dict[str, Any] = {
        "service_point": agreement.service_point_id,
        "from": "2012-04-01",
        "to": "2012-05-01",
        "weather": "true",
    }
    answer = csr.get("/api/v1/usage/", query | asked)
    assert answer.status_code == 200, answer.json()
    body: dict[str, Any] = answer.json()
    return body


def test_none_by_default(agreement: customers_models.ServiceAgreement, csr: test.APIClient) -> None:
    body = shown(agreement, csr)

    assert body["weather_station"] is None
    assert {row["weather"] for row in body["results"]} == {None}
    assert "weather" not in shown(agreement, csr, weather="false")["results"][0]


def test_degree_days_stand_beside_days_and_months(
    agreement: customers_models.ServiceAgreement, csr: test.APIClient, tmp_path: pathlib.Path
) -> None:
    models.WeatherSource.objects.create(utility=agreement.account.utility, name="Harbor airport")
    file = tmp_path / "weather.csv"
    file.write_text(TABLE)
    management.call_command("take_weather", "--utility=harbor", f"--file={file}")
    management.call_command("take_weather", "--utility=harbor", f"--file={file}")

    days = shown(agreement, csr)
    (month,) = shown(agreement, csr, step="month")["results"]

    assert days["weather_station"] == "Harbor airport"
    assert [row["weather"] for row in days["results"][:3]] == [
        None,
        {"days": 1, "mean_c": "8", "heating_degree_days": "10", "cooling_degree_days": "0"},
        {"days": 1, "mean_c": "12.5", "heating_degree_days": "5.5", "cooling_degree_days": "0"},
    ]
    assert month["weather"] == {
        "days": 3,
        "mean_c": "13.833",
        "heating_degree_days": "15.5",
        "cooling_degree_days": "3",
    }


def test_the_source_is_fetched_and_a_broken_answer_stores_nothing(
    agreement: customers_models.ServiceAgreement, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.WeatherSource.objects.create(
        utility=agreement.account.utility, name="Harbor airport", url="https://weather.example/days.csv"
    )
    answers: list[Any] = [TABLE, "<html>", errors.Unreachable("weather.example answered 503.")]

    def get(*, url: str) -> str:
        assert url == "https://weather.example/days.csv"
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return str(found)

    monkeypatch.setattr(http, "get_from_stranger", get)
    management.call_command("take_weather", "--utility=harbor")
    assert models.WeatherDay.objects.count() == 3

    for words in ("names no date", "answered 503"):
        with pytest.raises(management.CommandError, match=words):
            management.call_command("take_weather", "--utility=harbor")
    assert models.WeatherDay.objects.count() == 3


def test_without_a_source_nothing_is_taken(agreement: customers_models.ServiceAgreement) -> None:
    with pytest.raises(management.CommandError, match="no source"):
        management.call_command("take_weather", "--utility=harbor")


def test_beat_asks_each_address_once_a_day_and_a_broken_one_again(
    agreement: customers_models.ServiceAgreement, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.WeatherSource.objects.create(
        utility=agreement.account.utility, name="Harbor airport", url="https://weather.example/days.csv"
    )
    broken = customers.Utility.create()
    models.WeatherSource.objects.create(utility=broken, name="Hill", url="https://broken.example/days.csv")
    models.WeatherSource.objects.create(utility=customers.Utility.create(), name="By file")
    asked: list[str] = []

    def get(*, url: str) -> str:
        asked.append(url)
        if "broken" in url:
            raise errors.Unreachable("broken.example answered 503.")
        return TABLE

    monkeypatch.setattr(http, "get_from_stranger", get)

    assert fetch_weather.fetch_due(now=NOW) == 1
    assert fetch_weather.fetch_due(now=NOW + datetime.timedelta(hours=1)) == 0
    assert fetch_weather.fetch_due(now=NOW + fetch_weather.EVERY) == 1
    assert [url.split(".")[0] for url in asked].count("https://weather") == 2
    assert len(asked) == 5
    assert models.WeatherDay.objects.count() == 3
    assert celery.app.conf.beat_schedule["fetch-weather"]["task"] == tasks.fetch_due_weather.name
