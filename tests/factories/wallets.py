"""Wallets, applications and the grants to spend, as small as they may be."""

# mypy: disable-error-code="attr-defined,no-untyped-call"

import datetime
import secrets

import factory
from django.utils import timezone
from factory import django as factory_django

from custody import models as custody_models
from tests.factories import customers
from wallets import models

REDIRECT_URI = "com.openvpp.demo://callback"
ALL_USER_SCOPES = (
    "openid profile email account:read account:write usage:read bills:read wallet:read payments:write "
    "notices:read devices:read devices:write programs:read programs:write"
)


class SealedKey(factory_django.DjangoModelFactory[custody_models.SealedKey]):
    """The row of a key that nobody can open."""

    class Meta:
        model = custody_models.SealedKey

    purpose = custody_models.SealedKey.Purpose.WALLET_OWNER
    subject = factory.Sequence(lambda n: f"key:{n}")
    address = factory.LazyFunction(customers.address)
    key_encryption_key_id = "tests"
    created_at = factory.LazyFunction(timezone.now)


class Wallet(factory_django.DjangoModelFactory[models.Wallet]):
    """A customer's wallet at their utility."""

    class Meta:
        model = models.Wallet

    customer = factory.SubFactory(customers.Customer)
    utility = factory.SelfAttribute("customer.utility")
    chain_id = 31337
    owner_key = factory.SubFactory(SealedKey)
    salt = factory.LazyFunction(lambda: "0x" + secrets.token_hex(32))
    address = factory.LazyFunction(customers.address)
    created_at = factory.LazyFunction(timezone.now)


class Application(factory_django.DjangoModelFactory[models.Application]):
    """A utility's public mobile app."""

    class Meta:
        model = models.Application

    name = "Harbor mobile app"
    client_id = factory.Sequence(lambda n: f"mobile-{n}")
    client_type = "public"
    client_secret = ""
    authorization_grant_type = "authorization-code"
    redirect_uris = f"{REDIRECT_URI} http://127.0.0.1/callback"
    utility = factory.SubFactory(customers.Utility)
    allowed_scopes = ALL_USER_SCOPES


class ConfidentialApplication(Application):
    """A utility's web app that keeps a secret, `very secret`."""

    client_id = factory.Sequence(lambda n: f"web-{n}")
    client_type = "confidential"
    client_secret = "very secret"
    redirect_uris = "https://app.example.com/callback"


class SystemApplication(Application):
    """A utility's system: client credentials, `very secret`."""

    client_id = factory.Sequence(lambda n: f"system-{n}")
    client_type = "confidential"
    client_secret = "very secret"
    authorization_grant_type = "client-credentials"
    redirect_uris = ""
    allowed_scopes = "usage:write bills:write"


class SessionKeyGrant(factory_django.DjangoModelFactory[models.SessionKeyGrant]):
    """A live grant: at most 500 a payment, 1,000 a period and 6,000 in all, of a token with six decimals."""

    class Meta:
        model = models.SessionKeyGrant

    wallet = factory.SubFactory(Wallet)
    user = factory.SelfAttribute("wallet.customer.user")
    application = factory.SubFactory(Application, utility=factory.SelfAttribute("..wallet.utility"))
    key = factory.SubFactory(SealedKey, purpose=custody_models.SealedKey.Purpose.SESSION)
    payee = factory.SelfAttribute("wallet.utility.treasury_address")
    payee_name = factory.SelfAttribute("wallet.utility.name")
    token = factory.LazyFunction(customers.address)
    limit_per_payment_units = 500_000_000
    limit_per_period_units = 1_000_000_000
    period_seconds = 2_592_000
    limit_total_units = 6_000_000_000
    fee_cap_units = 1_000_000
    starts_at = factory.LazyFunction(lambda: timezone.now().replace(microsecond=0))
    ends_at = factory.LazyAttribute(lambda grant: grant.starts_at + datetime.timedelta(days=180))
    policy_hash = factory.LazyFunction(lambda: "0x" + secrets.token_hex(32))
    consent_digest = factory.LazyFunction(lambda: "0x" + secrets.token_hex(32))
    owner_leave = b"signed"
    shown_text = "Who pays: the app, for you"
    period_started_at = factory.SelfAttribute("starts_at")
    created_at = factory.SelfAttribute("starts_at")


class AccessToken(factory_django.DjangoModelFactory[models.AccessToken]):
    """A token for an hour; what is presented is in `token` when it is made."""

    class Meta:
        model = models.AccessToken

    application = factory.SubFactory(Application)
    user = factory.SubFactory(customers.User)
    token = factory.LazyFunction(secrets.token_urlsafe)
    expires = factory.LazyFunction(lambda: timezone.now() + datetime.timedelta(hours=1))
    scope = ALL_USER_SCOPES


def bearer(*, token: models.AccessToken) -> dict[str, str]:
    """Return the headers of a request with a token."""
    return {"Authorization": f"Bearer {token.token}"}
