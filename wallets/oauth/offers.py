"""What a person is offered to allow: the utility's own proposal, or what an application asks in detail.

Both become the same terms, and the same authorization details.
"""

import dataclasses
import datetime
import decimal
import math
from collections.abc import Sequence
from typing import Self

from django.utils.translation import gettext as _

from customers import models as customer_models
from customers import queries as customer_queries
from openvpp.core import errors, money
from wallets.domain import authorization_details
from wallets.domain import terms as grant_terms

# A block may be stamped earlier than our clock reads; a grant that starts now could not pay in it.
BLOCK_TIME_LAG = datetime.timedelta(minutes=1)
CENTS = decimal.Decimal(100)


class UnableToOffer(errors.UnableTo):
    """The application belongs to no utility, or its utility takes no token."""


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
class Offer:
    """Terms, with the tokens that they are in. `terms` is complete but for the words."""

    terms: grant_terms.GrantTerms
    token: customer_models.AcceptedToken
    fee_token: customer_models.AcceptedToken | None

    @property
    def month_cents(self) -> int:
        """Return the most that may be spent within thirty days, in cents of the utility's currency."""
        terms = self.terms
        return self.cents(
            _in_month(
                per_period_units=terms.limit_per_period_units,
                period_seconds=terms.period_seconds,
                total_units=terms.limit_total_units,
            )
        )

    def cents(self, units: int) -> int:
        """Return base units of the token that is paid in as cents of the utility's currency; whole by construction."""
        return int(money.from_units(units=units, decimals=self.token.decimals) * CENTS)


def propose(*, utility: customer_models.Utility, limits: Limits, now: datetime.datetime) -> Offer:
    """Return the utility's own terms with these limits, from now on.

    :raises UnableToOffer: it takes no token.
    """
    tokens = customer_queries.get_bill_tokens(utility_id=utility.pk)
    if not tokens:
        raise UnableToOffer(_("Your utility does not take payments here yet."), code="no_token")
    token = tokens[0]
    fee_token = _fee_token(utility=utility, bill_token=token)
    starts_at = now.replace(microsecond=0) - BLOCK_TIME_LAG
    terms = grant_terms.GrantTerms(
        payee=str(utility.treasury_address),
        payee_name=utility.name,
        token=str(token.address),
        fee_token=str(fee_token.address) if fee_token else None,
        limit_per_payment_units=_units(cents=limits.payment_cents, token=token),
        limit_per_period_units=_units(cents=limits.period_cents, token=token),
        period_seconds=int(grant_terms.PERIOD.total_seconds()),
        limit_total_units=_units(cents=limits.total_cents, token=token),
        fee_cap_units=_fee_cap(utility=utility, token=token),
        fee_token_cap_units=fee_token.fee_cap_units if fee_token else 0,
        starts_at=starts_at,
        ends_at=starts_at + datetime.timedelta(days=limits.days),
        shown_text="",
    )
    return Offer(terms=terms, token=token, fee_token=fee_token)


def read(
    *, utility: customer_models.Utility | None, details: authorization_details.Details, now: datetime.datetime
) -> Offer:
    """Return the terms that an application asks for in detail, if its utility lets a person go that far.

    :raises authorization_details.UnableToReadDetails: another payee or token, or beyond the utility's bounds.
    """
    if utility is None:
        raise authorization_details.UnableToReadDetails("This application belongs to no utility.")
    if details.payee not in (None, utility.treasury_address):
        raise authorization_details.UnableToReadDetails("payee is not where this utility is paid.")
    limits = details.limits
    token = _named(customer_queries.get_bill_tokens(utility_id=utility.pk), limits.token)
    if token is None:
        raise authorization_details.UnableToReadDetails("tokens[0].token is none in which this utility takes bills.")
    _check_amounts(utility=utility, token=token, limits=limits)
    starts_at, ends_at = _times(utility=utility, details=details, now=now)
    caps = {bound.token: bound.per_operation_units for bound in details.fee_bounds}
    fee_cap = caps.pop(limits.token, 0)
    fee_token = None
    if fee_cap > _fee_cap(utility=utility, token=token):
        raise authorization_details.UnableToReadDetails("fee.bounds goes beyond what this utility allows.")
    for address, cap in caps.items():
        fee_token = _named(customer_queries.get_fee_tokens(utility_id=utility.pk), address)
        if fee_token is None or not utility.offers_fee_in_ovpp or cap > fee_token.fee_cap_units:
            raise authorization_details.UnableToReadDetails("fee.bounds goes beyond what this utility allows.")
    terms = grant_terms.GrantTerms(
        payee=str(utility.treasury_address),
        payee_name=utility.name,
        token=str(token.address),
        fee_token=str(fee_token.address) if fee_token else None,
        limit_per_payment_units=limits.per_operation_units,
        limit_per_period_units=limits.per_period_units,
        period_seconds=limits.period_seconds,
        limit_total_units=limits.total_units,
        fee_cap_units=fee_cap,
        fee_token_cap_units=caps[str(fee_token.address)] if fee_token else 0,
        starts_at=starts_at,
        ends_at=ends_at,
        shown_text="",
        client_key=details.client_key,
    )
    return Offer(terms=terms, token=token, fee_token=fee_token)


