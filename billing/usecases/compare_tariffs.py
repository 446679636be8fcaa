"""Would another tariff have cost an account less? Its own readings of the last twelve months, on each it may take."""

import dataclasses
import datetime
import zoneinfo

from billing import models
from billing.adapters import urdb
from billing.domain import comparison, loads, rating, rules, statements
from billing.usecases import adjust_bill, price_load
from customers import models as customer_models
from meters import queries as meter_queries
from openvpp.core import errors
from openvpp.core import period as periods

_MOST_DAYS = 400
CAVEATS = {
    "same_use": "It is taken that you would have used the same energy at the same hours.",
    "prices_of_today": "Every month is priced at the prices in force today, not at those of its own time.",
    "not_on_it": "Credits, budget billing and payments in advance are left out: they are the same on every tariff.",
    "eligibility": "Only tariffs of your kind of service are shown. Whether you may take one is the utility's to say.",
    "from_zero": "Demand of earlier months and energy carried over count from the first month shown.",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What each tariff would have cost, cheapest first; those that could not be priced last.

    `state` is ready, no_service, no_readings (not one whole month) or no_tariff (none is in force for the service).
    `left_out` names the first days of months with readings missing.
    """

    account: customer_models.CustomerAccount
    service_point: customer_models.ServicePoint | None
    state: str
    current_code: str = ""
    costs: tuple[comparison.Cost, ...] = ()
    left_out: tuple[datetime.date, ...] = ()
    caveats: tuple[str, ...] = ()

    @property
    def current(self) -> comparison.Cost | None:
        """Return what the tariff that the account is on would have cost."""
        return next((cost for cost in self.costs if cost.candidate.code == self.current_code and cost.months), None)


def compare(
    *, account: customer_models.CustomerAccount, service_point_id: int | None = None, now: datetime.datetime
) -> Comparison:
    """Return the comparison at one service point of an account, at its latest where none is named.

    :raises errors.NotFound: the account takes no service at the point named.
    :raises meter_queries.UnableToReadUsage: the readings cannot be added up.
    """
    zone = zoneinfo.ZoneInfo(account.utility.time_zone)
    today = now.astimezone(zone).date()
    agreements = account.agreements.select_related("service_point").filter(starts_on__lte=today)
    if service_point_id is not None:
        agreements = agreements.filter(service_point_id=service_point_id)
    agreement: customer_models.ServiceAgreement | None = agreements.order_by("-starts_on", "-pk").first()
    if agreement is None:
        if service_point_id is not None:
            raise errors.NotFound("The account takes no service there.", code="not_found")
        return Comparison(account=account, service_point=None, state="no_service")
    point = agreement.service_point
    load, found = _read(agreement=agreement, today=today, zone=zone)
    months = [period for period in found if comparison.covered(load=load, period=period)]
    left_out = tuple(period.starts_on for period in found if period not in months)
    if not months:
        return Comparison(account=account, service_point=point, state="no_readings", left_out=left_out)
    candidates = _candidates(account=account, code=agreement.tariff_code, day=today)
    if not candidates:
        return Comparison(account=account, service_point=point, state="no_tariff", left_out=left_out)
    book = adjust_bill.read(
        utility_id=account.utility_id,
        starts_on=today,
        ends_on=today + datetime.timedelta(days=1),
        account_ids=[account.pk],
    ).as_always(account_id=account.pk, service_point_id=point.pk)
    costs = [_cost(candidate=each, load=load, months=months, book=book, account=account) for each in candidates]
    has_memory = any(each.tariff.ratchet is not None or load.export_milliwh is not None for each in candidates)
    caveats = [words for key, words in CAVEATS.items() if key != "from_zero" or has_memory]
    return Comparison(
        account=account,
        service_point=point,
        state="ready",
        current_code=agreement.tariff_code,
        costs=tuple(sorted(costs, key=lambda cost: (bool(cost.failure), cost.total_nano, cost.candidate.code))),
        left_out=left_out,
        caveats=tuple(caveats),
    )


def _cost(
    *,
    candidate: comparison.Candidate,
    load: loads.IntervalSeries,
    months: list[loads.BillingPeriod],
    book: rules.Rulebook,
    account: customer_models.CustomerAccount,
) -> comparison.Cost:
    try:
        priced = price_load.with_prices(load=load, reading=candidate.reading, utility_id=account.utility_id)
    except rating.UnableToRate as error:
        return comparison.Cost(candidate=candidate, months=(), omissions=candidate.warnings, failure=error.detail)
    return comparison.cost(candidate=candidate, load=priced, periods=months, book=book)


def read_load(
    *, service_point_id: int, starts_on: datetime.date, ends_on: datetime.date, zone: zoneinfo.ZoneInfo
) -> loads.IntervalSeries:
    """Return a service point's readings of the local days `[starts_on, ends_on)` as rating takes them.

    :raises meter_queries.UnableToReadUsage: they cannot be added up.
    """
    consumption = meter_queries.get_consumption(
        service_point_id=service_point_id,
        starts_at=periods.local_midnight(day=starts_on, zone=zone),
        ends_at=periods.local_midnight(day=ends_on, zone=zone),
    )
    return loads.IntervalSeries(
        starts=consumption.starts,
        seconds=consumption.seconds,
        import_milliwh=consumption.delivered_milli_wh,
        export_milliwh=consumption.received_milli_wh if consumption.has_received else None,
    )


def _read(
    *, agreement: customer_models.ServiceAgreement, today: datetime.date, zone: zoneinfo.ZoneInfo
) -> tuple[loads.IntervalSeries, tuple[loads.BillingPeriod, ...]]:
    """Return the readings of the latest twelve months in which the agreement held all along, and those months."""
    none = read_load(service_point_id=0, starts_on=today, ends_on=today + datetime.timedelta(days=1), zone=zone)
    extent = meter_queries.get_extent(service_point_id=agreement.service_point_id)
    if extent is None:
        return none, ()
    until = min(extent[1] + datetime.timedelta(days=1), agreement.ends_on or today, today)
    served = statements.Days(max(extent[0], agreement.starts_on), until)
    if until <= served.starts_on:
        return none, ()
    months = comparison.whole_months(
        first=max(served.starts_on, until - datetime.timedelta(days=_MOST_DAYS)), after=until, zone=zone
    )
    if not months:
        return none, ()
    load = read_load(
        service_point_id=agreement.service_point_id,
        starts_on=months[0].starts_on,
        ends_on=months[-1].ends_on,
        zone=zone,
    )
    return load, months


def _candidates(
    *, account: customer_models.CustomerAccount, code: str, day: datetime.date
) -> list[comparison.Candidate]:
    """Return the tariffs in force on a day that are for the sector of the one that the account is on."""
    rows = (
        models.Tariff.objects.of_utility(account.utility_id)
        .filter(effective_from__lte=day)
        .exclude(effective_until__lte=day)
        .order_by("code", "-effective_from")
        .distinct("code")
    )
    found = [
        comparison.Candidate(
            code=row.code,
            name=row.name,
            version=row.effective_from,
            tariff=urdb.read(text=row.document, currency=account.utility.currency),
            reading=statements.read_terms(saved=row.terms),
            warnings=tuple(row.warnings),
        )
        for row in rows
    ]
    own = next((each for each in found if each.code == code), None)
    if own is None:
        return []
    return [each for each in found if not own.tariff.sector or each.tariff.sector in {"", own.tariff.sector}]
