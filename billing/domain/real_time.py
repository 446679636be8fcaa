"""Energy at prices that change with every interval: an hour of a day-ahead market, five minutes of a balancing one."""

import dataclasses
import decimal
import fractions

import numpy as np

from billing.domain import bill, loads, tariffs

_LARGEST_FACTOR = 2**63 - 1


class Unpriced(ValueError):
    """An interval has no price; the words say which."""


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Prices:
    """Prices per kWh in nano-units: epoch seconds at which each begins, ascending, and for how long it holds."""

    starts: loads.Int64s
    seconds: loads.Int64s
    nano: loads.Int64s


def with_prices(*, load: loads.IntervalSeries, prices: Prices) -> loads.IntervalSeries:
    """Return a load whose intervals carry the price that holds when they begin.

    :raises Unpriced: none holds then, or it ends before the interval does.
    """
    places = np.searchsorted(prices.starts, load.starts, side="right") - 1
    if len(load):
        if not len(prices.starts):
            raise Unpriced("There are no real-time prices.")
        known = np.maximum(places, 0)
        is_priced = (places >= 0) & (load.starts + load.seconds <= prices.starts[known] + prices.seconds[known])
        if not bool(is_priced.all()):
            first = np.datetime64(int(load.starts[np.argmin(is_priced)]), "s")
            raise Unpriced(f"The interval from {first}Z has no one real-time price.")
    return dataclasses.replace(load, price_nano=prices.nano[places])


def lines(*, load: loads.IntervalSeries, index: str) -> list[bill.Line]:
    """Return what was taken and what was given, each at the price of its interval.

    A line shows the average price to the nano-unit; its factor makes up for the average's rounding, so that the
    amount is the exact sum, rounded once. Where no factor of 64 bits can, the line is one amount, its kWh in words.

    :raises Unpriced: the load carries no prices.
    """
    if load.price_nano is None:
        raise Unpriced(f"The load carries no prices of {index}.")
    found = [
        _line(energy=load.import_milliwh, prices=load.price_nano, label=f"Energy at real-time prices ({index})", sign=1)
    ]
    if load.export_milliwh is not None:
        label = f"Energy to the grid at real-time prices ({index})"
        found.append(_line(energy=load.export_milliwh, prices=load.price_nano, label=label, sign=-1))
    return [line for line in found if line is not None]


def _line(*, energy: loads.Int64s, prices: loads.Int64s, label: str, sign: int) -> bill.Line | None:
    quantity = int(energy.sum())
    if not quantity:
        return None
    # Whole numbers of any size: a year of a factory at a scarcity price is beyond 64 bits.
    cost = sign * sum(int(taken) * int(price) for taken, price in zip(energy, prices, strict=True))
    kwh = bill.plain(decimal.Decimal(quantity).scaleb(-6))
    amount = bill.divide_half_even(cost, tariffs.MICRO)
    average = bill.divide_half_even(cost, quantity)
    factor = fractions.Fraction(cost, average * quantity) if average else None
    if factor is None or max(factor.numerator, factor.denominator) > _LARGEST_FACTOR:
        whole = {"label": f"{label}, {kwh} kWh", "quantity": bill.ONE, "unit": "bill", "unit_price_nano": amount}
        return bill.Line(kind=bill.LineKind.REAL_TIME, amount_nano=amount, **whole)  # type: ignore[arg-type] # by name
    return bill.Line(
        kind=bill.LineKind.REAL_TIME,
        label=label,
        quantity=kwh,
        unit="kWh",
        unit_price_nano=average,
        amount_nano=amount,
        factor=factor,
    )
