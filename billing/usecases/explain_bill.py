"""Why a bill differs from the one before it, by pricing both again."""

import dataclasses
import datetime
import zoneinfo
from collections.abc import Mapping

from billing import models, queries
from billing.adapters import urdb
from billing.domain import adjustments, bill, explanation, loads, rating, rules, statements
from billing.usecases import adjust_bill, compare_tariffs, price_load
from meters import queries as meter_queries

_NANO_PER_CENT = 10**7


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A bill, the one before it and the causes of their difference.

    `state` is ready, first (there is no bill before it), received (it was not rated here) or not_repriced: `detail`
    then says why its readings cannot be priced again.
    """

    bill: models.Bill
    state: str
    previous: models.Bill | None = None
    effects: tuple[explanation.Effect, ...] = ()
    before: tuple[int, int] = (0, 0)
    after: tuple[int, int] = (0, 0)
    detail: str = ""
    weather: Mapping[str, str] = dataclasses.field(default_factory=lambda: explanation.WEATHER)

    @property
    def difference_nano(self) -> int:
        """Return by how much the bill is dearer than the one before it."""
        previous = self.previous
        cents = 0 if previous is None else self.bill.total_cents - previous.total_cents
        return cents * _NANO_PER_CENT


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """What a bill charged at one point under one version of its tariff."""

    place: int
    service_point_id: int
    tariff: models.Tariff
    period: loads.BillingPeriod
    charged_nano: int


def explain(*, issued: models.Bill) -> Explanation:
    """Return why a bill differs from the account's bill before it; the effects sum to the difference."""
    if issued.source != models.Bill.Source.RATED:
        return Explanation(bill=issued, state="received")
    previous = (
        models.Bill.objects.filter(account=issued.account_id, source=models.Bill.Source.RATED)
        .filter(ends_on__lte=issued.starts_on)
        .exclude(state=models.Bill.State.CANCELLED)
        .order_by("-ends_on")
        .first()
    )
    if previous is None:
        return Explanation(bill=issued, state="first")
    before, after = _by_point(previous), _by_point(issued)
    last_day = previous.ends_on - datetime.timedelta(days=1)
    basis = adjust_bill.read(
        utility_id=issued.utility_id,
        starts_on=last_day,
        ends_on=previous.ends_on,
        account_ids=[issued.account_id],
    )
    both = [point for point in before if point in after]
    try:
        pairs = [
            (
                _side(of=previous, spans=before[point], tariff=before[point][-1].tariff, basis=basis),
                _side(of=issued, spans=after[point], tariff=before[point][-1].tariff, basis=basis),
            )
            for point in both
        ]
    except (rating.UnableToRate, meter_queries.UnableToReadUsage) as error:
        return Explanation(bill=issued, state="not_repriced", previous=previous, detail=error.detail)
    effects = explanation.decompose(
        pairs=pairs,
        service_nano=_charged(after, without=both) - _charged(before, without=both),
        settlement_nano=_settled(issued) - _settled(previous),
    )
    return Explanation(
        bill=issued,
        state="ready",
        previous=previous,
        effects=effects,
        before=((previous.ends_on - previous.starts_on).days, sum(pair[0].import_milliwh for pair in pairs)),
        after=((issued.ends_on - issued.starts_on).days, sum(pair[1].import_milliwh for pair in pairs)),
        weather=_weather(before=previous, after=issued),
    )


def _weather(*, before: models.Bill, after: models.Bill) -> Mapping[str, str]:
    """Return what is known of the weather of two bills, in words."""
    found = meter_queries.get_weather(utility_id=after.utility_id, first=before.starts_on, after=after.ends_on)
    sides = [found.of(first=each.starts_on, after=each.ends_on) if found else None for each in (before, after)]
    known = [
        explanation.DegreeDays(
            mean_milli_c=side.mean_milli_c,
            heating_milli=side.heating_milli_degree_days,
            cooling_milli=side.cooling_milli_degree_days,
        )
        for each, side in zip((before, after), sides, strict=True)
        if side is not None and side.days == (each.ends_on - each.starts_on).days
    ]
    return (
        explanation.weather_words(before=known[0], after=known[1]) if len(known) == len(sides) else explanation.WEATHER
    )


