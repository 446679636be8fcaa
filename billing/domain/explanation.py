"""Why a bill differs from the one before it: causes whose amounts sum to the difference, to the nano-unit.

Six totals are compared, each step changing one thing. `prices` below are those in force on the earlier bill's last day.

    earlier bill -> its readings as they stand now -> at one set of prices -> the later bill's days -> its use
    -> at its own prices -> the later bill as issued
"""

import dataclasses
import decimal
import enum
from collections.abc import Sequence

from billing.domain import bill

_PERCENT_UNIT = "base"
_AFTER_CHARGES = {
    bill.LineKind.CREDIT,
    bill.LineKind.BUDGET,
    bill.LineKind.PREPAID,
    bill.LineKind.PAID_BEFORE,
    bill.LineKind.BROUGHT_FORWARD,
    bill.LineKind.CREDIT_USED,
}
_BY_THE_DAY = {
    bill.LineKind.ENERGY,
    bill.LineKind.REAL_TIME,
    bill.LineKind.FUEL_ADJUSTMENT,
    bill.LineKind.EXPORT_CREDIT,
}


class Cause(enum.StrEnum):
    """What makes two bills differ.

    DAYS: the later one is for more or fewer days. USAGE: how much, when and how evenly energy was used a day, the
    weather included. PRICE: tariffs, riders, discounts and taxes. SERVICE: points that came or went. READINGS: what
    was corrected after a bill was issued. SETTLEMENT: credits, budget billing, payments in advance.
    """

    DAYS = "days"
    USAGE = "usage"
    PRICE = "price"
    SERVICE = "service"
    READINGS = "readings"
    SETTLEMENT = "settlement"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One bill at one service point: charged as issued, and priced again.

    `own` is priced at its own prices with the readings of now, `basis` at the prices that both bills are compared at.
    """

    days: int
    import_milliwh: int
    charged_nano: int
    own_nano: int
    basis: tuple[bill.Line, ...]

    @property
    def basis_nano(self) -> int:
        """Return what it comes to at the prices compared at."""
        return sum(line.amount_nano for line in self.basis)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What one cause did to the bill, in nano-units; positive makes it dearer."""

    cause: Cause
    amount_nano: int


def decompose(*, pairs: Sequence[tuple[Side, Side]], service_nano: int, settlement_nano: int) -> tuple[Effect, ...]:
    """Return an effect for each cause; `pairs` are earlier and later bill by service point.

    `service_nano` is what points came to that only one of the bills has, `settlement_nano` how credits, budget and
    prepayment changed. The effects sum to the difference of the bills.
    """
    days = sum(_days_nano(before=before, after=after) for before, after in pairs)
    moved = sum(after.basis_nano - before.basis_nano for before, after in pairs)
    amounts = {
        Cause.DAYS: days,
        Cause.USAGE: moved - days,
        Cause.PRICE: sum(
            (before.basis_nano - before.own_nano) + (after.own_nano - after.basis_nano) for before, after in pairs
        ),
        Cause.SERVICE: service_nano,
        Cause.READINGS: sum(
            (before.own_nano - before.charged_nano) + (after.charged_nano - after.own_nano) for before, after in pairs
        ),
        Cause.SETTLEMENT: settlement_nano,
    }
    return tuple(Effect(cause=cause, amount_nano=amount) for cause, amount in amounts.items())


def is_settlement(kind: str) -> bool:
    """Say whether a line stands after the charges."""
    return kind in _AFTER_CHARGES


def _days_nano(*, before: Side, after: Side) -> int:
    """Return what the number of days alone does.

    Energy and charges per day grow with the days at the earlier bill's use a day; charges of a month are what their
    share of the months makes them; percentages follow what they are taken of.
    """
    by_day = sum(line.amount_nano for line in before.basis if line.kind in _BY_THE_DAY or line.unit in {"kWh", "day"})
    direct = bill.divide_half_even(by_day * (after.days - before.days), before.days)
    direct += _monthly_nano(after) - _monthly_nano(before)
    change = _direct_nano(after) - _direct_nano(before)
    percentages = _percentages_nano(after) - _percentages_nano(before)
    if not change:
        return direct
    sign = 1 if change > 0 else -1
    return direct + bill.divide_half_even(sign * percentages * direct, abs(change))


