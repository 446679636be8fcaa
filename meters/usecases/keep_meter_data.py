"""The table of meter days is kept: partitions are made ahead, and what is too old goes."""

import dataclasses
import datetime

from meters import models
from meters.models import partitions
from openvpp.core import db, errors

_BEHIND, _AHEAD = 2, 13


class UnableToPrune(errors.Invalid):
    """The day named is none that meter data may be pruned before."""


@dataclasses.dataclass(frozen=True, slots=True)
class Pruned:
    """What went, or would go: months dropped whole, single days, versions of days, and readings over longer spans."""

    months: tuple[datetime.date, ...]
    days: int
    versions: int
    period_readings: int


@db.durable
def make_ahead(*, now: datetime.datetime) -> list[datetime.date]:
    """Make the partitions from two months ago to thirteen months ahead; return the months that had none."""
    today = now.date().replace(day=1)
    return make_partitions(first=_moved(today, -_BEHIND), last=_moved(today, _AHEAD))


@db.durable
def make_partitions(*, first: datetime.date, last: datetime.date) -> list[datetime.date]:
    """Make the partitions of every month from that of `first` to that of `last`; return those that were made.

    Days that were kept in the default partition move over. Each month is a transaction of its own.
    """
    there = set(partitions.months())
    month, made = first.replace(day=1), []
    while month <= last:
        if month not in there:
            with db.transaction():
                partitions.make(month=month)
            made.append(month)
        month = _moved(month, 1)
    return made


@db.durable
def prune(*, before: datetime.date, is_dry_run: bool, now: datetime.datetime) -> Pruned:
    """Delete readings of local days before a day, with their versions; whole months by dropping their partition.

    Batches, questions and register reads stay: they say who did what.

    :raises UnableToPrune: the day is less than a year ago, which bills may still be corrected for.
    """
    if before > now.date() - datetime.timedelta(days=366):
        raise UnableToPrune("Keep at least a year of readings.", code="prune_too_young")
    whole = tuple(month for month in partitions.months() if _moved(month, 1) <= before)
    days = models.MeterDay.objects.filter(local_date__lt=before)
    versions = models.MeterDayVersion.objects.filter(local_date__lt=before)
    readings = models.PeriodReading.objects.filter(
        ends_at__lt=datetime.datetime.combine(before, datetime.time(), tzinfo=datetime.UTC)
    )
    pruned = Pruned(whole, days.count(), versions.count(), readings.count())
    if not is_dry_run:
        for month in whole:
            with db.transaction():
                partitions.drop(month=month)
        with db.transaction():
            days.delete()
            versions.delete()
            readings.delete()
    return pruned


def _moved(month: datetime.date, count: int) -> datetime.date:
    years, place = divmod(month.month - 1 + count, 12)
    return datetime.date(month.year + years, place + 1, 1)
