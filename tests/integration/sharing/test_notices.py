"""Third parties are told of new data, once for a burst, until they have heard it."""

import datetime
from typing import Any

import pytest
from lxml import etree

from customers import models as customers_models
from ders.domain import signature
from meters.adapters import espi as espi_reader
from openvpp.core import errors, http, jobs
from openvpp.core import models as core_models
from sharing import models
from sharing.adapters import third_party as adapter
from sharing.usecases import notify_third_parties
from tests.integration.sharing.conftest import DAY, NOTIFY_URI, NOW, Watt, feed, store


class Listener:
    """Stands where the third party's server would, behind the adapter's own HTTP."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, bytes, dict[str, str]]] = []
        self.error: Exception | None = None

    def __call__(self, *, url: str, content: bytes, headers: dict[str, str], may_be_private: bool) -> None:
        assert may_be_private is False
        self.heard.append((url, content, headers))
        if self.error is not None:
            raise self.error


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Listener:
    made = Listener()
    monkeypatch.setattr(http, "post_to_stranger", made)
    return made


def run(at: datetime.datetime) -> list[Any]:
    """Run what is due then; return the notices' jobs."""
    jobs.run_due(now=at)
    return list(core_models.Job.objects.filter(name="sharing.notify").order_by("pk"))


def test_new_readings_are_told_once_signed_and_where(
    watt: Watt, holder: customers_models.User, agreement: customers_models.ServiceAgreement, listener: Listener
) -> None:
    tokens = watt.tokens_of(holder)
    now = datetime.datetime.now(datetime.UTC)
    for day in (3, 4):
        store(
            agreement, feed(first=NOW.date() - day * DAY, days=1, each_wh=300), at=now - datetime.timedelta(minutes=5)
        )

    (job,) = run(now)

    assert job.finished_at is not None
    ((url, body, headers),) = listener.heard
    assert url == NOTIFY_URI
    document = etree.fromstring(body)
    espi_reader.schema().assertValid(document)
    assert [str(child.text) for child in document] == [tokens["resourceURI"]]
    secret = adapter.secret(third_party=watt.third_party)
    assert secret.hex() == watt.credentials.notice_secret
    said = signature.verify(
        secret=secret, body=body, header=headers[adapter.HEADER], now=datetime.datetime.now(datetime.UTC)
    )
    assert isinstance(said, signature.Genuine)
    notify_third_parties.notify(third_party_id=watt.third_party.pk, now=now)
    assert len(listener.heard) == 1


def test_the_same_readings_again_are_no_news(
    watt: Watt, holder: customers_models.User, agreement: customers_models.ServiceAgreement, listener: Listener
) -> None:
    watt.tokens_of(holder)

    store(agreement, feed(first=NOW.date() - 3 * DAY, days=1), at=NOW)

    assert run(datetime.datetime.now(datetime.UTC) + DAY) == []
    assert models.Authorization.objects.get().data_changed_at is None


def test_silence_is_tried_again_and_a_refusal_is_not(
    watt: Watt, holder: customers_models.User, agreement: customers_models.ServiceAgreement, listener: Listener
) -> None:
    watt.tokens_of(holder)
    now = datetime.datetime.now(datetime.UTC)
    store(agreement, feed(first=NOW.date() - 3 * DAY, days=1, each_wh=300), at=now - datetime.timedelta(minutes=5))

    listener.error = errors.Unreachable("watt.example answered 503.")
    (job,) = run(now)
    assert (job.finished_at, job.failed_at, job.attempts) == (None, None, 1)
    assert models.Authorization.objects.get().notified_at is None
    listener.error = errors.Refused("watt.example answered 404.")
    core_models.Job.objects.update(run_at=now)
    (job,) = run(now)

    assert job.failed_at is not None
    assert "404" in job.last_error
    assert len(listener.heard) == 2


@pytest.mark.parametrize("why", ["ended", "no address", "stopped application", "another point"])
def test_who_is_not_to_be_told_is_not(
    watt: Watt,
    holder: customers_models.User,
    agreement: customers_models.ServiceAgreement,
    listener: Listener,
    why: str,
) -> None:
    watt.tokens_of(holder)
    now = datetime.datetime.now(datetime.UTC)
    if why == "ended":
        models.Authorization.objects.update(ended_at=now, ended_by="customer")
    elif why == "no address":
        models.ThirdParty.objects.update(notify_uri="")
    elif why == "stopped application":
        type(watt.third_party.application).objects.update(is_active=False)
    else:
        models.AuthorizedPoint.objects.all().delete()

    store(agreement, feed(first=NOW.date() - 3 * DAY, days=1, each_wh=300), at=now - datetime.timedelta(minutes=5))

    run(now)
    assert listener.heard == []


def test_private_addresses_are_refused_where_they_are_resolved(
    watt: Watt, holder: customers_models.User, agreement: customers_models.ServiceAgreement
) -> None:
    """Registered with any name, it is checked when it is written to."""
    watt.tokens_of(holder)
    models.ThirdParty.objects.update(notify_uri="https://localhost/notices")
    now = datetime.datetime.now(datetime.UTC)
    store(agreement, feed(first=NOW.date() - 3 * DAY, days=1, each_wh=300), at=now - datetime.timedelta(minutes=5))

    (job,) = run(now)

    assert job.failed_at is not None
    assert "not a public address" in job.last_error
