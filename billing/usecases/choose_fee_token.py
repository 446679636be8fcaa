"""In which token a customer is asked for the network fee that nobody else pays."""

from collections.abc import Iterable

from billing import queries
from customers import models as customer_models
from openvpp.core import db, errors
from relayer import models as relayer_models
from wallets import queries as wallet_queries


def get_modes(
    *, utility: customer_models.Utility, bill_token: customer_models.AcceptedToken
) -> list[customer_models.FeeMode]:
    """Return in which ways a utility's customers may pay the fee of a bill in this token, those in its token first."""
    return [
        mode
        for mode in queries.get_fee_modes(utility=utility)
        if mode != customer_models.FeeMode.UTILITY
        and queries.get_fee_token(utility=utility, mode=mode, bill_token=bill_token) is not None
    ]


@db.durable
def choose(
    *, quotes: Iterable[relayer_models.FeeQuote], token: customer_models.AcceptedToken, amount_units: int
) -> relayer_models.FeeQuote:
    """Return the first quote whose wallet holds enough for fee and bill, else the first; later ones are not made.

    An unreachable chain is not waited for: the first is taken, and paying it shows.
    """
    first: relayer_models.FeeQuote | None = None
    for quote in quotes:
        first = first or quote
        needed = {str(token.address): amount_units}
        fee_token = str(quote.fee_token)
        needed[fee_token] = needed.get(fee_token, 0) + int(quote.fee_units)
        try:
            held = wallet_queries.get_units(address=str(quote.sender), tokens=list(needed), chain_id=quote.chain_id)
        except errors.Unreachable:
            break
        if all(units >= least for units, least in zip(held, needed.values(), strict=True)):
            return quote
    if first is None:
        raise ValueError("no quote to choose from")
    return first
