"""A customer with a month of readings, and a registered third party."""

import dataclasses
import datetime
import io
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from django import test

from customers import models as customers_models
from meters.domain import espi_xml, units, usage
from meters.usecases import ingest_readings
from sharing import models
from sharing.usecases import register_third_party
from tests.factories import customers
from tests.integration.oauth import flow

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
QUALITY = units.Quality.VALID
HISTORY = int(datetime.timedelta(days=400).total_seconds())
SCOPE = f"FB=1_3_4_5_13_37_39;IntervalDuration=3600;BlockDuration=monthly;HistoryLength={HISTORY}"
MOST = f"FB=1_3_4_5_8_13_37_39_51_53_54_57_58_60;IntervalDuration=900;BlockDuration=monthly;HistoryLength={HISTORY}"
REDIRECT_URI = "https://watt.example/callback"
NOTIFY_URI = "https://watt.example/notices"


@dataclasses.dataclass
class Watt:
    """A third party's backend: walks the customer's browser through consent, then fetches."""

    third_party: models.ThirdParty
    credentials: register_third_party.Credentials

    def app_for(self, user: Any) -> flow.MobileApp:
        return flow.MobileApp(
            application=self.third_party.application,
            user=user,
            redirect_uri=REDIRECT_URI,
            secret=self.credentials.client_secret,
            key=None,
        )

    def tokens_of(self, user: Any, scope: str = SCOPE) -> dict[str, Any]:
        return self.app_for(user).get_tokens(scope)

    def system_token(self) -> str:
        answer = test.Client().post(
            "/oauth/token/",
            {
                "grant_type": "client_credentials",
                "client_id": self.credentials.system_client_id,
                "client_secret": self.credentials.system_client_secret,
                "scope": "FB=41_44",
            },
        )
        assert answer.status_code == 200, answer.content
        return str(answer.json()["access_token"])


def path_of(uri: str) -> str:
    parts = urlsplit(uri)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def fetch(uri: str, token: str, **query: str) -> Any:
    return test.Client().get(path_of(uri), query, headers={"Authorization": f"Bearer {token}"})


def body_of(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def register(utility: customers_models.Utility, **changes: Any) -> Watt:
    asked: dict[str, Any] = {
        "utility_id": utility.pk,
        "name": "Watt Advisor",
        "redirect_uris": [REDIRECT_URI],
        "contact_email": "data@watt.example",
        "scope": MOST,
        "notify_uri": NOTIFY_URI,
        "now": datetime.datetime.now(datetime.UTC),
    } | changes
    credentials = register_third_party.register(**asked)
    return Watt(models.ThirdParty.objects.get(pk=credentials.third_party_id), credentials)


def feed(*, first: datetime.date, days: int, each_wh: int = 250, given_wh: int = 10) -> io.BytesIO:
    """Return a Green Button file of quarters of an hour in UTC days, in both directions."""
    begins = int(datetime.datetime.combine(first, datetime.time(), tzinfo=datetime.UTC).timestamp())
    starts = begins + 900 * np.arange(days * 96, dtype=np.int64)
    read = usage.Consumption(
        starts=starts,
        seconds=np.full(len(starts), 900, dtype=np.int64),
        delivered_milli_wh=np.full(len(starts), each_wh * 1000, dtype=np.int64),
        received_milli_wh=np.full(len(starts), given_wh * 1000, dtype=np.int64),
        qualities=np.full(len(starts), units.Quality.VALID, dtype=np.uint8),
    )

    def entry(href: str, content: str, *related: str) -> str:
        at = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        up = href.rpartition("/")[0]
        return espi_xml.Entry(
            href=href, up=up, title="", content=content, published=at, updated=at, related=related
        ).to_xml()

    text = espi_xml.open_feed(href="/feed", title="", updated=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
    text += entry("/UsagePoint/1", espi_xml.usage_point())
    for flow_, name in ((units.Flow.DELIVERED, "d"), (units.Flow.RECEIVED, "r")):
        text += entry(f"/ReadingType/{name}", espi_xml.reading_type(flow=flow_, quality=QUALITY, seconds=read.seconds))
        reading = f"/UsagePoint/1/MeterReading/{name}"
        text += entry(reading, espi_xml.meter_reading(), f"{reading}/IntervalBlock", f"/ReadingType/{name}")
        text += entry(f"{reading}/IntervalBlock/1", espi_xml.interval_block(read=read, flow=flow_, default=QUALITY))
    return io.BytesIO((text + espi_xml.CLOSE_FEED).encode())


def store(agreement: customers_models.ServiceAgreement, file: io.BytesIO, *, at: datetime.datetime) -> None:
    ingest_readings.ingest_green_button(
        stream=file, utility_id=agreement.account.utility_id, service_point_id=agreement.service_point_id, now=at
    )


@pytest.fixture(autouse=True)
def _secret(settings: Any) -> None:
    settings.PROVIDER_SECRET = "tests-only"


@pytest.fixture
def agreement(transactional_db: None) -> customers_models.ServiceAgreement:
    """Service for 50 days, with quarters of an hour of the last 70: the first 20 days are somebody else's."""
    today = NOW.date()
    made: customers_models.ServiceAgreement = customers.ServiceAgreement.create(starts_on=today - 50 * DAY)
    store(made, feed(first=today - 70 * DAY, days=69), at=NOW - 2 * DAY)
    return made


@pytest.fixture
def holder(agreement: customers_models.ServiceAgreement) -> customers_models.User:
    user = customers.AccountAccess.create(account=agreement.account, customer__name="Ada Quay").customer.user
    assert user is not None
    return user


@pytest.fixture
def watt(agreement: customers_models.ServiceAgreement) -> Watt:
    return register(agreement.account.utility)
