"""Rates a load on a tariff: the one place where a price meets a quantity."""

import dataclasses
import datetime
import fractions

import numpy as np

from billing.domain import (
    bill,
    demand,
    energy,
    loads,
    local_time,
    net_metering,
    period_names,
    real_time,
    tariffs,
    terms,
)
from openvpp.core import errors

_TIME_OF_USE_RESOLUTION = 3600


@dataclasses.dataclass(frozen=True, slots=True)
class History:
    """What earlier bills leave behind: peaks for ratchets, kWh carried over, and what the year has cost so far.

    `carried_month` is the calendar month (1 to 12) that the kWh come from. `ends_year` says that this period is
    the tariff year's last, when a yearly minimum falls due.
    """

    peaks: tuple[demand.PastPeak, ...] = ()
    carried_milliwh: tuple[tuple[int, int], ...] = ()
    carried_month: int = 0
    billed_in_year_nano: int = 0
    ends_year: bool = False


def follow(*, history: History, rated: bill.RatedBill, ends_year: bool) -> History:
    """Return the history for the period after a bill; `ends_year` is said of that next period.

    A period's peak is remembered under the calendar month in which the period ended.
    """
    ended = rated.period.ends_on - datetime.timedelta(days=1)
    return History(
        peaks=(*history.peaks, demand.PastPeak(ended.year, ended.month, rated.usage.peak_milliw)),
        carried_milliwh=rated.carried_milliwh,
        carried_month=ended.month,
        billed_in_year_nano=0 if history.ends_year else history.billed_in_year_nano + rated.exact_nano,
        ends_year=ends_year,
    )


class UnableToRate(errors.UnableTo):
    """The load and the tariff do not make a bill; the detail says what is missing."""


def rate(
    *,
    tariff: tariffs.Tariff,
    load: loads.IntervalSeries,
    period: loads.BillingPeriod,
    reading: terms.Terms | None = None,
    history: History | None = None,
) -> bill.RatedBill:
    """Return the bill of one billing period, exact to the nano-unit.

    `load` may reach beyond the period: intervals count where they start. The lines sum to the total, which a
    line named rounding makes whole minor units.

    :raises UnableToRate: the load does not cover the period, or its intervals are longer than an hour where the
        price changes by the hour.
    """
    reading = reading or terms.Terms()
    history = history or History()
    inside = load.between(starts=period.starts, ends=period.ends)
    _check_coverage(load=inside, period=period, reading=reading)
    times = local_time.to_local(starts=inside.starts, zone=period.zone, holidays=reading.holidays)
    _check_resolution(tariff=tariff, load=inside)
    shares = terms.month_shares(period=period, terms=reading)
    longest = int(inside.seconds.max()) if len(inside) else 0
    omissions = omissions_of(
        tariff=tariff, reading=reading, has_reactive=inside.reactive_millivarh is not None, longest_seconds=longest
    )

    last_day = period.ends_on - datetime.timedelta(days=1)
    peaks = demand.powers_milliw(load=inside, window_minutes=tariff.demand_window_minutes, metering=tariff.metering)
    peak_milliw = int(peaks.max()) if len(peaks) else 0
    billed_milliw = demand.billing_demand_milliw(
        peak_milliw=peak_milliw,
        ratchet=tariff.ratchet,
        reading=reading.ratchet,
        month=(last_day.year, last_day.month),
        history=history.peaks,
    )
    settled = net_metering.settle(
        load=inside,
        times=times,
        tariff=tariff,
        carried_milliwh=carried_of(tariff=tariff, history=history, period=period, reading=reading),
    )
    cashed_out: bill.Line | None = None
    if net_metering.is_true_up(tariff=tariff, period=period, reading=reading):
        settled, cashed_out = net_metering.cash_out(settled=settled, reading=reading)
    lines: list[bill.Line] = []
    if tariff.energy is not None:
        lines += energy.lines(
            charge=tariff.energy,
            energy_milliwh=settled.bought_milliwh,
            allocation=tariff.tier_allocation,
            reading=reading.tiers,
            demand_milliw=billed_milliw,
            days=period.days,
            factor=shares.factor,
            period_names=period_names.name_periods(
                schedule=tariff.energy.schedule, months=frozenset(month for month, _ in shares.shares)
            ),
        )
        lines += net_metering.credit_lines(
            charge=tariff.energy,
            sold_milliwh=settled.sold_milliwh,
            reading=reading.tiers,
            demand_milliw=billed_milliw,
            days=period.days,
            factor=shares.factor,
        )
    lines += [cashed_out] if cashed_out else []
    if reading.real_time_index:
        lines += _real_time_lines(load=inside, index=reading.real_time_index)
    if tariff.fuel_adjustments_nano is not None:
        lines += energy.fuel_lines(
            adjustments_nano=tariff.fuel_adjustments_nano, energy=settled.bought_per_interval, times=times
        )
    lines += _demand_lines(
        tariff=tariff,
        load=inside,
        peaks=peaks,
        times=times,
        billed_milliw=billed_milliw,
        shares=shares,
        reading=reading,
    )
    lines += fixed_lines(tariff=tariff, period=period, shares=shares, reading=reading)
    lines += _minimum_lines(
        tariff=tariff, period=period, shares=shares, history=history, spent=sum(line.amount_nano for line in lines)
    )
    rounding = bill.rounding_line(lines=tuple(lines), rounding=reading.rounding, minor_digits=reading.minor_digits)
    return bill.RatedBill(
        tariff_label=tariff.label,
        currency=tariff.currency,
        period=period,
        lines=(*lines, rounding) if rounding else tuple(lines),
        usage=bill.Usage(
            import_milliwh=int(inside.import_milliwh.sum()),
            export_milliwh=0 if inside.export_milliwh is None else int(inside.export_milliwh.sum()),
            peak_milliw=peak_milliw,
            billing_demand_milliw=billed_milliw,
        ),
        omissions=tuple(omissions),
        carried_milliwh=tuple(sorted(settled.carried_milliwh.items())),
    )


