"""Terms in the words of the consent page."""

import datetime
import decimal

from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from customers import models as customer_models
from openvpp.core import money
from wallets import models
from wallets.domain import authorization_details
from wallets.oauth import offers


def rows(
    *, application: models.Application, wallet: models.Wallet, offer: offers.Offer, now: datetime.datetime
) -> tuple[tuple[str, str], ...]:
    """Return what is asked, line by line: label and text."""
    terms, currency = offer.terms, wallet.utility.currency
    days = terms.period_seconds // authorization_details.DAY_SECONDS

    def at_most(units: int) -> str:
        return _("at most %(amount)s") % {"amount": in_currency(cents=offer.cents(units), currency=currency)}

    told = [
        (_("Who pays"), _("%(app)s, for you") % {"app": application.name}),
        (_("From"), _("Your wallet %(address)s") % {"address": short(str(wallet.address))}),
        (_("To"), _("%(name)s only (%(address)s)") % {"name": terms.payee_name, "address": short(terms.payee)}),
        (_("Each payment"), at_most(terms.limit_per_payment_units)),
        (
            ngettext("Every day", "Every %(days)d days", days) % {"days": days},
            at_most(terms.limit_per_period_units),
        ),
        (_("In total"), at_most(terms.limit_total_units)),
    ]
    if terms.starts_at > now:
        told.append((_("Not before"), formats.date_format(terms.starts_at, "DATETIME_FORMAT")))
    told += [
        (_("Until"), _("%(day)s, or until you stop it") % {"day": formats.date_format(terms.ends_at, "DATE_FORMAT")}),
        (_("Paid in"), _("%(token)s, one for each %(currency)s") % {"token": offer.token.symbol, "currency": currency}),
        (_("Network fee"), _fee_words(utility=wallet.utility, offer=offer)),
    ]
    if terms.client_key is not None:
        told.append((_("Signed by"), _("A key that %(app)s keeps on your phone") % {"app": application.name}))
    return tuple(told)


def in_currency(*, cents: int, currency: str) -> str:
    """Return an amount of money as the reader writes it."""
    number = formats.number_format(decimal.Decimal(cents) / offers.CENTS, 2, use_l10n=True, force_grouping=True)
    return f"${number}" if currency == "USD" else f"{number} {currency}"


def short(address: str) -> str:
    """Return enough of an address to tell it from another."""
    return f"{address[:6]}…{address[-4:]}"


def _fee_words(*, utility: customer_models.Utility, offer: offers.Offer) -> str:
    caps = []
    if offer.terms.fee_cap_units:
        caps.append(_in_token(units=offer.terms.fee_cap_units, token=offer.token))
    if offer.fee_token is not None and offer.terms.fee_token_cap_units:
        caps.append(_in_token(units=offer.terms.fee_token_cap_units, token=offer.fee_token))
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
