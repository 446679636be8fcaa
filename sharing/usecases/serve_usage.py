"""A third party fetches what a customer lets it have: usage points, readings, blocks; whole, or one by one.

Every address is found again by walking the same tree, so what is not shared is not there.
"""

import dataclasses
import datetime
import itertools
import zoneinfo
from collections.abc import Iterator

from django.conf import settings

from customers import models as customers_models
from meters import queries as meter_queries
from meters.domain import coarsening, espi_xml, rows, units, usage
from openvpp.core import errors
from sharing import models, queries
from sharing.domain import resources

LONGEST_BLOCKS = {"monthly": rows.Step.MONTH, "daily": rows.Step.DAY}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which blocks are asked for: by when their first readings came, and by when their latest did."""

    published_from: datetime.datetime | None = None
    published_to: datetime.datetime | None = None
    updated_from: datetime.datetime | None = None
    updated_to: datetime.datetime | None = None

    def holds(self, *, published: datetime.datetime, updated: datetime.datetime) -> bool:
        """Say whether a block is among them; both ends are included."""
        return all(
            (low is None or low <= at) and (high is None or at <= high)
            for low, at, high in (
                (self.published_from, published, self.published_to),
                (self.updated_from, updated, self.updated_to),
            )
        )


EVERYTHING = Window()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What is served: an authorization, its points as they may be seen now, and when it is asked."""

    authorization: models.Authorization
    points: tuple[queries.SharedPoint, ...]
    now: datetime.datetime

    @property
    def root(self) -> str:
        """Return the address under which its usage points are."""
        return f"{settings.BASE_URL}{resources.ROOT}/Subscription/{self.authorization.pk}"

    def entry(
        self,
        href: str,
        content: str,
        *,
        title: str = "",
        related: tuple[str, ...] = (),
        times: tuple[datetime.datetime, datetime.datetime] | None = None,
    ) -> espi_xml.Entry:
        """Return an entry; without `times` it is as old as the authorization."""
        published, updated = times or (self.authorization.starts_at, self.authorization.starts_at)
        up = href.rpartition("/")[0]
        return espi_xml.Entry(
            href=href, up=up, title=title, content=content, published=published, updated=updated, related=related
        )


def open_share(*, authorization: models.Authorization, now: datetime.datetime) -> Share:
    """Return what a third party may have at this instant."""
    points = queries.get_shared_points(authorization=authorization, now=now)
    is_told = authorization.terms.shares_energy
    return Share(authorization=authorization, points=tuple(points) if is_told else (), now=now)


def everything(*, share: Share, window: Window) -> Iterator[espi_xml.Entry]:
    """Yield all of a share: local time, then each point with its readings and the blocks of the window.

    :raises meters.queries.UnableToReadUsage: see `meters.queries.get_consumption`.
    """
    yield local_time(share=share)
    for point in share.points:
        yield from point_and_below(share=share, point=point, window=window)


def point_and_below(*, share: Share, point: queries.SharedPoint, window: Window) -> Iterator[espi_xml.Entry]:
    """Yield a usage point with all that is below it; see `everything`."""
    yield usage_point(share=share, point=point)
    for flow in flows(share=share):
        kept = list(_blocks(share=share, point=point, flow=flow, window=window))
        quality = kept[0][2] if kept else units.Quality.RAW
        seconds = kept[0][1].seconds if kept else usage.nothing().seconds
        yield share.entry(
            reading_type_href(point, flow),
            espi_xml.reading_type(flow=flow, quality=quality, seconds=seconds),
            title=f"Energy {flow.value}",
        )
        yield meter_reading(share=share, point=point, flow=flow)
        for entry, _, _ in kept:
            yield entry


def usage_point(*, share: Share, point: queries.SharedPoint) -> espi_xml.Entry:
    """Return a UsagePoint."""
    href = point_href(share, point)
    zone = f"{settings.BASE_URL}{resources.ROOT}/LocalTimeParameters/{share.authorization.third_party.utility_id}"
    return share.entry(href, espi_xml.usage_point(), title="Electricity", related=(f"{href}/MeterReading", zone))


def meter_reading(*, share: Share, point: queries.SharedPoint, flow: units.Flow) -> espi_xml.Entry:
    """Return the MeterReading of one direction."""
    href = f"{point_href(share, point)}/MeterReading/{flow.value}"
    related = (f"{href}/IntervalBlock", reading_type_href(point, flow))
    return share.entry(href, espi_xml.meter_reading(), title=f"Energy {flow.value}", related=related)


