"""Addresses and XML of what Green Button Connect My Data adds to usage: registration, leave, status, notices."""

import dataclasses
import datetime
import uuid
from collections.abc import Sequence
from xml.sax import saxutils

from meters.domain import espi_xml

ROOT = "/espi/1_1/resource"
MEDIA_TYPE = espi_xml.MEDIA_TYPE
_CUSTOMER = 'xmlns="http://naesb.org/espi/customer"'
_LIVE, _ON_HOLD, _PRODUCTION = 2, 3, 3
_REVOKED, _ACTIVE = 0, 1


def batch_href(*, base: str, authorization_id: uuid.UUID) -> str:
    """Return where everything of an authorization is fetched at once: ESPI's resourceURI."""
    return f"{base}{ROOT}/Batch/Subscription/{authorization_id}"


def authorization_href(*, base: str, authorization_id: uuid.UUID) -> str:
    """Return where an authorization says what it is: ESPI's authorizationURI."""
    return f"{base}{ROOT}/Authorization/{authorization_id}"


def customer_href(*, base: str, authorization_id: uuid.UUID) -> str:
    """Return where personal data are, if they were granted: ESPI's customerResourceURI."""
    return f"{base}{ROOT}/Batch/RetailCustomer/{authorization_id}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What a third party is told about its own registration. Secrets are told once, elsewhere."""

    custodian: str
    base: str
    href: str
    client_id: str
    name: str
    description: str
    website: str
    contact: str
    notify_uri: str
    redirect_uris: Sequence[str]
    scope: str
    registered_at: datetime.datetime
    is_active: bool


def application_information(registration: Registration, /) -> str:
    """Return ApplicationInformation; the elements that hold secrets are empty."""
    base = registration.base
    return espi_xml.element(
        "ApplicationInformation",
        [
            ("dataCustodianId", registration.custodian[:64]),
            ("dataCustodianApplicationStatus", _LIVE if registration.is_active else _ON_HOLD),
            ("thirdPartyApplicationDescription", registration.description or None),
            ("thirdPartyApplicationStatus", _PRODUCTION),
            ("thirdPartyApplicationType", 1),
            ("authorizationServerUri", base),
            ("thirdPartyNotifyUri", registration.notify_uri),
            ("authorizationServerAuthorizationEndpoint", f"{base}/oauth/authorize/"),
            ("authorizationServerTokenEndpoint", f"{base}/oauth/token/"),
            ("dataCustodianBulkRequestURI", f"{base}{ROOT}/Authorization"),
            ("dataCustodianResourceEndpoint", f"{base}{ROOT}"),
            ("client_secret", ""),
            ("client_name", registration.name),
            ("client_uri", registration.website or None),
            *(("redirect_uri", uri) for uri in registration.redirect_uris),
            ("client_id", registration.client_id),
            ("software_id", registration.name),
            ("software_version", "1"),
            ("client_id_issued_at", int(registration.registered_at.timestamp())),
            ("client_secret_expires_at", 0),
            ("contacts", registration.contact),
            ("token_endpoint_auth_method", "client_secret_basic"),
            ("scope", registration.scope),
            ("grant_types", "authorization_code"),
            ("grant_types", "refresh_token"),
            ("grant_types", "client_credentials"),
            ("response_types", "code"),
            ("registration_client_uri", registration.href),
            ("registration_access_token", ""),
        ],
    )


def authorization(
    *,
    base: str,
    authorization_id: uuid.UUID,
    period: tuple[datetime.datetime, datetime.datetime],
    history_starts_at: datetime.datetime,
    scope: str,
    is_live: bool,
    shares_customer: bool,
) -> str:
    """Return Authorization: from when to when, and from which day on data are told."""

    def interval(name: str, start: datetime.datetime, end: datetime.datetime) -> str:
        seconds = int((end - start).total_seconds())
        return f"<{name}><duration>{seconds}</duration><start>{int(start.timestamp())}</start></{name}>"

    rest = espi_xml.element(
        "Authorization",
        [
            ("status", _ACTIVE if is_live else _REVOKED),
            ("expires_at", int(period[1].timestamp())),
            ("grant_type", "authorization_code"),
            ("scope", scope),
            ("token_type", "Bearer"),
            ("resourceURI", batch_href(base=base, authorization_id=authorization_id)),
            ("authorizationURI", authorization_href(base=base, authorization_id=authorization_id)),
            (
                "customerResourceURI",
                customer_href(base=base, authorization_id=authorization_id) if shares_customer else None,
            ),
        ],
    )
    opening, body = rest.split(">", 1)
    return (
        f"{opening}>{interval('authorizedPeriod', *period)}"
        f"{interval('publishedPeriod', history_starts_at, period[1])}{body}"
    )


def service_status() -> str:
    """Return ServiceStatus: normal, or nobody could have read it."""
    return espi_xml.XML + espi_xml.element("ServiceStatus", [("currentStatus", 1)])


def batch_list(*, hrefs: Sequence[str]) -> str:
    """Return the BatchList of a notice: where new data are."""
    return espi_xml.XML + espi_xml.element("BatchList", [("resources", href) for href in hrefs])


def customer(*, name: str) -> str:
    """Return a Customer by name."""
    return _person("Customer", f"<customerName>{saxutils.escape(name)}</customerName>")


def customer_account(*, number: str) -> str:
    """Return a CustomerAccount by number."""
    return _person("CustomerAccount", f"<accountId>{saxutils.escape(number)}</accountId>")


def customer_agreement(*, tariff_code: str) -> str:
    """Return a CustomerAgreement by its tariff."""
    return _person("CustomerAgreement", f"<agreementId>{saxutils.escape(tariff_code)}</agreementId>")


def service_location(*, street: str, city: str, region: str, country: str, postal_code: str, point_href: str) -> str:
    """Return a ServiceLocation: its address, and which usage point serves it."""
    words = {name: saxutils.escape(text) for name, text in locals().items()}
    return _person(
        "ServiceLocation",
        f"<mainAddress><streetDetail><addressGeneral>{words['street']}</addressGeneral></streetDetail>"
        f"<townDetail><name>{words['city']}</name><stateOrProvince>{words['region']}</stateOrProvince>"
        f"<country>{words['country']}</country></townDetail><postalCode>{words['postal_code']}</postalCode>"
        f"</mainAddress><UsagePoints><UsagePoint>{words['point_href']}</UsagePoint></UsagePoints>",
    )


def meter(*, serial: str) -> str:
    """Return a Meter by its serial number."""
    return _person("Meter", f"<serialNumber>{saxutils.escape(serial)}</serialNumber>")


def _person(name: str, inner: str) -> str:
    return f"<{name} {_CUSTOMER}>{inner}</{name}>"
