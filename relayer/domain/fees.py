"""What a fee costs in a token, and what a transaction must offer to be taken. Exact; fees round up."""

import dataclasses
import decimal

from openvpp.core import money

NATIVE_DECIMALS = 18
# EIP-1559 nodes take a replacement only when both fees rise by a tenth; an eighth leaves no doubt about rounding.
_REPLACEMENT_RISE = 8


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GasPrices:
    """What to offer now, in wei per unit of gas; `expected` is what a block will likely charge."""

    max_fee_per_gas_wei: int
    max_priority_fee_per_gas_wei: int
    expected_wei: int

    @property
    def base_fee_wei(self) -> int:
        """Return what the block keeps, at most."""
        return (self.max_fee_per_gas_wei - self.max_priority_fee_per_gas_wei) // 2


def prices_from(*, base_fee_wei: int, tips_wei: tuple[int, ...], least_tip_wei: int) -> GasPrices:
    """Return what to offer after a block of `base_fee_wei` in a chain whose median tips of late are given.

    The cap is twice the base fee, which holds for six full blocks in a row.
    """
    tips = sorted(tips_wei)
    tip = max(tips[len(tips) // 2] if tips else 0, least_tip_wei)
    return GasPrices(
        max_fee_per_gas_wei=2 * base_fee_wei + tip,
        max_priority_fee_per_gas_wei=tip,
        expected_wei=base_fee_wei + tip,
    )


def capped(*, prices: GasPrices, most_wei: int) -> GasPrices | None:
    """Return what to offer under a cap of `most_wei` per unit of gas; None while even a likely block asks for more.

    No cap, 0, leaves the prices as they are.
    """
    if not most_wei or prices.max_fee_per_gas_wei <= most_wei:
        return prices
    if prices.expected_wei > most_wei:
        return None
    return dataclasses.replace(prices, max_fee_per_gas_wei=most_wei)


def replacing(*, prices: GasPrices, old_max_fee_wei: int, old_tip_wei: int) -> GasPrices:
    """Return what a transaction must offer to replace one that offered the old prices."""
    tip = max(prices.max_priority_fee_per_gas_wei, _raised(old_tip_wei))
    return GasPrices(
        max_fee_per_gas_wei=max(prices.max_fee_per_gas_wei, _raised(old_max_fee_wei), tip),
        max_priority_fee_per_gas_wei=tip,
        expected_wei=max(prices.expected_wei, tip),
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fee:
    """A fee in base units of a token, and what that was worth in wei when it was quoted, rounded up."""

    units: int
    wei: int


def with_margin(*, wei: int, margin_percent: int) -> int:
    """Return an expected cost with the margin on top, in wei, rounded up."""
    return money.ceil_div(wei * (100 + margin_percent), 100)


def least_replacing(*, old_max_fee_wei: int, old_tip_wei: int) -> GasPrices:
    """Return the least that replaces a transaction which offered the old prices, whatever the chain asks."""
    tip, most = _raised(old_tip_wei), _raised(old_max_fee_wei)
    return GasPrices(max_fee_per_gas_wei=max(most, tip), max_priority_fee_per_gas_wei=tip, expected_wei=tip)


def fee_units(
    *,
    gas: int,
    price_wei: int,
    margin_percent: int,
    native_usd: decimal.Decimal,
    token_usd: decimal.Decimal,
    token_decimals: int,
) -> int:
    """Return the fee for `gas` in base units of a token, margin included, rounded up: fee = gas * price * rate."""
    with decimal.localcontext(decimal.Context(prec=100)):
        native = decimal.Decimal(gas * price_wei * (100 + margin_percent)).scaleb(-NATIVE_DECIMALS - 2)
        return money.to_units_rounded_up(amount=native * native_usd / token_usd, decimals=token_decimals)


def _raised(wei: int) -> int:
    return wei + money.ceil_div(wei, _REPLACEMENT_RISE) + 1
