"""Green Button Connect My Data, from consent to the last kilowatt-hour, and its end."""

import datetime
import uuid
from typing import Any
from urllib.parse import urlsplit

import pytest
from django import test
from lxml import etree

from customers import models as customers_models
from meters import queries as meter_queries
from meters.adapters import espi as espi_reader
from sharing import models
from tests.factories import customers
from tests.integration.oauth import flow
from tests.integration.sharing.conftest import (
    DAY,
    HISTORY,
    MOST,
    NOW,
    SCOPE,
    Watt,
    body_of,
    feed,
    fetch,
    register,
    store,
)

FINE = f"FB=1_3_4_5_8;IntervalDuration=900;BlockDuration=daily;HistoryLength={HISTORY}"
PERSONAL = f"FB=1_3_4_5_51_53_54_57_58_60;IntervalDuration=3600;HistoryLength={HISTORY}"


def resources_in(document: bytes, name: str) -> list[Any]:
    return list(etree.fromstring(document).iter(f"{{http://naesb.org/espi}}{name}"))


def values_in(document: bytes) -> dict[int, int]:
    return {
        int(reading.findtext(f"{espi_reader.ESPI}timePeriod/{espi_reader.ESPI}start")): int(
            reading.findtext(f"{espi_reader.ESPI}value")
        )
        for reading in resources_in(document, "IntervalReading")
    }


def assert_valid(document: bytes) -> None:
    for content in etree.fromstring(document).iter(f"{espi_reader.ATOM}content"):
        for resource in content:
            espi_reader.schema().assertValid(resource)


def test_consent_says_what_with_whom_and_until_when(watt: Watt, holder: customers_models.User) -> None:
    page = watt.app_for(holder).open_consent(SCOPE).content.decode()

    assert "Share your data with Watt Advisor?" in page
    for words in (
        "every 60 minutes",
        "not shared",
        "nothing: not your name, not your bills",
        "or until you stop it",
        "Quay Street",
    ):
        assert words in page


def test_denied_consent_keeps_nothing(watt: Watt, holder: customers_models.User) -> None:
    app = watt.app_for(holder)

    answer = app.answer(app.open_consent(SCOPE), "deny")

    assert flow.parameters(answer)["error"] == "access_denied"
    assert models.Authorization.objects.count() == 0


def test_token_says_where_the_data_are(watt: Watt, holder: customers_models.User) -> None:
    tokens = watt.tokens_of(holder)

    authorization = models.Authorization.objects.get()
    assert tokens["resourceURI"].endswith(f"/espi/1_1/resource/Batch/Subscription/{authorization.pk}")
    assert tokens["authorizationURI"].endswith(f"/espi/1_1/resource/Authorization/{authorization.pk}")
    assert "customerResourceURI" not in tokens
    assert tokens["scope"] == f"{SCOPE};Authorization={authorization.pk}"
    assert (authorization.ended_at, authorization.is_live(now=datetime.datetime.now(datetime.UTC))) == (None, True)
    refreshed = watt.app_for(holder).refresh(tokens["refresh_token"]).json()
    assert refreshed["resourceURI"] == tokens["resourceURI"]
    assert fetch(refreshed["resourceURI"], refreshed["access_token"]).status_code == 200


def test_batch_is_valid_and_holds_exactly_what_was_agreed(
    watt: Watt, holder: customers_models.User, agreement: customers_models.ServiceAgreement
) -> None:
    tokens = watt.tokens_of(holder)

    answer = fetch(tokens["resourceURI"], tokens["access_token"])

    assert (answer.status_code, answer["Content-Type"]) == (200, "application/atom+xml")
    document = body_of(answer)
    assert_valid(document)
    readings = resources_in(document, "IntervalReading")
    assert {reading.findtext(f"{espi_reader.ESPI}timePeriod/{espi_reader.ESPI}duration") for reading in readings} == {
        "3600"
    }
    found = values_in(document)
    # Their own days only, and nothing that was given to the grid.
    zone = datetime.datetime.combine(agreement.starts_on, datetime.time(), tzinfo=_zone(agreement))
    assert min(found) == int(zone.timestamp())
    read = meter_queries.get_consumption(service_point_id=agreement.service_point_id, starts_at=zone, ends_at=NOW + DAY)
    assert sum(found.values()) == int(read.delivered_milli_wh.sum())
    assert set(found.values()) == {4 * 250_000}
    assert agreement.service_point.number.encode() not in document


def test_finer_scope_gives_quarters_days_and_what_was_given(watt: Watt, holder: customers_models.User) -> None:
    tokens = watt.tokens_of(holder, FINE)

    document = body_of(fetch(tokens["resourceURI"], tokens["access_token"]))

    assert_valid(document)
    flows = [kind.findtext(f"{espi_reader.ESPI}flowDirection") for kind in resources_in(document, "ReadingType")]
    assert flows == ["1", "19"]
    assert len(resources_in(document, "IntervalBlock")) == 2 * 49
    assert {int(r.findtext(f"{espi_reader.ESPI}value")) for r in resources_in(document, "IntervalReading")} == {
        250_000,
        10_000,
    }