def _by_point(of: models.Bill) -> dict[int, list[_Span]]:
    """Return a bill's spans by service point, in the order of their days."""
    zone = zoneinfo.ZoneInfo(of.time_zone)
    sums: dict[tuple[int, datetime.date, datetime.date], int] = {}
    tariffs: dict[tuple[int, datetime.date, datetime.date], models.Tariff] = {}
    for line in of.lines.select_related("tariff"):
        if line.service_point_id is None or line.tariff is None:
            continue
        key = (line.service_point_id, line.starts_on, line.ends_on)
        sums[key] = sums.get(key, 0) + line.amount_nano
        tariffs[key] = line.tariff
    found: dict[int, list[_Span]] = {}
    for place, (key, charged_nano) in enumerate(sums.items()):
        span = _Span(
            place=place,
            service_point_id=key[0],
            tariff=tariffs[key],
            period=loads.BillingPeriod(key[1], key[2], zone),
            charged_nano=charged_nano,
        )
        found.setdefault(key[0], []).append(span)
    return {point: sorted(spans, key=lambda span: span.period.starts_on) for point, spans in found.items()}


def _side(
    *, of: models.Bill, spans: list[_Span], tariff: models.Tariff, basis: adjust_bill.Rulebooks
) -> explanation.Side:
    """Price a bill's days at one point at its own prices, and in one piece at those of `tariff` and `basis`."""
    point = spans[0].service_point_id
    is_main = min(span.place for span in spans) == 0
    own = adjust_bill.read(
        utility_id=of.utility_id, starts_on=of.starts_on, ends_on=of.ends_on, account_ids=[of.account_id]
    ).at(account_id=of.account_id, service_point_id=point, is_main=is_main)
    always = basis.as_always(account_id=of.account_id, service_point_id=point, is_main=is_main)
    remainders = _remainders_before(of=of, service_point_id=point)
    own_nano = 0
    for span in spans:
        lines, remainder = _price(of=of, span=span, tariff=span.tariff, book=own, remainders=remainders)
        own_nano += sum(line.amount_nano for line in lines)
        remainders = [*remainders, remainder]
    whole = dataclasses.replace(
        spans[0],
        period=loads.BillingPeriod(spans[0].period.starts_on, spans[-1].period.ends_on, spans[0].period.zone),
    )
    lines, remainder = _price(
        of=of,
        span=whole,
        tariff=tariff,
        book=always,
        remainders=_remainders_before(of=of, service_point_id=point),
    )
    return explanation.Side(
        days=whole.period.days,
        import_milliwh=remainder.import_milliwh,
        charged_nano=sum(span.charged_nano for span in spans),
        own_nano=own_nano,
        basis=lines,
    )


def _price(
    *,
    of: models.Bill,
    span: _Span,
    tariff: models.Tariff,
    book: rules.Rulebook,
    remainders: list[statements.Remainder],
) -> tuple[tuple[bill.Line, ...], statements.Remainder]:
    reading = statements.read_terms(saved=tariff.terms)
    load = compare_tariffs.read_load(
        service_point_id=span.service_point_id,
        starts_on=span.period.starts_on,
        ends_on=span.period.ends_on,
        zone=span.period.zone,
    )
    rated = rating.rate(
        tariff=urdb.read(text=tariff.document, currency=of.currency),
        load=price_load.with_prices(load=load, reading=reading, utility_id=of.utility_id),
        period=span.period,
        reading=reading,
        history=statements.history(remainders=remainders, span=span.period),
    )
    added = adjustments.charge(
        lines=rated.lines,
        usage=rated.usage,
        period=span.period,
        tariff_code=span.tariff.code,
        reading=reading,
        book=book,
    )
    left = statements.Remainder.of(rated=rated, service_point_id=span.service_point_id, tariff_id=tariff.pk)
    return (*rated.lines, *added), left


def _remainders_before(*, of: models.Bill, service_point_id: int) -> list[statements.Remainder]:
    left = queries.get_remainders(account_ids=[of.account_id]).get(of.account_id, [])
    return [item for item in left if item.service_point_id == service_point_id and item.ends_on <= of.starts_on]


def _charged(spans: dict[int, list[_Span]], *, without: list[int]) -> int:
    return sum(span.charged_nano for point, found in spans.items() if point not in without for span in found)


def _settled(of: models.Bill) -> int:
    return sum(line.amount_nano for line in of.lines.all() if explanation.is_settlement(line.kind))
