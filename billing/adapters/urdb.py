"""Reads a rate of the Utility Rate Database (URDB, OpenEI, versions 7 and 8) into a tariff.

https://openei.org/services/doc/rest/util_rates/?version=8 names the fields. Every field is either priced, or
kept as information, or refused by name: nothing is dropped in silence.
"""

import decimal
import json
from collections.abc import Mapping

from billing.adapters import urdb_fields, urdb_values
from billing.domain import tariffs

MAX_BYTES = 1_000_000

_METERING = {
    "Net Metering": tariffs.Metering.NET_METERING,
    "Net Billing Instantaneous": tariffs.Metering.NET_BILLING,
    "Net Billing Hourly": tariffs.Metering.NET_BILLING_HOURLY,
    "Buy All Sell All": tariffs.Metering.BUY_ALL_SELL_ALL,
}
_PER = {"$/day": tariffs.ChargePer.DAY, "$/month": tariffs.ChargePer.MONTH, "$/year": tariffs.ChargePer.YEAR}


UnableToReadTariff = urdb_values.UnableToReadTariff


def read(*, text: str, currency: str = "USD") -> tariffs.Tariff:
    """Return the one rate in a URDB document: a bare rate, or an API response with one item.

    :raises UnableToReadTariff: malformed, several rates, a field unknown, missing or beyond what is priced.
    """
    if len(text) > MAX_BYTES:
        raise UnableToReadTariff(f"The document is longer than {MAX_BYTES} characters.")
    try:
        document = json.loads(text, parse_float=decimal.Decimal, parse_constant=urdb_values.refuse_constant)
        if isinstance(document, str):
            document = json.loads(document, parse_float=decimal.Decimal, parse_constant=urdb_values.refuse_constant)
    except (json.JSONDecodeError, RecursionError) as error:
        raise UnableToReadTariff(f"Not JSON: {error}.") from error
    if isinstance(document, dict) and "items" in document:
        items = document["items"]
        if not isinstance(items, list) or len(items) != 1:
            raise UnableToReadTariff("`items` must hold exactly one rate.")
        document = items[0]
    if not isinstance(document, dict):
        raise UnableToReadTariff("A rate is a JSON object.")
    return to_tariff(rate=document, currency=currency)


def to_tariff(*, rate: Mapping[str, object], currency: str = "USD") -> tariffs.Tariff:
    """Return a tariff from a rate's fields as parsed from JSON.

    Prices beyond nine decimals are rounded half to even to the nano-unit.

    :raises UnableToReadTariff: a field is unknown, missing or beyond what is priced, or there is no price at all.
    """
    unknown = sorted(
        set(rate) - urdb_fields.INFORMATION - urdb_fields.FREE_TEXT - urdb_fields.NOT_PRICED - urdb_fields.PRICED
    )
    if unknown:
        raise UnableToReadTariff(f"Unknown field: {', '.join(unknown)}.")
    try:
        found = _build(rate=rate, currency=currency)
    except ValueError as error:
        raise UnableToReadTariff(str(error)) from error
    if not _names_a_price(rate):
        raise UnableToReadTariff(
            "The rate names no price, so it is not rated as free. Missing is at least one of: "
            f"{', '.join(sorted(urdb_fields.CHARGES))}, or a `rate` in {', '.join(urdb_fields.STRUCTURES)}. "
            "If it is explicitly free, say so: a `fixedchargefirstmeter` of 0."
        )
    return found


def _names_a_price(rate: Mapping[str, object]) -> bool:
    """Say whether any price stands in a rate, be it zero; a tier without one is none."""
    if any(rate.get(field) is not None for field in urdb_fields.CHARGES):
        return True
    return any(
        isinstance(tier, Mapping) and not urdb_fields.PRICES.isdisjoint(tier)
        for field in urdb_fields.STRUCTURES
        for tiers in urdb_values.items(rate.get(field, ()), field)
        for tier in urdb_values.items(tiers, field)
    )


