"""What a lot of a bill run needs, read at once: most accounts as columns, the others one by one."""

import collections
import dataclasses
import datetime
import zoneinfo
from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt
from django.contrib.postgres import aggregates
from django.db import models as db_models
from django.db.models import Q

from billing import models, queries
from billing.domain import loads
from billing.usecases import adjust_bill
from customers import models as customer_models
from meters.queries import packed
from openvpp.core import db
from openvpp.core import period as periods

NOWHERE = -1


@dataclasses.dataclass(frozen=True, slots=True)
class Service:
    """An agreement, as far as a run needs it."""

    agreement_id: int
    service_point_id: int
    tariff_code: str
    starts_on: datetime.date
    ends_on: datetime.date | None


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Plain:
    """Accounts that nothing but a tariff applies to, at one point for the whole period, with one delivered channel.

    `spans` and `rows` say where their counts are in `Lot.spans`, `NOWHERE` where readings are not alike.
    """

    account_ids: loads.Int64s
    points: loads.Int64s
    codes: npt.NDArray[np.str_]
    spans: loads.Int64s
    rows: loads.Int64s
    factors: loads.Int64s


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Lot:
    """What was read of some accounts; `services` and `channels` are those of the accounts that are not plain."""

    account_ids: list[int]
    plain: Plain
    others: list[int]
    services: Mapping[int, list[Service]]
    channels: Mapping[int, list[packed.CountedChannel]]
    spans: list[packed.PackedSpan]
    factors: list[loads.Int64s]
    multipliers: Mapping[int, int | None]
    questioned: Collection[int]
    billed: frozenset[int]
    overlapped: Mapping[int, str]
    previous: Mapping[int, int]
    books: adjust_bill.Rulebooks


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class _Agreements:
    """Agreements of the accounts of a lot in no order: account, point, tariff, and whether it is in force all days."""

    accounts: loads.Int64s
    points: loads.Int64s
    codes: npt.NDArray[np.str_]
    is_whole: npt.NDArray[np.bool_]


def read(*, run: models.BillRun, account_ids: list[int]) -> Lot:
    """Read what the bills of some accounts need, in a fixed number of reads."""
    zone = zoneinfo.ZoneInfo(run.utility.time_zone)
    books = adjust_bill.read(
        utility_id=run.utility_id, starts_on=run.starts_on, ends_on=run.ends_on, account_ids=account_ids
    )
    overlapping = queries.get_overlapping(account_ids=account_ids, starts_on=run.starts_on, ends_on=run.ends_on)
    same = {row.account_id for row in overlapping if (row.starts_on, row.ends_on) == (run.starts_on, run.ends_on)}
    agreements = _read_agreements(run=run, account_ids=account_ids)
    points = np.unique(agreements.points).tolist()
    multipliers = packed.get_whole_multipliers(service_point_ids=points, first=run.starts_on, after=run.ends_on)
    questioned = packed.get_questioned_points(
        service_point_ids=points,
        starts_at=periods.local_midnight(day=run.starts_on, zone=zone),
        ends_at=periods.local_midnight(day=run.ends_on, zone=zone),
    )
    odd_points = [*questioned, *(point for point, factor in multipliers.items() if factor is None)]
    channels, of_points = packed.get_single_channels(service_point_ids=points, zone=zone)
    at = _places(wanted=agreements.points, among=of_points)
    is_plain = (
        _stands_once(agreements.accounts)
        & agreements.is_whole
        & (at != NOWHERE)
        & ~np.isin(agreements.points, np.array(odd_points, dtype=np.int64))
        & ~np.isin(agreements.accounts, np.array([row.account_id for row in overlapping], dtype=np.int64))
        & ~_is_adjusted(books, agreements)
    )
    plain_channels = channels[at[is_plain]]
    plain_ids = set(agreements.accounts[is_plain].tolist())
    others = [account_id for account_id in account_ids if account_id not in plain_ids]
    services = _read_services(run=run, account_ids=others) if others else {}
    others_channels = (
        packed.get_counted_channels(
            service_point_ids=[each.service_point_id for found in services.values() for each in found]
        )
        if services
        else {}
    )
    ids = [each.channel_id for found in others_channels.values() for each in found if each.time_zone == zone.key]
    spans = list(
        packed.get_packed(
            channel_ids=[*plain_channels.tolist(), *ids], first=run.starts_on, after=run.ends_on, zone=zone
        )
    )
    factors = _factors(agreements.points[is_plain], multipliers)
    return Lot(
        account_ids=account_ids,
        plain=Plain(
            agreements.accounts[is_plain],
            agreements.points[is_plain],
            agreements.codes[is_plain],
            *_find(channels=plain_channels, spans=spans),
            factors,
        ),
        others=others,
        services=services,
        channels=others_channels,
        spans=spans,
        factors=[_factors_of_span(span, plain_channels, factors, others_channels, multipliers) for span in spans],
        multipliers=multipliers,
        questioned=questioned,
        billed=frozenset(same),
        overlapped={row.account_id: row.number for row in overlapping if row.account_id not in same},
        previous=queries.get_amounts_before(account_ids=account_ids, day=run.starts_on),
        books=books,
    )