def reading_type(*, share: Share, point: queries.SharedPoint, flow: units.Flow) -> espi_xml.Entry:
    """Return the ReadingType of one direction, of the readings that there are."""
    first = next(_blocks(share=share, point=point, flow=flow, window=EVERYTHING), None)
    read, quality = (first[1], first[2]) if first else (usage.nothing(), units.Quality.RAW)
    content = espi_xml.reading_type(flow=flow, quality=quality, seconds=read.seconds)
    return share.entry(reading_type_href(point, flow), content, title=f"Energy {flow.value}")


def interval_blocks(
    *, share: Share, point: queries.SharedPoint, flow: units.Flow, window: Window
) -> Iterator[espi_xml.Entry]:
    """Yield the IntervalBlocks of one direction; see `everything`."""
    return (entry for entry, _, _ in _blocks(share=share, point=point, flow=flow, window=window))


def local_time(*, share: Share) -> espi_xml.Entry:
    """Return LocalTimeParameters of the utility's zone."""
    return local_time_of(utility=share.authorization.third_party.utility, now=share.now)


def local_time_of(*, utility: customers_models.Utility, now: datetime.datetime) -> espi_xml.Entry:
    """Return LocalTimeParameters of a utility's zone."""
    href = f"{settings.BASE_URL}{resources.ROOT}/LocalTimeParameters/{utility.pk}"
    content = espi_xml.local_time_parameters(zone=zoneinfo.ZoneInfo(utility.time_zone), year=now.year)
    return espi_xml.Entry(
        href=href,
        up=href.rpartition("/")[0],
        title=utility.time_zone,
        content=content,
        published=now,
        updated=now,
    )


def find_point(*, share: Share, point_id: object) -> queries.SharedPoint:
    """Return a point of a share by the id that the third party knows.

    :raises errors.NotFound: there is none.
    """
    for point in share.points:
        if str(point.id) == str(point_id):
            return point
    raise errors.NotFound("There is no such resource.", code="not_found")


def find_flow(*, share: Share, name: str) -> units.Flow:
    """Return a direction of a share by its name.

    :raises errors.NotFound: it is none, or is not shared.
    """
    for flow in flows(share=share):
        if flow.value == name:
            return flow
    raise errors.NotFound("There is no such resource.", code="not_found")


def flows(*, share: Share) -> tuple[units.Flow, ...]:
    """Return which directions are told: what was given to the grid only if its block was granted."""
    both = (units.Flow.DELIVERED, units.Flow.RECEIVED)
    return both if share.authorization.terms.shares_export else both[:1]


def point_href(share: Share, point: queries.SharedPoint) -> str:
    return f"{share.root}/UsagePoint/{point.id}"


def reading_type_href(point: queries.SharedPoint, flow: units.Flow) -> str:
    return f"{settings.BASE_URL}{resources.ROOT}/ReadingType/{point.id}.{flow.value}"


def _blocks(
    *, share: Share, point: queries.SharedPoint, flow: units.Flow, window: Window
) -> Iterator[tuple[espi_xml.Entry, usage.Consumption, units.Quality]]:
    terms = share.authorization.terms
    step = LONGEST_BLOCKS[terms.block_duration]
    default: units.Quality | None = None
    for first, after in point.parts:
        arrivals = meter_queries.get_arrivals(
            service_point_id=point.service_point_id, first=first, last=after - datetime.timedelta(days=1)
        )
        edges = rows.day_edges(first=first, after=after, zone=point.zone, step=step)
        for start, end in itertools.pairwise(edges):
            begins, ends = (datetime.datetime.fromtimestamp(edge, tz=point.zone) for edge in (start, end))
            came = [arrivals[day] for day in arrivals if begins.date() <= day < ends.date()]
            if not came:
                continue
            times = (min(one.first_at for one in came), max(one.latest_at for one in came))
            if not window.holds(published=times[0], updated=times[1]):
                continue
            begins = max(begins, share.authorization.history_starts_at)
            read = meter_queries.get_consumption(
                service_point_id=point.service_point_id, starts_at=begins, ends_at=ends
            )
            if terms.finest_seconds is not None:
                read = coarsening.coarsen(read=read, seconds=terms.finest_seconds, zone=point.zone)
            if not len(read) or (flow is units.Flow.RECEIVED and not read.has_received):
                continue
            default = default if default is not None else espi_xml.default_quality(read.qualities)
            name = f"{begins:%Y%m%d}" if terms.block_duration == "daily" else f"{begins:%Y%m}"
            href = f"{point_href(share, point)}/MeterReading/{flow.value}/IntervalBlock/{name}"
            content = espi_xml.interval_block(read=read, flow=flow, default=default)
            yield share.entry(href, content, times=times), read, default
