"""What an account's running bill will come to, with its uncertainty."""

import dataclasses
import datetime
import zoneinfo

from billing import models, queries
from billing.adapters import urdb
from billing.domain import adjustments, forecast, loads, rating, rules, statements, tariffs, terms
from billing.usecases import adjust_bill, compare_tariffs
from customers import models as customer_models
from meters import queries as meter_queries
from openvpp.core import errors

_HISTORY_DAYS = 420
WORDS = {
    "tariff_of_today": "Prices in force today are taken for the whole bill.",
    "charges_only": "Credits, budget billing and payments in advance are not in it.",
    "no_weather": "No weather forecast is used: the weeks to come are taken to be like those before.",
}


class UnableToForecastBill(errors.UnableTo):
    """The running bill cannot be priced; the detail says what is in the way."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """A running bill. Amounts are None unless `state` is ready.

    `state` is ready, no_service, no_tariff, no_readings (none in this bill and the weeks before it) or too_few_days
    (there is no week like those to come). `read_until` is the first local day not read yet.
    """

    account: customer_models.CustomerAccount
    state: str
    starts_on: datetime.date
    ends_on: datetime.date
    read_until: datetime.date | None = None
    so_far_nano: int | None = None
    spread: forecast.Spread | None = None
    omissions: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Sheet:
    """What prices a path at one service point."""

    code: str
    tariff: tariffs.Tariff
    reading: terms.Terms
    history: rating.History
    book: rules.Rulebook

    def price(self, *, load: loads.IntervalSeries, period: loads.BillingPeriod) -> tuple[int, tuple[str, ...]]:
        rated = rating.rate(tariff=self.tariff, load=load, period=period, reading=self.reading, history=self.history)
        added = adjustments.charge(
            lines=rated.lines,
            usage=rated.usage,
            period=period,
            tariff_code=self.code,
            reading=self.reading,
            book=self.book,
        )
        return rated.total_nano + sum(line.amount_nano for line in added), rated.omissions


def forecast_bill(
    *, account: customer_models.CustomerAccount, now: datetime.datetime, paths: int = forecast.PATHS
) -> Forecast:
    """Return what the bill that runs now comes to: so far, in all, and between which amounts with a chance of 80 %.

    :raises UnableToForecastBill: the tariff cannot price the readings.
    :raises meter_queries.UnableToReadUsage: the readings cannot be added up.
    """
    zone = zoneinfo.ZoneInfo(account.utility.time_zone)
    today = now.astimezone(zone).date()
    last = account.bills.exclude(state=models.Bill.State.CANCELLED).order_by("-ends_on").first()
    starts_on, ends_on = forecast.running_period(last=(last.starts_on, last.ends_on) if last else None, today=today)
    agreements = [
        agreement
        for agreement in account.agreements.select_related("service_point").order_by("starts_on", "pk")
        if agreement.starts_on <= today and (agreement.ends_on is None or agreement.ends_on > today)
    ]
    nothing = Forecast(account=account, state="no_service", starts_on=starts_on, ends_on=ends_on)
    if not agreements:
        return nothing
    totals, so_far, omissions, read_until = [0] * paths, 0, dict[str, None](), ends_on
    for place, agreement in enumerate(agreements):
        days = (max(starts_on, agreement.starts_on), min(ends_on, agreement.ends_on or ends_on))
        period = loads.BillingPeriod(*days, zone)
        sheet = _sheet(agreement=agreement, today=today, period=period, is_main=place == 0)
        if sheet is None:
            return dataclasses.replace(nothing, state="no_tariff")
        extent = meter_queries.get_extent(service_point_id=agreement.service_point_id)
        if extent is None or extent[1] < starts_on - datetime.timedelta(days=forecast.LEAST_DAYS):
            return dataclasses.replace(nothing, state="no_readings")
        known = _known(agreement=agreement, extent=extent, period=period, today=today)
        complete = forecast.to_days(load=known, period=period)
        until = _read_until(complete=complete, period=period)
        drawn = forecast.draw(days=complete, known=known, period=period, until=until, paths=paths)
        if not drawn or len(complete.numbers) < forecast.LEAST_DAYS:
            return dataclasses.replace(nothing, state="too_few_days")
        try:
            priced = [sheet.price(load=load, period=period) for load in drawn]
            if until > period.starts_on:
                so_far += sheet.price(load=known, period=loads.BillingPeriod(period.starts_on, until, zone))[0]
        except rating.UnableToRate as error:
            raise UnableToForecastBill(error.detail, code=error.code) from error
        totals = [total + priced[path % len(priced)][0] for path, total in enumerate(totals)]
        omissions |= dict.fromkeys(priced[0][1])
        read_until = min(read_until, until)
    return Forecast(
        account=account,
        state="ready",
        starts_on=starts_on,
        ends_on=ends_on,
        read_until=read_until,
        so_far_nano=so_far,
        spread=forecast.spread(
            totals_nano=totals,
            to_come=forecast.share_to_come(period=loads.BillingPeriod(starts_on, ends_on, zone), until=read_until),
        ),
        omissions=tuple(omissions),
    )


def _sheet(
    *, agreement: customer_models.ServiceAgreement, today: datetime.date, period: loads.BillingPeriod, is_main: bool
) -> _Sheet | None:
    account = agreement.account
    row = queries.get_tariff(utility_id=account.utility_id, code=agreement.tariff_code, day=today)
    if row is None:
        return None
    books = adjust_bill.read(
        utility_id=account.utility_id,
        starts_on=period.starts_on,
        ends_on=period.ends_on,
        account_ids=[account.pk],
    )
    left = queries.get_remainders(account_ids=[account.pk]).get(account.pk, [])
    return _Sheet(
        code=row.code,
        tariff=urdb.read(text=row.document, currency=account.utility.currency),
        reading=statements.read_terms(saved=row.terms),
        history=statements.history(
            remainders=[item for item in left if item.service_point_id == agreement.service_point_id], span=period
        ),
        book=books.at(account_id=account.pk, service_point_id=agreement.service_point_id, is_main=is_main),
    )


def _known(
    *,
    agreement: customer_models.ServiceAgreement,
    extent: tuple[datetime.date, datetime.date],
    period: loads.BillingPeriod,
    today: datetime.date,
) -> loads.IntervalSeries:
    """Return the readings of the account's own days, up to today, a year and some weeks back."""
    first = max(extent[0], agreement.starts_on, period.starts_on - datetime.timedelta(days=_HISTORY_DAYS))
    after = max(first + datetime.timedelta(days=1), min(extent[1] + datetime.timedelta(days=1), period.ends_on, today))
    return compare_tariffs.read_load(
        service_point_id=agreement.service_point_id, starts_on=first, ends_on=after, zone=period.zone
    )


def _read_until(*, complete: forecast.Days, period: loads.BillingPeriod) -> datetime.date:
    """Return the first day of the period that is not read whole."""
    epoch = datetime.date(1970, 1, 1)
    numbers = set(complete.numbers.tolist())
    day = period.starts_on
    while day < period.ends_on and (day - epoch).days in numbers:
        day += datetime.timedelta(days=1)
    return day
