"""What a person is asked on the consent page, frozen before it is shown.

A consent is kept in the session, on this server. The page carries its id alone, so that what is allowed is what was
shown. Other limits make another consent, which is shown again before it can be allowed.
"""

import dataclasses
import datetime
import decimal
import math
import uuid
from collections.abc import Mapping
from typing import Any, Self

from django import http
from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from customers import models as customer_models
from customers import queries as customer_queries
from openvpp.core import errors, money
from wallets import models
from wallets.domain import terms as grant_terms
from wallets.oauth import scopes as oauth_scopes

SESSION_KEY = "oauth_consents"
LIFETIME = datetime.timedelta(minutes=10)
MOST_AT_ONCE = 5
# A block may be stamped earlier than our clock reads; a grant that starts now could not pay in it.
BLOCK_TIME_LAG = datetime.timedelta(minutes=1)
CENTS = decimal.Decimal(100)

SCOPE_WORDS = {
    "profile": gettext_lazy("See your name"),
    "email": gettext_lazy("See your e-mail address"),
    "account:read": gettext_lazy("See your accounts and addresses"),
    "account:write": gettext_lazy("Link an account to you"),
    "usage:read": gettext_lazy("See how much energy you use"),
    "bills:read": gettext_lazy("See your bills"),
    "wallet:read": gettext_lazy("See your balances and activity"),
    "payments:write": gettext_lazy("Pay your bills, within the limits above"),
    "notices:read": gettext_lazy("Read your notices"),
    "devices:read": gettext_lazy("See your devices"),
    "devices:write": gettext_lazy("Add and remove your devices"),
    "programs:read": gettext_lazy("See programs and your part in them"),
    "programs:write": gettext_lazy("Join and leave programs for you"),
}