def _real_time_lines(*, load: loads.IntervalSeries, index: str) -> list[bill.Line]:
    try:
        return real_time.lines(load=load, index=index)
    except real_time.Unpriced as error:
        raise UnableToRate(str(error), code="no_real_time_price") from error


def carried_of(
    *, tariff: tariffs.Tariff, history: History, period: loads.BillingPeriod, reading: terms.Terms
) -> dict[int, int]:
    """Return the kWh that arrive from the bill before, in mWh by this period's time-of-use periods."""
    if not history.carried_milliwh or tariff.energy is None:
        return {}
    return net_metering.carry(
        carried_milliwh=dict(history.carried_milliwh),
        schedule=tariff.energy.schedule,
        months=(history.carried_month, period.starts_on.month),
        reading=reading.carry,
    )


def _demand_lines(
    *,
    tariff: tariffs.Tariff,
    load: loads.IntervalSeries,
    peaks: loads.Int64s,
    times: local_time.LocalTimes,
    billed_milliw: int,
    shares: terms.MonthShares,
    reading: terms.Terms,
) -> list[bill.Line]:
    lines: list[bill.Line] = []
    if tariff.flat_demand is not None:
        lines += demand.flat_lines(
            charge=tariff.flat_demand,
            peaks=peaks,
            times=times,
            billed_milliw=billed_milliw,
            shares=shares,
            reading=reading,
        )
    if tariff.tou_demand is not None:
        lines += demand.time_of_use_lines(
            charge=tariff.tou_demand,
            peaks=peaks,
            times=times,
            ratcheted_milliw=billed_milliw if tariff.ratchet is not None else None,
            shares=shares,
            reading=reading,
        )
    if tariff.coincident_demand is not None:
        lines += demand.coincident_lines(
            charge=tariff.coincident_demand, load=load, peaks=peaks, times=times, reading=reading
        )
    if tariff.reactive_nano_per_kvar is not None:
        lines += demand.reactive_lines(price_nano=tariff.reactive_nano_per_kvar, load=load, shares=shares)
    return lines


def fixed_lines(
    *, tariff: tariffs.Tariff, period: loads.BillingPeriod, shares: terms.MonthShares, reading: terms.Terms
) -> list[bill.Line]:
    lines: list[bill.Line] = []
    for charge in tariff.fixed:
        prices = [
            (charge.label, charge.amount_nano, 1),
            ("Additional meters", charge.additional_nano, reading.meters - 1),
        ]
        for label, amount_nano, count in prices:
            if amount_nano and count:
                quantity, unit, factor = _span(per=charge.per, period=period, shares=shares)
                lines.append(
                    bill.priced(
                        kind=bill.LineKind.FIXED,
                        label=label,
                        quantity_micro=quantity * count * 10**6,
                        unit=unit,
                        unit_price_nano=amount_nano,
                        factor=factor,
                    )
                )
    return lines