def test_each_resource_stands_at_its_own_address(watt: Watt, holder: customers_models.User) -> None:
    tokens = watt.tokens_of(holder, FINE)
    token = tokens["access_token"]
    document = body_of(fetch(tokens["resourceURI"], token))
    addresses = [
        entry.find(f"{espi_reader.ATOM}link[@rel='self']").get("href")
        for entry in etree.fromstring(document).iter(f"{espi_reader.ATOM}entry")
    ]

    for address in [*addresses[:8], addresses[-1]]:
        answer = fetch(str(address), token)
        assert answer.status_code == 200, address
        alone = body_of(answer)
        assert_valid(alone)
        assert etree.fromstring(alone).find(f"{espi_reader.ATOM}link[@rel='self']").get("href") == address
    for collection in {str(address).rpartition("/")[0] for address in addresses[1:] if "Subscription" in str(address)}:
        answer = fetch(collection, token)
        assert answer.status_code == 200, collection
        assert_valid(body_of(answer))


def test_windows_choose_what_is_new(
    watt: Watt, holder: customers_models.User, agreement: customers_models.ServiceAgreement
) -> None:
    tokens = watt.tokens_of(holder, FINE)
    later = datetime.datetime.now(datetime.UTC)
    changed = NOW.date() - 10 * DAY
    store(agreement, feed(first=changed, days=1, each_wh=300), at=later)
    token, uri = tokens["access_token"], tokens["resourceURI"]
    since = {"updated-min": f"{later - datetime.timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"}

    updated = body_of(fetch(uri, token, **since))
    published = body_of(fetch(uri, token, **{"published-min": since["updated-min"]}))
    older = body_of(fetch(uri, token, **{"updated-max": since["updated-min"]}))

    # A day of UTC lies in two days of New York.
    assert len(resources_in(updated, "IntervalBlock")) == 2 * 2
    assert len(resources_in(published, "IntervalBlock")) == 0
    assert len(resources_in(older, "IntervalBlock")) == 2 * 47
    assert fetch(uri, token, **{"updated-min": "yesterday"}).status_code == 400


def test_history_is_bounded(watt: Watt, holder: customers_models.User) -> None:
    tokens = watt.tokens_of(holder, f"FB=4_5;IntervalDuration=3600;HistoryLength={10 * 86_400}")

    found = values_in(body_of(fetch(tokens["resourceURI"], tokens["access_token"])))

    assert min(found) >= int((NOW - 10 * DAY).timestamp()) - 60


def test_personal_data_only_where_granted(
    watt: Watt, holder: customers_models.User, agreement: customers_models.ServiceAgreement
) -> None:
    customers.MeterInstallation.create(service_point=agreement.service_point, serial="M-77")
    plain = watt.tokens_of(holder)
    refused = fetch(plain["resourceURI"].replace("Subscription", "RetailCustomer"), plain["access_token"])
    assert refused.status_code == 404

    page = watt.app_for(holder).open_consent(PERSONAL).content.decode()
    assert "the serial numbers of your meters" in page
    tokens = watt.tokens_of(holder, PERSONAL)
    document = body_of(fetch(tokens["customerResourceURI"], tokens["access_token"])).decode()

    for told in ("Ada Quay", agreement.account.number, agreement.service_point.premise.street, "M-77"):
        assert told in document


def test_what_was_not_registered_is_not_asked(watt: Watt, holder: customers_models.User) -> None:
    for scope in ("FB=4_5_7", "FB=4_5;IntervalDuration=300", f"FB=4_5;Authorization={uuid.uuid4()}", "usage:read"):
        answer = watt.app_for(holder).open_consent(scope)
        assert answer.status_code == 302, scope
        assert flow.parameters(answer)["error"] == "invalid_scope"


def test_who_holds_no_account_has_nothing_to_share(watt: Watt, agreement: customers_models.ServiceAgreement) -> None:
    viewer = customers.AccountAccess.create(
        account=agreement.account, role=customers_models.AccountAccess.Role.VIEWER
    ).customer.user
    csr = customers.StaffRole.create(utility=agreement.account.utility).user

    for person in (viewer, csr, customers.Customer.create().user):
        page = watt.app_for(person).open_consent(SCOPE)
        assert page.status_code == 409
        assert "nothing to share" in page.content.decode()