def _build(*, rate: Mapping[str, object], currency: str) -> tariffs.Tariff:
    warnings = [f"`{field}` is free text and is not priced." for field in sorted(urdb_fields.FREE_TEXT & set(rate))]
    warnings += [
        f"`{field}` is not priced."
        for field in sorted(urdb_fields.NOT_PRICED & set(rate))
        if urdb_values.is_something(rate[field])
    ]
    # Sheets older than `dgrules` say with `usenetmetering` whether a month is netted; SAM takes silence for yes.
    rules = rate.get(
        "dgrules", "Net Billing Instantaneous" if urdb_values.flag(rate, "usenetmetering") is False else "Net Metering"
    )
    if not isinstance(rules, str) or rules not in _METERING:
        raise UnableToReadTariff(f"`dgrules` is {rules!r}; known are {', '.join(_METERING)}.")
    reactive = rate.get("demandreactivepowercharge")
    return tariffs.Tariff(
        label=urdb_values.text(rate, "label"),
        name=urdb_values.text(rate, "name"),
        utility=urdb_values.text(rate, "utility"),
        currency=currency,
        energy=_energy(rate),
        flat_demand=_flat_demand(rate),
        tou_demand=_tou_demand(rate),
        coincident_demand=_coincident(rate),
        reactive_nano_per_kvar=None if reactive is None else urdb_values.nano(reactive, "demandreactivepowercharge"),
        demand_window_minutes=_window(rate, warnings),
        ratchet=_ratchet(rate),
        fixed=_fixed(rate),
        minimums=_minimums(rate),
        fuel_adjustments_nano=_fuel_adjustments(rate),
        metering=_METERING[rules],
        sector=urdb_values.text(rate, "sector"),
        effective_from=urdb_values.date(rate, "startdate"),
        effective_until=urdb_values.date(rate, "enddate"),
        source=urdb_values.text(rate, "source") or urdb_values.text(rate, "uri"),
        warnings=tuple(warnings),
    )


def _energy(rate: Mapping[str, object]) -> tariffs.EnergyCharge | None:
    if "energyratestructure" not in rate:
        return None
    structure = tuple(
        tuple(
            _energy_tier(tier, f"energyratestructure[{p}][{t}]")
            for t, tier in enumerate(urdb_values.items(tiers, "tiers"))
        )
        for p, tiers in enumerate(urdb_values.items(rate["energyratestructure"], "energyratestructure"))
    )
    return tariffs.EnergyCharge(tiers=structure, schedule=_time_of_use(rate, "energy"))


def _energy_tier(value: object, where: str) -> tariffs.EnergyTier:
    tier = _tier(value, where, urdb_fields.ENERGY_TIER)
    unit = tier.get("unit", tariffs.EnergyUnit.KWH.value)
    try:
        known = tariffs.EnergyUnit(str(unit))
    except ValueError as error:
        raise UnableToReadTariff(f"`{where}.unit` is {unit!r}, which is not priced.") from error
    return tariffs.EnergyTier(
        upper_micro=_upper(tier, where),
        unit=known,
        price_nano=urdb_values.nano(tier.get("rate", 0), f"{where}.rate"),
        adjustment_nano=urdb_values.nano(tier.get("adj", 0), f"{where}.adj"),
        sell_nano=urdb_values.nano(tier["sell"], f"{where}.sell") if "sell" in tier else None,
    )


def _flat_demand(rate: Mapping[str, object]) -> tariffs.FlatDemandCharge | None:
    if "flatdemandstructure" not in rate:
        return None
    unit, daily = _demand_unit(rate.get("flatdemandunit", "kW"), "flatdemandunit")
    months = [
        urdb_values.whole(month, "flatdemandmonths")
        for month in urdb_values.items(rate.get("flatdemandmonths", [0] * 12), "months")
    ]
    return tariffs.FlatDemandCharge(
        tiers=_demand_tiers(rate, "flatdemandstructure"), months=tuple(months), unit=unit, daily=daily
    )


def _tou_demand(rate: Mapping[str, object]) -> tariffs.TimeOfUseDemandCharge | None:
    if "demandratestructure" not in rate:
        return None
    unit, daily = _demand_unit(rate.get("demandrateunit", "kW"), "demandrateunit")
    return tariffs.TimeOfUseDemandCharge(
        tiers=_demand_tiers(rate, "demandratestructure"), schedule=_time_of_use(rate, "demand"), unit=unit, daily=daily
    )


def _coincident(rate: Mapping[str, object]) -> tariffs.TimeOfUseDemandCharge | None:
    if "coincidentratestructure" not in rate:
        return None
    unit, daily = _demand_unit(rate.get("coincidentrateunit", "kW"), "coincidentrateunit")
    schedule = _schedule(rate, "coincidentschedule")
    return tariffs.TimeOfUseDemandCharge(
        tiers=_demand_tiers(rate, "coincidentratestructure"),
        schedule=tariffs.TimeOfUse(weekday=schedule, weekend=schedule),
        unit=unit,
        daily=daily,
    )


def _demand_tiers(rate: Mapping[str, object], field: str) -> tuple[tuple[tariffs.DemandTier, ...], ...]:
    periods: list[tuple[tariffs.DemandTier, ...]] = []
    for p, tiers in enumerate(urdb_values.items(rate[field], field)):
        steps: list[tariffs.DemandTier] = []
        for t, value in enumerate(urdb_values.items(tiers, f"{field}[{p}]")):
            where = f"{field}[{p}][{t}]"
            tier = _tier(value, where, urdb_fields.DEMAND_TIER)
            steps.append(
                tariffs.DemandTier(
                    upper_micro=_upper(tier, where),
                    price_nano=urdb_values.nano(tier.get("rate", 0), f"{where}.rate"),
                    adjustment_nano=urdb_values.nano(tier.get("adj", 0), f"{where}.adj"),
                )
            )
        periods.append(tuple(steps))
    return tuple(periods)