class UnableToAskForConsent(errors.UnableTo):
    """There is no wallet to spend from, or no token to pay with."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a person allows, in cents of the utility's currency, and for how many days."""

    payment_cents: int
    period_cents: int
    total_cents: int
    days: int

    @classmethod
    def offered_by(cls, utility: customer_models.Utility) -> Self:
        """Return what a utility proposes first."""
        return cls(
            payment_cents=utility.default_payment_limit_cents,
            period_cents=utility.default_period_limit_cents,
            total_cents=utility.default_period_limit_cents * periods_in(days=utility.default_grant_days),
            days=utility.default_grant_days,
        )

    @classmethod
    def highest_of(cls, utility: customer_models.Utility) -> Self:
        """Return how far a person may go."""
        return cls(
            payment_cents=utility.max_payment_limit_cents,
            period_cents=utility.max_period_limit_cents,
            total_cents=utility.max_period_limit_cents * periods_in(days=utility.max_grant_days),
            days=utility.max_grant_days,
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """One question to one person. `terms`, `wallet_id` and `limits` are None when nothing may be spent."""

    id: uuid.UUID
    user_id: int
    application_id: int
    credentials: Mapping[str, Any]
    scopes: tuple[str, ...]
    asked_at: datetime.datetime
    return_path: str
    wallet_id: uuid.UUID | None = None
    limits: Limits | None = None
    terms: grant_terms.GrantTerms | None = None
    rows: tuple[tuple[str, str], ...] = ()

    def is_open(self, *, user: customer_models.User, now: datetime.datetime) -> bool:
        """Say whether this person may still answer."""
        return self.user_id == user.pk and now - self.asked_at < LIFETIME

    def to_json(self) -> dict[str, Any]:
        return {
            "id": str(self.id),
            "user_id": self.user_id,
            "application_id": self.application_id,
            "credentials": dict(self.credentials),
            "scopes": list(self.scopes),
            "asked_at": self.asked_at.isoformat(),
            "return_path": self.return_path,
            "wallet_id": str(self.wallet_id) if self.wallet_id else None,
            "limits": dataclasses.asdict(self.limits) if self.limits else None,
            "terms": self.terms.to_json() if self.terms else None,
            "rows": [list(row) for row in self.rows],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        return cls(
            id=uuid.UUID(value["id"]),
            user_id=value["user_id"],
            application_id=value["application_id"],
            credentials=value["credentials"],
            scopes=tuple(value["scopes"]),
            asked_at=datetime.datetime.fromisoformat(value["asked_at"]),
            return_path=value["return_path"],
            wallet_id=uuid.UUID(value["wallet_id"]) if value["wallet_id"] else None,
            limits=Limits(**value["limits"]) if value["limits"] else None,
            terms=grant_terms.GrantTerms.from_json(value["terms"]) if value["terms"] else None,
            rows=tuple((label, text) for label, text in value["rows"]),
        )


def ask(
    *,
    user: customer_models.User,
    application: models.Application,
    credentials: Mapping[str, Any],
    scopes: list[str],
    return_path: str,
    now: datetime.datetime,
    limits: Limits | None = None,
) -> Consent:
    """Freeze a question; without `limits` the utility's own proposal is asked.

    :raises UnableToAskForConsent: the person has no wallet at the application's utility, or it takes no token.
    """
    consent = Consent(
        id=uuid.uuid4(),
        user_id=user.pk,
        application_id=application.pk,
        credentials=credentials,
        scopes=tuple(scopes),
        asked_at=now,
        return_path=return_path,
    )
    if oauth_scopes.SPENDING_SCOPE not in scopes:
        return consent
    wallet = models.Wallet.objects.for_customer(user).filter(utility=application.utility_id).first()
    if application.utility is None or wallet is None:
        raise UnableToAskForConsent(
            _("You have no wallet here yet. Link your account in the app first, then come back."), code="no_wallet"
        )
    chosen = limits or Limits.offered_by(application.utility)
    return _with_terms(consent=consent, application=application, wallet=wallet, limits=chosen)


def remember(*, request: http.HttpRequest, consent: Consent, instead_of: Consent | None = None) -> None:
    """Keep a consent in the person's session, the oldest making room."""
    kept: dict[str, Any] = request.session.get(SESSION_KEY, {})
    if instead_of is not None:
        kept.pop(str(instead_of.id), None)
    kept[str(consent.id)] = consent.to_json()
    request.session[SESSION_KEY] = dict(list(kept.items())[-MOST_AT_ONCE:])


def recall(*, request: http.HttpRequest, consent_id: str) -> Consent | None:
    """Return a consent of this session, or None."""
    value = request.session.get(SESSION_KEY, {}).get(consent_id)
    return Consent.from_json(value) if value else None


def forget(*, request: http.HttpRequest, consent: Consent) -> None:
    """Take an answered consent out of the session."""
    kept: dict[str, Any] = request.session.get(SESSION_KEY, {})
    kept.pop(str(consent.id), None)
    request.session[SESSION_KEY] = kept


def periods_in(*, days: int) -> int:
    """Return how many periods, the last one perhaps not whole, a grant of so many days touches."""
    return math.ceil(days / grant_terms.PERIOD.days)


def in_currency(*, cents: int, currency: str) -> str:
    """Return an amount of money as the reader writes it."""
    number = formats.number_format(decimal.Decimal(cents) / CENTS, 2, use_l10n=True, force_grouping=True)
    return f"${number}" if currency == "USD" else f"{number} {currency}"


def _with_terms(*, consent: Consent, application: models.Application, wallet: models.Wallet, limits: Limits) -> Consent:
    utility = application.utility
    if utility is None:
        raise UnableToAskForConsent(_("This app does not belong to a utility."), code="no_utility")
    tokens = customer_queries.get_bill_tokens(utility_id=utility.pk)
    if not tokens:
        raise UnableToAskForConsent(_("Your utility does not take payments here yet."), code="no_token")
    token = tokens[0]
    fee_token = _fee_token(utility=utility, bill_token=token)
    starts_at = consent.asked_at.replace(microsecond=0) - BLOCK_TIME_LAG
    fee_cap = token.fee_cap_units if token.pays_fees and utility.offers_fee_in_stablecoin else 0
    unsigned = {
        "payee": str(utility.treasury_address),
        "payee_name": utility.name,
        "token": str(token.address),
        "fee_token": str(fee_token.address) if fee_token else None,
        "limit_per_payment_units": _units(cents=limits.payment_cents, token=token),
        "limit_per_period_units": _units(cents=limits.period_cents, token=token),
        "period_seconds": int(grant_terms.PERIOD.total_seconds()),
        "limit_total_units": _units(cents=limits.total_cents, token=token),
        "fee_cap_units": fee_cap,
        "fee_token_cap_units": fee_token.fee_cap_units if fee_token else 0,
        "starts_at": starts_at,
        "ends_at": starts_at + datetime.timedelta(days=limits.days),
    }
    rows = _rows(
        application=application, wallet=wallet, token=token, fee_token=fee_token, limits=limits, asked=unsigned
    )
    shown = "\n".join(f"{label}: {text}" for label, text in rows)
    return dataclasses.replace(
        consent,
        wallet_id=wallet.pk,
        limits=limits,
        terms=grant_terms.GrantTerms(**unsigned, shown_text=shown),
        rows=rows,
    )


def _fee_token(
    *, utility: customer_models.Utility, bill_token: customer_models.AcceptedToken
) -> customer_models.AcceptedToken | None:
    if not utility.offers_fee_in_ovpp:
        return None
    others = [t for t in customer_queries.get_fee_tokens(utility_id=utility.pk) if t.address != bill_token.address]
    return others[0] if others else None


def _rows(
    *,
    application: models.Application,
    wallet: models.Wallet,
    token: customer_models.AcceptedToken,
    fee_token: customer_models.AcceptedToken | None,
    limits: Limits,
    asked: Mapping[str, Any],
) -> tuple[tuple[str, str], ...]:
    utility = wallet.utility
    currency = utility.currency
    ends_on = formats.date_format(asked["ends_at"], "DATE_FORMAT")
    payee = str(asked["payee"])
    return (
        (_("Who pays"), _("%(app)s, for you") % {"app": application.name}),
        (_("From"), _("Your wallet %(address)s") % {"address": short(str(wallet.address))}),
        (_("To"), _("%(name)s only (%(address)s)") % {"name": asked["payee_name"], "address": short(payee)}),
        (
            _("Each payment"),
            _("at most %(amount)s") % {"amount": in_currency(cents=limits.payment_cents, currency=currency)},
        ),
        (
            _("Every 30 days"),
            _("at most %(amount)s") % {"amount": in_currency(cents=limits.period_cents, currency=currency)},
        ),
        (_("In total"), _("at most %(amount)s") % {"amount": in_currency(cents=limits.total_cents, currency=currency)}),
        (_("Until"), _("%(day)s, or until you stop it") % {"day": ends_on}),
        (_("Paid in"), _("%(token)s, one for each %(currency)s") % {"token": token.symbol, "currency": currency}),
        (
            _("Network fee"),
            _fee_words(utility=utility, token=token, fee_token=fee_token, fee_cap=asked["fee_cap_units"]),
        ),
    )


def _fee_words(
    *,
    utility: customer_models.Utility,
    token: customer_models.AcceptedToken,
    fee_token: customer_models.AcceptedToken | None,
    fee_cap: int,
) -> str:
    caps = []
    if fee_cap:
        caps.append(_in_token(units=fee_cap, token=token))
    if fee_token is not None and fee_token.fee_cap_units:
        caps.append(_in_token(units=fee_token.fee_cap_units, token=fee_token))
    most = _(" or ").join(caps)
    if not caps:
        return _("%(utility)s pays it") % {"utility": utility.name}
    if utility.absorbs_fee:
        return _("%(utility)s pays it, unless you choose to: then at most %(most)s a payment") % {
            "utility": utility.name,
            "most": most,
        }
    return _("You pay it, at most %(most)s a payment") % {"most": most}


def _in_token(*, units: int, token: customer_models.AcceptedToken) -> str:
    amount = money.from_units(units=units, decimals=token.decimals).normalize()
    return f"{formats.localize(decimal.Decimal(f'{amount:f}'))} {token.symbol}"


def _units(*, cents: int, token: customer_models.AcceptedToken) -> int:
    return money.to_units(amount=decimal.Decimal(cents) / CENTS, decimals=token.decimals)


def short(address: str) -> str:
    """Return enough of an address to tell it from another."""
    return f"{address[:6]}…{address[-4:]}"