def fee_cap(*, utility: customer_models.Utility, token: str) -> int:
    """Return the most network fee of one payment that the utility lets a person allow in a token, in its base units."""
    accepted = _named(customer_queries.get_bill_tokens(utility_id=utility.pk), token)
    return 0 if accepted is None else _fee_cap(utility=utility, token=accepted)


def periods_in(*, days: int) -> int:
    """Return how many periods, the last one perhaps not whole, a grant of so many days touches."""
    return math.ceil(days / grant_terms.PERIOD.days)


def _check_amounts(
    *,
    utility: customer_models.Utility,
    token: customer_models.AcceptedToken,
    limits: authorization_details.TokenLimits,
) -> None:
    highest = Limits.highest_of(utility)
    month_units = _in_month(
        per_period_units=limits.per_period_units, period_seconds=limits.period_seconds, total_units=limits.total_units
    )
    if month_units > _units(cents=highest.period_cents, token=token):
        raise authorization_details.UnableToReadDetails(
            "limit_per_period, over thirty days, goes beyond what this utility allows."
        )
    for name, units, cents in (
        ("limit_per_operation", limits.per_operation_units, highest.payment_cents),
        ("limit_per_period", limits.per_period_units, highest.period_cents),
        ("limit_total", limits.total_units, highest.total_cents),
    ):
        if units > _units(cents=cents, token=token):
            raise authorization_details.UnableToReadDetails(f"{name} goes beyond what this utility allows.")
        if units % _units(cents=1, token=token):
            raise authorization_details.UnableToReadDetails(f"{name} is not a whole number of cents.")


def _times(
    *, utility: customer_models.Utility, details: authorization_details.Details, now: datetime.datetime
) -> tuple[datetime.datetime, datetime.datetime]:
    present = now.replace(microsecond=0)
    starts_at = present - BLOCK_TIME_LAG
    if details.not_before is not None:
        starts_at = max(starts_at, datetime.datetime.fromtimestamp(details.not_before, tz=datetime.UTC))
    latest = present + datetime.timedelta(days=utility.max_grant_days)
    if details.not_after > latest.timestamp():
        raise authorization_details.UnableToReadDetails("not_after is later than this utility allows.")
    ends_at = datetime.datetime.fromtimestamp(details.not_after, tz=datetime.UTC)
    if ends_at <= max(starts_at, present):
        raise authorization_details.UnableToReadDetails("not_after is over, or before not_before.")
    return starts_at, ends_at


def _in_month(*, per_period_units: int, period_seconds: int, total_units: int) -> int:
    """Return the most that periods, long or short, let through within thirty days, in base units."""
    periods = math.ceil(grant_terms.PERIOD.total_seconds() / period_seconds)
    return min(total_units, per_period_units * periods)


def _named(tokens: Sequence[customer_models.AcceptedToken], address: str) -> customer_models.AcceptedToken | None:
    return next((token for token in tokens if token.address == address), None)


def _fee_cap(*, utility: customer_models.Utility, token: customer_models.AcceptedToken) -> int:
    return int(token.fee_cap_units) if token.pays_fees and utility.offers_fee_in_stablecoin else 0


def _fee_token(
    *, utility: customer_models.Utility, bill_token: customer_models.AcceptedToken
) -> customer_models.AcceptedToken | None:
    if not utility.offers_fee_in_ovpp:
        return None
    tokens = customer_queries.get_fee_tokens(utility_id=utility.pk)
    return next((token for token in tokens if token.address != bill_token.address and token.fee_cap_units), None)


def _units(*, cents: int, token: customer_models.AcceptedToken) -> int:
    return money.to_units(amount=decimal.Decimal(cents) / CENTS, decimals=token.decimals)