def _monthly_nano(side: Side) -> int:
    return sum(line.amount_nano for line in side.basis if line.unit in {"month", "year"})


def _direct_nano(side: Side) -> int:
    return sum(line.amount_nano for line in side.basis if line.unit not in {_PERCENT_UNIT, "bill"})


def _percentages_nano(side: Side) -> int:
    return sum(line.amount_nano for line in side.basis if line.unit == _PERCENT_UNIT)


def words(*, effect: Effect, before: tuple[int, int], after: tuple[int, int], currency: str) -> dict[str, str]:
    """Return a sentence about an effect in English and Spanish; `before` and `after` are (days, mWh used)."""
    amount = decimal.Decimal(effect.amount_nano).scaleb(-9).quantize(decimal.Decimal("0.01"))
    money = f"{amount:+,.2f} {currency}" if amount else f"0.00 {currency}"
    numbers = {
        "money": money,
        "old_days": before[0],
        "new_days": after[0],
        "old_daily": _daily_kwh(before),
        "new_daily": _daily_kwh(after),
    }
    english, spanish = _WORDS[effect.cause]
    return {"en": english.format(**numbers), "es": spanish.format(**numbers)}


def _daily_kwh(side: tuple[int, int]) -> str:
    return f"{decimal.Decimal(side[1]).scaleb(-6) / max(side[0], 1):.1f}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DegreeDays:
    """The weather of a bill's days: mean and degree days, in thousandths of a degree Celsius."""

    mean_milli_c: int
    heating_milli: int
    cooling_milli: int


def weather_words(*, before: DegreeDays, after: DegreeDays) -> dict[str, str]:
    """Return a sentence about the weather of two bills in English and Spanish; its money is within the usage."""
    numbers = [
        f"{decimal.Decimal(value).scaleb(-3):.1f}"
        for side in (after, before)
        for value in (side.mean_milli_c, side.heating_milli, side.cooling_milli)
    ]
    english, spanish = _WEATHER_WORDS
    return {"en": english.format(*numbers), "es": spanish.format(*numbers)}


_WEATHER_WORDS = (
    "It was {0} °C on average ({1} heating, {2} cooling degree days), before {3} °C ({4} and {5}); it is in your use.",
    "La media fue de {0} °C ({1} grados-día de calefacción, {2} de frío), antes {3} °C ({4} y {5}); va en su consumo.",
)
WEATHER = {
    "en": "Weather is not told apart from your use: no temperatures are known for both bills.",
    "es": "El clima no se distingue de su consumo: no se conocen las temperaturas de ambas facturas.",
}
_WORDS = {
    Cause.DAYS: (
        "This bill is for {new_days} days, the one before was for {old_days}: {money}.",
        "Esta factura es de {new_days} días y la anterior de {old_days}: {money}.",
    ),
    Cause.USAGE: (
        "You used {new_daily} kWh a day, {old_daily} before; how much and when you used it: {money}.",
        "Usó {new_daily} kWh al día, antes {old_daily}; cuánto y cuándo los usó: {money}.",
    ),
    Cause.PRICE: (
        "Prices, riders, discounts and taxes changed: {money}.",
        "Cambiaron los precios, cargos, descuentos e impuestos: {money}.",
    ),
    Cause.SERVICE: (
        "Service began or ended at one of your places: {money}.",
        "Empezó o terminó el servicio en uno de sus domicilios: {money}.",
    ),
    Cause.READINGS: (
        "Readings were corrected after a bill was issued: {money}.",
        "Se corrigieron lecturas después de emitir una factura: {money}.",
    ),
    Cause.SETTLEMENT: (
        "Credits, budget billing or payments in advance changed: {money}.",
        "Cambiaron los créditos, el pago nivelado o los pagos por adelantado: {money}.",
    ),
}