@pytest.mark.parametrize("how", ["page", "api", "delete", "token", "desk"])
def test_whoever_ends_it_ends_it_at_once(watt: Watt, holder: customers_models.User, how: str) -> None:
    tokens = watt.tokens_of(holder)
    authorization = models.Authorization.objects.get()
    token, uri = tokens["access_token"], tokens["resourceURI"]
    assert fetch(uri, token).status_code == 200

    if how == "page":
        browser = test.Client()
        browser.force_login(holder)
        assert "Stop sharing" in browser.get("/sharing/").content.decode()
        assert browser.post(f"/sharing/{authorization.pk}/stop/").status_code == 302
        assert "by the customer" in browser.get("/sharing/").content.decode()
    elif how == "api":
        assert _api(holder, "sharing:write").delete(f"/api/v1/data-sharing/{authorization.pk}/").status_code == 204
    elif how == "delete":
        headers = {"Authorization": f"Bearer {token}"}
        assert (
            test.Client().delete(f"/espi/1_1/resource/Authorization/{authorization.pk}", headers=headers).status_code
            == 204
        )
    elif how == "token":
        app = watt.app_for(None)
        body = {"client_id": app.application.client_id, "client_secret": app.secret, "token": tokens["refresh_token"]}
        assert test.Client().post("/oauth/revoke_token/", body).status_code == 200
    else:
        csr = customers.StaffRole.create(utility=authorization.third_party.utility).user
        browser = test.Client()
        browser.force_login(csr)
        answer = browser.post(
            "/admin/sharing/authorization/",
            {"action": "end_for_customer", "_selected_action": [str(authorization.pk)]},
        )
        assert answer.status_code == 302

    authorization.refresh_from_db()
    by = {"page": "customer", "api": "customer", "delete": "third_party", "token": "third_party", "desk": "utility"}
    assert authorization.ended_by == by[how]
    assert fetch(uri, token).status_code == 401
    assert watt.app_for(None).refresh(tokens["refresh_token"]).status_code == 400


def test_lost_account_shares_no_more(watt: Watt, holder: customers_models.User) -> None:
    tokens = watt.tokens_of(holder)
    customers_models.AccountAccess.objects.all().delete()

    document = body_of(fetch(tokens["resourceURI"], tokens["access_token"]))

    assert resources_in(document, "UsagePoint") == resources_in(document, "IntervalReading") == []


def test_another_third_party_another_customer_and_nobody(
    watt: Watt, holder: customers_models.User, agreement: customers_models.ServiceAgreement
) -> None:
    """Each resource, each wrong caller."""
    tokens = watt.tokens_of(holder, PERSONAL)
    other = register(agreement.account.utility, name="Other")
    theirs = other.tokens_of(holder)["access_token"]
    neighbour = customers.AccountAccess.create(
        account=customers.ServiceAgreement.create(account__utility=agreement.account.utility).account
    ).customer.user
    neighbours = watt.tokens_of(neighbour)["access_token"]
    elsewhere = register(customers.Utility.create(), name="Elsewhere").system_token()
    document = body_of(fetch(tokens["resourceURI"], tokens["access_token"]))
    addresses = [
        str(link.get("href"))
        for link in etree.fromstring(document).iter(f"{espi_reader.ATOM}link")
        if "LocalTimeParameters" not in str(link.get("href"))
    ]
    own = [tokens["resourceURI"], tokens["authorizationURI"], tokens["customerResourceURI"], *sorted(set(addresses))]
    own = [address for address in own if not address.endswith(("/ReadingType", "/resource"))]
    person = _api(holder, "usage:read")

    for address in own:
        assert fetch(address, tokens["access_token"]).status_code == 200, address
        assert test.Client().get(urlsplit(address).path).status_code == 401
        assert person.get(urlsplit(address).path).status_code == 403
        for stranger in (theirs, neighbours):
            assert fetch(address, stranger).status_code == 404, address
        assert fetch(address, elsewhere).status_code in {403, 404}, address


def test_system_token_sees_registration_status_and_authorizations(watt: Watt, holder: customers_models.User) -> None:
    tokens = watt.tokens_of(holder)
    system = watt.system_token()
    root = "/espi/1_1/resource"

    registration = body_of(fetch(f"{root}/ApplicationInformation/{watt.third_party.pk}", system))
    authorizations = body_of(fetch(f"{root}/Authorization", system))

    assert_valid(registration)
    assert MOST.encode() in registration
    assert watt.credentials.client_secret.encode() not in registration
    assert_valid(authorizations)
    assert resources_in(authorizations, "resourceURI")[0].text == tokens["resourceURI"]
    status = etree.fromstring(body_of(fetch(f"{root}/ReadServiceStatus", system)))
    espi_reader.schema().assertValid(status)
    assert fetch(f"{root}/LocalTimeParameters", system).status_code == 200
    assert fetch(f"{root}/ApplicationInformation/{watt.third_party.pk + 1}", system).status_code == 404
    assert fetch(tokens["resourceURI"], system).status_code == 403


def _api(user: customers_models.User, scope: str) -> Any:
    from tests.integration.meters.conftest import client  # noqa: PLC0415

    return client(user=user, scope=scope)


def _zone(agreement: customers_models.ServiceAgreement) -> Any:
    import zoneinfo  # noqa: PLC0415

    return zoneinfo.ZoneInfo(agreement.account.utility.time_zone)
