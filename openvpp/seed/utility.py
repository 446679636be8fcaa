"""The seeded utility: its terms, its tokens, its clients, and the accounts, premises and meters of its customers."""

import dataclasses
import datetime
from collections.abc import Mapping
from typing import Any

from django.conf import settings

from contracts import deployments
from contracts.bindings import words
from customers import models as customer_models
from customers import operations as customers
from openvpp.core import db
from openvpp.seed import run_file
from openvpp.seed.adapters import coins
from wallets import models as wallet_models

SLUG = "harbor"
TARIFF_CODE = "residential-tou"
OPENED_ON = datetime.date(2012, 1, 1)
PERSON_SCOPES = (
    "openid profile email account:read account:write usage:read bills:read wallet:read payments:write notices:read "
    "devices:read devices:write programs:read programs:write sharing:read sharing:write"
)
SYSTEM_SCOPES = "usage:write bills:write"
REDIRECT_URIS = ("com.openvpp.demo://callback", "http://127.0.0.1/callback")
UNCLAIMED_NUMBER = "HL-100003"
UNCLAIMED_PROOF = "48217"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """A customer's account, where they live, and the meter there."""

    key: str
    account_number: str
    street: str
    service_point: str
    meter_serial: str


HOMES = (
    Home(key="ada", account_number="HL-100001", street="12 Wharf Lane", service_point="01", meter_serial="HLM-440001"),
    Home(key="ben", account_number="HL-100002", street="7 Gull Street", service_point="02", meter_serial="HLM-440002"),
)


@db.transaction
def seed_utility(*, deployment: deployments.Deployment) -> customer_models.Utility:
    """Make the utility and say which tokens it takes; a chain that was set up anew brings new ones.

    Terms that two people change stay as they are.
    """
    utility: customer_models.Utility
    about = {
        "name": "Harbor Light & Power",
        "time_zone": "America/New_York",
        "currency": "USD",
        "territory": "Harbor Bay and the islands",
        "chain_id": deployment.chain_id,
    }
    utility, _ = customer_models.Utility.objects.update_or_create(
        slug=SLUG,
        defaults=about,
        create_defaults={
            **about,
            "treasury_address": words.checksummed(coins.treasury_address()),
            "default_fee_mode": customer_models.FeeMode.UTILITY,
        },
    )
    customers.accept_token(
        utility_id=utility.pk,
        address=words.checksummed(deployment.stablecoin),
        symbol="devUSD",
        decimals=coins.STABLECOIN_DECIMALS,
        pays_bills=True,
        pays_fees=True,
        fee_cap_units=10 * 10**coins.STABLECOIN_DECIMALS,
    )
    customers.accept_token(
        utility_id=utility.pk,
        address=words.checksummed(deployment.ovpp),
        symbol="OVPP",
        decimals=coins.OVPP_DECIMALS,
        pays_bills=False,
        pays_fees=True,
        fee_cap_units=200 * 10**coins.OVPP_DECIMALS,
    )
    return utility


@db.transaction
def seed_homes(*, utility: customer_models.Utility, emails: Mapping[str, str]) -> dict[str, customer_models.Customer]:
    """Open the customers' accounts and put meters at their homes, once; return the customers by key."""
    found: dict[str, customer_models.Customer] = {}
    for home in HOMES:
        user = customer_models.User.objects.get(email=emails[home.key])
        customer = customer_models.Customer.objects.filter(utility=utility, user=user).first()
        if customer is None:
            customer = customers.register_customer(
                utility_id=utility.pk, name=user.name, email=user.email, phone="+1 555 0100", user=user
            )
            account = customers.open_account(
                utility_id=utility.pk, number=home.account_number, opened_on=OPENED_ON, holder=customer
            )
            premise = customers.add_premise(
                utility_id=utility.pk, street=home.street, city="Harbor Bay", region="NY", postal_code="11901"
            )
            point = customers.add_service_point(premise=premise, number=home.service_point)
            customers.add_service(account=account, service_point=point, tariff_code=TARIFF_CODE, starts_on=OPENED_ON)
            customers.install_meter(service_point=point, serial=home.meter_serial, starts_on=OPENED_ON)
        found[home.key] = customer
    if not customer_models.CustomerAccount.objects.of_utility(utility.pk).filter(number=UNCLAIMED_NUMBER).exists():
        customers.open_account(
            utility_id=utility.pk, number=UNCLAIMED_NUMBER, opened_on=OPENED_ON, proof=UNCLAIMED_PROOF
        )
    return found


@db.transaction
def seed_clients(*, utility: customer_models.Utility, known: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Make the OAuth clients; a secret that is not known any more is replaced."""
    phone, _ = wallet_models.Application.objects.update_or_create(
        client_id="harbor-mobile",
        defaults={
            "name": "Harbor on your phone",
            "client_type": wallet_models.Application.CLIENT_PUBLIC,
            "authorization_grant_type": wallet_models.Application.GRANT_AUTHORIZATION_CODE,
            "redirect_uris": " ".join(REDIRECT_URIS),
            "client_secret": "",
            "algorithm": "ES256",
            "utility": utility,
            "allowed_scopes": PERSON_SCOPES,
        },
    )
    secret = str(known.get("head_end", {}).get("client_secret", ""))
    head_end = wallet_models.Application.objects.filter(client_id="harbor-head-end").first()
    if head_end is None or not secret:
        secret = run_file.fresh_password() + run_file.fresh_password()
        head_end, _ = wallet_models.Application.objects.update_or_create(
            client_id="harbor-head-end",
            defaults={
                "name": "Head-end and billing systems",
                "client_type": wallet_models.Application.CLIENT_CONFIDENTIAL,
                "authorization_grant_type": wallet_models.Application.GRANT_CLIENT_CREDENTIALS,
                "client_secret": secret,
                "hash_client_secret": True,
                "algorithm": "ES256",
                "utility": utility,
                "allowed_scopes": SYSTEM_SCOPES,
            },
        )
    base_url: str = settings.BASE_URL
    return {
        "issuer": {
            "authorization_endpoint": f"{base_url}/oauth/authorize/",
            "token_endpoint": f"{base_url}/oauth/token/",
            "metadata": f"{base_url}/.well-known/oauth-authorization-server",
        },
        "mobile": {
            "client_id": phone.client_id,
            "client_type": "public",
            "redirect_uri": REDIRECT_URIS[0],
            "redirect_uris": list(REDIRECT_URIS),
            "scopes": PERSON_SCOPES.split(),
        },
        "head_end": {
            "client_id": head_end.client_id,
            "client_type": "confidential",
            "client_secret": secret,
            "scopes": SYSTEM_SCOPES.split(),
        },
    }
