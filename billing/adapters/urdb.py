"""Reads a rate of the Utility Rate Database (URDB, OpenEI, versions 7 and 8) into a tariff.

https://openei.org/services/doc/rest/util_rates/?version=8 names the fields. Every field is either priced, or
kept as information, or refused by name: nothing is dropped in silence.
"""

import datetime
import decimal
import json
from collections.abc import Mapping, Sequence

from billing.domain import tariffs
from openvpp.core import errors

MAX_BYTES = 1_000_000

_INFORMATION = frozenset(
    {
        "approved",
        "basicinformationcomments",
        "country",
        "demandcomments",
        "demandunits",
        "description",
        "eiaid",
        "energycomments",
        "is_default",
        "peakkwcapacityhistory",
        "peakkwcapacitymax",
        "peakkwcapacitymin",
        "peakkwhusagehistory",
        "peakkwhusagemax",
        "peakkwhusagemin",
        "phasewiring",
        "revisions",
        "servicetype",
        "sourceparent",
        "supersedes",
        "uri",
        "version",
        "voltagecategory",
        "voltagemaximum",
        "voltageminimum",
    }
)
_FREE_TEXT = frozenset({"demandattrs", "energyattrs", "fixedattrs"})
_NOT_PRICED = frozenset({"demandratchetpercentage"})
_PRICED = frozenset(
    {
        "annualmincharge",
        "coincidentrateunit",
        "coincidentratestructure",
        "coincidentschedule",
        "demandrateunit",
        "demandratestructure",
        "demandreactivepowercharge",
        "demandweekdayschedule",
        "demandweekendschedule",
        "demandwindow",
        "dgrules",
        "enddate",
        "energyratestructure",
        "energyweekdayschedule",
        "energyweekendschedule",
        "fixedchargeeaaddl",
        "fixedchargefirstmeter",
        "fixedchargeunits",
        "fixedmonthlycharge",
        "flatdemandmonths",
        "flatdemandstructure",
        "flatdemandunit",
        "fueladjustmentsmonthly",
        "label",
        "lookbackmonths",
        "lookbackpercent",
        "lookbackrange",
        "mincharge",
        "minchargeunits",
        "minmonthlycharge",
        "name",
        "sector",
        "source",
        "startdate",
        "utility",
        "usenetmetering",
    }
)
_METERING = {
    "Net Metering": tariffs.Metering.NET_METERING,
    "Net Billing Instantaneous": tariffs.Metering.NET_BILLING,
    "Net Billing Hourly": tariffs.Metering.NET_BILLING_HOURLY,
    "Buy All Sell All": tariffs.Metering.BUY_ALL_SELL_ALL,
}
_PER = {"$/day": tariffs.ChargePer.DAY, "$/month": tariffs.ChargePer.MONTH, "$/year": tariffs.ChargePer.YEAR}
_ENERGY_TIER_FIELDS = frozenset({"max", "rate", "unit", "adj", "sell"})
_DEMAND_TIER_FIELDS = frozenset({"max", "rate", "unit", "adj"})


class UnableToReadTariff(errors.Invalid):
    """The file is not a rate that this engine can price; the detail names the field."""