def is_adjusted(*, books: adjust_bill.Rulebooks, account_id: int, points: Collection[int]) -> bool:
    """Say whether the utility's rules add anything to an account's bill."""
    if account_id in books.credits_left or account_id in books.plans or account_id in books.prepaid_nano:
        return True
    return any(not books.at(account_id=account_id, service_point_id=point).is_empty for point in points)


def has_rules(*, books: adjust_bill.Rulebooks) -> bool:
    """Say whether any account of a lot may have something added to its bill."""
    own = (books.own_riders, books.discounts, books.credits_left, books.plans, books.prepaid_nano)
    return bool(books.riders or (books.taxes and books.places) or any(own))


def _agreements(run: models.BillRun, account_ids: list[int]) -> "db_models.QuerySet[customer_models.ServiceAgreement]":
    return customer_models.ServiceAgreement.objects.filter(
        account_id__in=db.any_of(account_ids), starts_on__lt=run.ends_on
    ).exclude(ends_on__lte=run.starts_on)


def _read_agreements(*, run: models.BillRun, account_ids: list[int]) -> _Agreements:
    whole = Q(starts_on__lte=run.starts_on) & (Q(ends_on__isnull=True) | Q(ends_on__gte=run.ends_on))
    found = _agreements(run, account_ids).aggregate(
        accounts=aggregates.ArrayAgg("account_id"),
        points=aggregates.ArrayAgg("service_point_id"),
        codes=aggregates.ArrayAgg("tariff_code"),
        is_whole=aggregates.ArrayAgg(db_models.ExpressionWrapper(whole, output_field=db_models.BooleanField())),
    )
    return _Agreements(
        accounts=np.array(found["accounts"] or [], dtype=np.int64),
        points=np.array(found["points"] or [], dtype=np.int64),
        codes=np.array(found["codes"] or [], dtype=np.str_),
        is_whole=np.array(found["is_whole"] or [], dtype=np.bool_),
    )


def _read_services(*, run: models.BillRun, account_ids: list[int]) -> dict[int, list[Service]]:
    services: dict[int, list[Service]] = collections.defaultdict(list)
    rows = _agreements(run, account_ids).order_by("starts_on", "pk")
    names = ("pk", "service_point_id", "tariff_code", "starts_on", "ends_on")
    for account_id, pk, point, code, starts_on, ends_on in rows.values_list("account_id", *names):
        services[account_id].append(Service(pk, point, code, starts_on, ends_on))
    return services


def _is_adjusted(books: adjust_bill.Rulebooks, agreements: _Agreements) -> npt.NDArray[np.bool_]:
    found = np.zeros(len(agreements.accounts), dtype=np.bool_)
    if has_rules(books=books):
        pairs = zip(agreements.accounts.tolist(), agreements.points.tolist(), strict=True)
        found[:] = [is_adjusted(books=books, account_id=account_id, points=[point]) for account_id, point in pairs]
    return found


def _stands_once(ids: loads.Int64s) -> npt.NDArray[np.bool_]:
    _, inverse, counts = np.unique(ids, return_inverse=True, return_counts=True)
    return np.asarray(counts[inverse] == 1)


def _places(*, wanted: loads.Int64s, among: loads.Int64s) -> loads.Int64s:
    """Return where each id stands among others that are all different, `NOWHERE` for those that do not."""
    if not len(among):
        return np.full(len(wanted), NOWHERE, dtype=np.int64)
    order = np.argsort(among)
    found = order[np.minimum(np.searchsorted(among, wanted, sorter=order), len(among) - 1)]
    return np.where(among[found] == wanted, found, NOWHERE)


def _find(*, channels: loads.Int64s, spans: list[packed.PackedSpan]) -> tuple[loads.Int64s, loads.Int64s]:
    """Return the span of each delivered channel and its row in there; nowhere if it has reads below zero."""
    places, rows = (np.full(len(channels), NOWHERE, dtype=np.int64) for _ in range(2))
    for place, span in enumerate(spans):
        found = _places(wanted=channels, among=span.channel_ids)
        if int(span.counts.min()) < 0:
            is_below = span.counts.min(axis=1) < 0
            found[(found != NOWHERE) & is_below[found]] = NOWHERE
        here = found != NOWHERE
        places[here], rows[here] = place, found[here]
    return places, rows


def _factors(points: loads.Int64s, multipliers: Mapping[int, int | None]) -> loads.Int64s:
    """Return what reads at points are multiplied by; 1 where they are rated alone."""
    factors = np.ones(len(points), dtype=np.int64)
    for point, factor in multipliers.items():
        factors[points == point] = factor or 1
    return factors


def _factors_of_span(
    span: packed.PackedSpan,
    plain_channels: loads.Int64s,
    plain_factors: loads.Int64s,
    channels: Mapping[int, list[packed.CountedChannel]],
    multipliers: Mapping[int, int | None],
) -> loads.Int64s:
    factors = np.ones(len(span.channel_ids), dtype=np.int64)
    if not multipliers:
        return factors
    at = _places(wanted=span.channel_ids, among=plain_channels)
    factors[at != NOWHERE] = plain_factors[at[at != NOWHERE]]
    for point, factor in multipliers.items():
        for each in channels.get(point, ()):
            factors[span.channel_ids == each.channel_id] = factor or 1
    return factors
