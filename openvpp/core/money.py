"""Money as whole base units, and the only places where it is rounded.

Token amounts are integers in the token's base units (`units`); fiat amounts are integers in cents or
`Decimal`. Fees round up, payouts round down.
"""

import decimal


def to_units(*, amount: decimal.Decimal, decimals: int) -> int:
    """Return `amount` tokens in base units.

    :raises ValueError: when the amount has more places than the token.
    """
    scaled = amount.scaleb(decimals)
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{amount} has more than {decimals} decimal places.")
    return int(scaled)


def to_units_rounded_up(*, amount: decimal.Decimal, decimals: int) -> int:
    """Return `amount` tokens in base units, rounded up: what a fee costs."""
    return int(amount.scaleb(decimals).to_integral_value(rounding=decimal.ROUND_CEILING))


def to_units_rounded_down(*, amount: decimal.Decimal, decimals: int) -> int:
    """Return `amount` tokens in base units, rounded down: what a payout is worth."""
    return int(amount.scaleb(decimals).to_integral_value(rounding=decimal.ROUND_FLOOR))


def from_units(*, units: int, decimals: int) -> decimal.Decimal:
    """Return base units as whole tokens, exact."""
    return decimal.Decimal(units).scaleb(-decimals)


def ceil_div(numerator: int, denominator: int) -> int:
    """Divide whole numbers and round up."""
    return -(-numerator // denominator)