def read(*, text: str, currency: str = "USD") -> tariffs.Tariff:
    """Return the one rate in a URDB document: a bare rate, or an API response with one item.

    :raises UnableToReadTariff: malformed, several rates, a field unknown, missing or beyond what is priced.
    """
    if len(text) > MAX_BYTES:
        raise UnableToReadTariff(f"The document is longer than {MAX_BYTES} characters.")
    try:
        document = json.loads(text, parse_float=decimal.Decimal, parse_constant=_refuse_constant)
        if isinstance(document, str):
            document = json.loads(document, parse_float=decimal.Decimal, parse_constant=_refuse_constant)
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

    :raises UnableToReadTariff: a field is unknown, missing or beyond what is priced.
    """
    unknown = sorted(set(rate) - _INFORMATION - _FREE_TEXT - _NOT_PRICED - _PRICED)
    if unknown:
        raise UnableToReadTariff(f"Unknown field: {', '.join(unknown)}.")
    try:
        return _build(rate=rate, currency=currency)
    except ValueError as error:
        raise UnableToReadTariff(str(error)) from error


def _build(*, rate: Mapping[str, object], currency: str) -> tariffs.Tariff:
    warnings = [f"`{field}` is free text and is not priced." for field in sorted(_FREE_TEXT & set(rate))]
    warnings += [f"`{field}` is not priced." for field in sorted(_NOT_PRICED & set(rate)) if _is_something(rate[field])]
    # Sheets older than `dgrules` say with `usenetmetering` whether a month is netted; SAM takes silence for yes.
    rules = rate.get("dgrules", "Net Billing Instantaneous" if rate.get("usenetmetering") is False else "Net Metering")
    if not isinstance(rules, str) or rules not in _METERING:
        raise UnableToReadTariff(f"`dgrules` is {rules!r}; known are {', '.join(_METERING)}.")
    reactive = rate.get("demandreactivepowercharge")
    return tariffs.Tariff(
        label=_text(rate, "label"),
        name=_text(rate, "name"),
        utility=_text(rate, "utility"),
        currency=currency,
        energy=_energy(rate),
        flat_demand=_flat_demand(rate),
        tou_demand=_tou_demand(rate),
        coincident_demand=_coincident(rate),
        reactive_nano_per_kvar=None if reactive is None else _nano(reactive, "demandreactivepowercharge"),
        demand_window_minutes=_window(rate, warnings),
        ratchet=_ratchet(rate),
        fixed=_fixed(rate),
        minimums=_minimums(rate),
        fuel_adjustments_nano=_fuel_adjustments(rate),
        metering=_METERING[rules],
        sector=_text(rate, "sector"),
        effective_from=_date(rate, "startdate"),
        effective_until=_date(rate, "enddate"),
        source=_text(rate, "source") or _text(rate, "uri"),
        warnings=tuple(warnings),
    )


def _energy(rate: Mapping[str, object]) -> tariffs.EnergyCharge | None:
    if "energyratestructure" not in rate:
        return None
    structure = tuple(
        tuple(_energy_tier(tier, f"energyratestructure[{p}][{t}]") for t, tier in enumerate(_list(tiers, "tiers")))
        for p, tiers in enumerate(_list(rate["energyratestructure"], "energyratestructure"))
    )
    return tariffs.EnergyCharge(tiers=structure, schedule=_time_of_use(rate, "energy"))


def _energy_tier(value: object, where: str) -> tariffs.EnergyTier:
    tier = _tier(value, where, _ENERGY_TIER_FIELDS)
    unit = tier.get("unit", tariffs.EnergyUnit.KWH.value)
    try:
        known = tariffs.EnergyUnit(str(unit))
    except ValueError as error:
        raise UnableToReadTariff(f"`{where}.unit` is {unit!r}, which is not priced.") from error
    return tariffs.EnergyTier(
        upper_micro=_upper(tier, where),
        unit=known,
        price_nano=_nano(tier.get("rate", 0), f"{where}.rate"),
        adjustment_nano=_nano(tier.get("adj", 0), f"{where}.adj"),
        sell_nano=_nano(tier["sell"], f"{where}.sell") if "sell" in tier else None,
    )


def _flat_demand(rate: Mapping[str, object]) -> tariffs.FlatDemandCharge | None:
    if "flatdemandstructure" not in rate:
        return None
    unit, daily = _demand_unit(rate.get("flatdemandunit", "kW"), "flatdemandunit")
    months = [_whole(month, "flatdemandmonths") for month in _list(rate.get("flatdemandmonths", [0] * 12), "months")]
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
    for p, tiers in enumerate(_list(rate[field], field)):
        steps: list[tariffs.DemandTier] = []
        for t, value in enumerate(_list(tiers, f"{field}[{p}]")):
            where = f"{field}[{p}][{t}]"
            tier = _tier(value, where, _DEMAND_TIER_FIELDS)
            steps.append(
                tariffs.DemandTier(
                    upper_micro=_upper(tier, where),
                    price_nano=_nano(tier.get("rate", 0), f"{where}.rate"),
                    adjustment_nano=_nano(tier.get("adj", 0), f"{where}.adj"),
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
            amount_nano=_nano(amount or 0, "fixedchargefirstmeter"),
            per=_per(rate, "fixedchargeunits"),
            additional_nano=_nano(additional, "fixedchargeeaaddl"),
        ),
    )


def _minimums(rate: Mapping[str, object]) -> tuple[tariffs.MinimumCharge, ...]:
    found: list[tariffs.MinimumCharge] = []
    for field, per in (
        ("mincharge", _per(rate, "minchargeunits")),
        ("minmonthlycharge", tariffs.ChargePer.MONTH),
        ("annualmincharge", tariffs.ChargePer.YEAR),
    ):
        amount = _nano(rate.get(field, 0), field)
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
    months = [_nano(value, "fueladjustmentsmonthly") for value in _list(rate["fueladjustmentsmonthly"], "months")]
    if len(months) != tariffs.MONTHS:
        raise UnableToReadTariff("`fueladjustmentsmonthly` has 12 months.")
    return tuple(months)


def _ratchet(rate: Mapping[str, object]) -> tariffs.Ratchet | None:
    percent = _number(rate.get("lookbackpercent", 0), "lookbackpercent")
    if not percent:
        return None
    months = [bool(month) for month in _list(rate.get("lookbackmonths", [True] * 12), "lookbackmonths")]
    if len(months) != tariffs.MONTHS:
        raise UnableToReadTariff("`lookbackmonths` has 12 months.")
    return tariffs.Ratchet(
        percent_micro=int(percent * tariffs.MICRO),
        months=tuple(months),
        range_months=_whole(rate.get("lookbackrange", 0), "lookbackrange"),
    )


def _window(rate: Mapping[str, object], warnings: list[str]) -> int | None:
    if "demandwindow" not in rate:
        return None
    minutes = _number(rate["demandwindow"], "demandwindow")
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
    return tuple(tuple(_whole(hour, field) for hour in _list(row, field)) for row in _list(rate[field], field))


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
    upper = _number(tier["max"], f"{where}.max")
    if upper < 0:
        raise UnableToReadTariff(f"`{where}.max` is negative.")
    return None if upper >= decimal.Decimal("1e37") else int(upper * tariffs.MICRO)


def _nano(value: object, where: str) -> int:
    return int((_number(value, where) * tariffs.NANO).to_integral_value(rounding=decimal.ROUND_HALF_EVEN))


def _number(value: object, where: str) -> decimal.Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | decimal.Decimal):
        raise UnableToReadTariff(f"`{where}` is {value!r}, not a number.")
    number = decimal.Decimal(repr(value)) if isinstance(value, float) else decimal.Decimal(value)
    if not number.is_finite() or abs(number) > decimal.Decimal("1e38"):
        raise UnableToReadTariff(f"`{where}` is {value!r}, not a finite number.")
    return number


def _whole(value: object, where: str) -> int:
    if type(value) is int:
        return value
    number = _number(value, where)
    if number != number.to_integral_value():
        raise UnableToReadTariff(f"`{where}` holds {value!r}, not a whole number.")
    return int(number)


def _list(value: object, where: str) -> Sequence[object]:
    if not isinstance(value, list | tuple):
        raise UnableToReadTariff(f"`{where}` is not a list.")
    return value


def _text(rate: Mapping[str, object], field: str) -> str:
    return str(rate.get(field) or "")


def _date(rate: Mapping[str, object], field: str) -> datetime.date | None:
    if rate.get(field) is None:
        return None
    return datetime.datetime.fromtimestamp(_whole(rate[field], field), tz=datetime.UTC).date()


def _is_something(value: object) -> bool:
    return any(map(_is_something, value)) if isinstance(value, list | tuple) else bool(value)


def _refuse_constant(name: str) -> object:
    raise UnableToReadTariff(f"{name} is not a number.")