def _minimum_lines(
    *,
    tariff: tariffs.Tariff,
    period: loads.BillingPeriod,
    shares: terms.MonthShares,
    history: History,
    spent: int,
) -> list[bill.Line]:
    """Return what is missing to each minimum; a yearly one falls due in the year's last period."""
    lines: list[bill.Line] = []
    for minimum in tariff.minimums:
        if minimum.per is tariffs.ChargePer.YEAR:
            if not history.ends_year:
                continue
            least, reached = minimum.amount_nano, history.billed_in_year_nano + spent
        else:
            least, reached = least_nano(minimum=minimum, period=period, shares=shares), spent
        missing = least - reached
        if missing > 0:
            lines.append(
                bill.Line(
                    kind=bill.LineKind.MINIMUM,
                    label=minimum_label(minimum),
                    quantity=bill.ONE,
                    unit="bill",
                    unit_price_nano=missing,
                    amount_nano=missing,
                )
            )
            spent += missing
    return lines


def least_nano(*, minimum: tariffs.MinimumCharge, period: loads.BillingPeriod, shares: terms.MonthShares) -> int:
    """Return what a minimum by day or month comes to in a period."""
    quantity, _, factor = _span(per=minimum.per, period=period, shares=shares)
    return bill.divide_half_even(minimum.amount_nano * quantity * factor.numerator, factor.denominator)


def minimum_label(minimum: tariffs.MinimumCharge) -> str:
    """Return what the line is called that fills a bill up to a minimum."""
    return f"Minimum charge per {minimum.per.value}"


def _span(
    *, per: tariffs.ChargePer, period: loads.BillingPeriod, shares: terms.MonthShares
) -> tuple[int, str, fractions.Fraction]:
    """Return how many of a charge's spans the period holds, its unit, and the factor on it."""
    match per:
        case tariffs.ChargePer.DAY:
            return period.days, "day", fractions.Fraction(1)
        case tariffs.ChargePer.MONTH:
            return 1, "month", shares.factor
        case tariffs.ChargePer.YEAR:
            return 1, "year", shares.factor / 12


def omissions_of(
    *, tariff: tariffs.Tariff, reading: terms.Terms, has_reactive: bool, longest_seconds: int
) -> list[str]:
    """Name each charge that cannot be priced with what is known, and why."""
    found: list[str] = []
    if tariff.coincident_demand is not None and not reading.system_peaks:
        found.append("Coincident demand: the utility's system peak is not given.")
    if tariff.reactive_nano_per_kvar is not None and not has_reactive:
        found.append("Reactive demand: the load has no reactive energy.")
    window = tariff.demand_window_minutes
    has_demand = tariff.flat_demand is not None or tariff.tou_demand is not None
    if has_demand and window is not None and longest_seconds > window * 60:
        found.append(f"Demand window: the tariff says {window} minutes, the meter reads {longest_seconds // 60}.")
    return found


def _check_coverage(*, load: loads.IntervalSeries, period: loads.BillingPeriod, reading: terms.Terms) -> None:
    if reading.allow_gaps:
        return
    covered = int(load.seconds.sum())
    wanted = period.ends - period.starts
    if covered < wanted:
        first = _first_gap(load=load, period=period)
        raise UnableToRate(
            f"The load covers {covered // 60} of {wanted // 60} minutes of {period.starts_on} to {period.ends_on}; "
            f"the first gap is at {first}.",
            code="load_has_gaps",
        )
    if covered > wanted:
        raise UnableToRate("The last interval reaches beyond the billing period.", code="load_overhangs_period")


def _first_gap(*, load: loads.IntervalSeries, period: loads.BillingPeriod) -> str:
    ends = np.concatenate([[period.starts], load.starts + load.seconds])
    starts = np.concatenate([load.starts, [period.ends]])
    gap = int(ends[np.argmax(starts > ends)])
    return datetime.datetime.fromtimestamp(gap, tz=period.zone).isoformat()


def _check_resolution(*, tariff: tariffs.Tariff, load: loads.IntervalSeries) -> None:
    if not len(load) or int(load.seconds.max()) <= _TIME_OF_USE_RESOLUTION:
        return
    charges = [charge for charge in (tariff.energy, tariff.tou_demand) if charge is not None]
    if any(len(charge.schedule.periods) > 1 for charge in charges):
        raise UnableToRate(
            f"Intervals of {int(load.seconds.max()) // 60} minutes cannot be split over the hours of a time-of-use "
            "price.",
            code="intervals_too_long",
        )