def _demand_unit(value: object, field: str) -> tuple[tariffs.DemandUnit, bool]:
    text = str(value)
    daily = text.endswith(" daily")
    try:
        return tariffs.DemandUnit(text.removesuffix(" daily")), daily
    except ValueError as error:
        raise UnableToReadTariff(f"`{field}` is {text!r}, which is not priced.") from error


def _fixed(rate: Mapping[str, object]) -> tuple[tariffs.FixedCharge, ...]:
    amount = rate.get("fixedchargefirstmeter", rate.get("fixedmonthlycharge"))
    additional = rate.get("fixedchargeeaaddl", 0)
    if amount is None and not additional:
        return ()
    return (
        tariffs.FixedCharge(
            amount_nano=urdb_values.nano(amount or 0, "fixedchargefirstmeter"),
            per=_per(rate, "fixedchargeunits"),
            additional_nano=urdb_values.nano(additional, "fixedchargeeaaddl"),
        ),
    )


def _minimums(rate: Mapping[str, object]) -> tuple[tariffs.MinimumCharge, ...]:
    found: list[tariffs.MinimumCharge] = []
    for field, per in (
        ("mincharge", _per(rate, "minchargeunits")),
        ("minmonthlycharge", tariffs.ChargePer.MONTH),
        ("annualmincharge", tariffs.ChargePer.YEAR),
    ):
        amount = urdb_values.nano(rate.get(field, 0), field)
        if amount:
            found.append(tariffs.MinimumCharge(amount_nano=amount, per=per))
    return tuple(found)


def _per(rate: Mapping[str, object], field: str) -> tariffs.ChargePer:
    text = rate.get(field, "$/month")
    if not isinstance(text, str) or text not in _PER:
        raise UnableToReadTariff(f"`{field}` is {text!r}; known are {', '.join(_PER)}.")
    return _PER[text]


def _fuel_adjustments(rate: Mapping[str, object]) -> tuple[int, ...] | None:
    if "fueladjustmentsmonthly" not in rate:
        return None
    months = [
        urdb_values.nano(value, "fueladjustmentsmonthly")
        for value in urdb_values.items(rate["fueladjustmentsmonthly"], "months")
    ]
    if len(months) != tariffs.MONTHS:
        raise UnableToReadTariff("`fueladjustmentsmonthly` has 12 months.")
    return tuple(months)


def _ratchet(rate: Mapping[str, object]) -> tariffs.Ratchet | None:
    percent = urdb_values.number(rate.get("lookbackpercent", 0), "lookbackpercent")
    if not percent:
        return None
    months = [bool(month) for month in urdb_values.items(rate.get("lookbackmonths", [True] * 12), "lookbackmonths")]
    if len(months) != tariffs.MONTHS:
        raise UnableToReadTariff("`lookbackmonths` has 12 months.")
    return tariffs.Ratchet(
        percent_micro=int(percent * tariffs.MICRO),
        months=tuple(months),
        range_months=urdb_values.whole(rate.get("lookbackrange", 0), "lookbackrange"),
    )


def _window(rate: Mapping[str, object], warnings: list[str]) -> int | None:
    if "demandwindow" not in rate:
        return None
    minutes = urdb_values.number(rate["demandwindow"], "demandwindow")
    if minutes != minutes.to_integral_value() or minutes <= 0:
        warnings.append(f"`demandwindow` is {minutes} minutes, which is none; demand is taken per interval.")
        return None
    return int(minutes)


def _time_of_use(rate: Mapping[str, object], kind: str) -> tariffs.TimeOfUse:
    return tariffs.TimeOfUse(
        weekday=_schedule(rate, f"{kind}weekdayschedule"), weekend=_schedule(rate, f"{kind}weekendschedule")
    )


def _schedule(rate: Mapping[str, object], field: str) -> tariffs.Schedule:
    if field not in rate:
        raise UnableToReadTariff(f"`{field}` is missing.")
    return tuple(
        tuple(urdb_values.whole(hour, field) for hour in urdb_values.items(row, field))
        for row in urdb_values.items(rate[field], field)
    )


def _tier(value: object, where: str, known: frozenset[str]) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise UnableToReadTariff(f"`{where}` is not an object.")
    unknown = sorted(set(value) - known)
    if unknown:
        raise UnableToReadTariff(f"Unknown field: {where}.{unknown[0]}.")
    return value


def _upper(tier: Mapping[str, object], where: str) -> int | None:
    if tier.get("max") is None:
        return None
    upper = urdb_values.number(tier["max"], f"{where}.max")
    if upper < 0:
        raise UnableToReadTariff(f"`{where}.max` is negative.")
    return None if upper >= decimal.Decimal("1e37") else int(upper * tariffs.MICRO)
