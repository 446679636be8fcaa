"""Services of a lot under one tariff whose readings are stored alike, rated together as arrays."""

import dataclasses
import datetime
import functools
import zoneinfo
from collections.abc import Sequence

import numpy as np

from billing import models, queries
from billing.adapters import urdb
from billing.domain import (
    bill,
    loads,
    packed_lines,
    span_batch,
    span_cells,
    span_sheets,
    statements,
    tariffs,
    terms,
)
from billing.usecases import draft_reads
from meters.domain import units

type CellsOf = dict[tuple[int, frozenset[datetime.date]], span_batch.Cells]


@dataclasses.dataclass(frozen=True, slots=True)
class Version:
    """A version of a tariff on some days of the run."""

    row: models.Tariff
    tariff: tariffs.Tariff
    reading: terms.Terms
    days: loads.BillingPeriod


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Group:
    """Services with one delivered channel each, whose counts are `rows` of one span of the lot."""

    account_ids: list[int]
    points: loads.Int64s
    span: int
    rows: loads.Int64s


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class SettledGroup:
    """Services with channels of what is taken and given: (flow, span, row) of each channel, the meters' factors."""

    account_ids: list[int]
    points: loads.Int64s
    channels: Sequence[Sequence[tuple[units.Flow, int, int]]]
    factors: Sequence[int]


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Rated:
    """A group's spans under one version: in bytes, in nano-units, and as far as a bill is made of them."""

    packed: list[bytes]
    totals: loads.Int64s
    sheet: span_sheets.Sheet
    amounts: span_batch.Rated
    import_milliwh: loads.Int64s
    export_milliwh: loads.Int64s

    def bill_of(self, *, place: int) -> bill.RatedBill:
        """Return one span as `rating` would have."""
        return span_batch.bill_of(
            sheet=self.sheet,
            rated=self.amounts,
            place=place,
            import_milliwh=int(self.import_milliwh[place]),
            export_milliwh=int(self.export_milliwh[place]),
        )


class Rater:
    """Rates groups; keeps what lots share: versions, sheets, layouts."""

    def __init__(self, *, run: models.BillRun) -> None:
        self._run = run
        self._period = loads.BillingPeriod(run.starts_on, run.ends_on, zoneinfo.ZoneInfo(run.utility.time_zone))
        self.versions = functools.cache(self._read_versions)
        self._grid = functools.cache(self._make_grid)
        self._layouts: dict[bytes, int] = {}
        self._sheets: dict[tuple[int, datetime.date, int], tuple[span_sheets.Sheet, int]] = {}

    def rate(
        self, *, lot: draft_reads.Lot, group: Group | SettledGroup, version: Version, seconds: int, cells: CellsOf
    ) -> Rated:
        """Rate a group on one version, with readings of so many seconds; `cells` keeps what of the lot is added up."""
        sheet, layout_id = self._sheet(version, seconds)
        grid = self._grid(seconds, version.reading.holidays)
        first = (version.days.starts_on - self._run.starts_on).days
        inside = slice(int(grid.places[first]), int(grid.places[first + version.days.days]))
        if version.days.days != grid.days:
            grid = grid.cut(first=first, days=version.days.days)
        if isinstance(group, SettledGroup):
            taken, given = (energy[:, inside] for energy in self._energy(lot, group, seconds))
            found = span_cells.of_intervals(
                grid=grid, metering=version.tariff.metering, taken_milliwh=taken, given_milliwh=given
            )
            imports, exports = taken.sum(axis=1), given.sum(axis=1)
        else:
            found = self._cells(lot, group, version, cells, grid)
            imports = found.bought.sum(axis=(1, 2))
            exports = np.zeros_like(imports)
        rated = span_batch.rate(sheet=sheet, cells=found, memory=self._memory(sheet, group, version))
        return Rated(
            packed=span_batch.pack(
                sheet=sheet,
                rated=rated,
                layout_id=layout_id,
                service_point_ids=group.points,
                import_milliwh=imports,
                export_milliwh=exports,
            ),
            totals=rated.amounts.sum(axis=1),
            sheet=sheet,
            amounts=rated,
            import_milliwh=imports,
            export_milliwh=exports,
        )

    def layout_id(self, *, layout: packed_lines.Layout) -> int:
        """Return the row of a layout, written now if it is new."""
        digest = layout.digest
        if digest not in self._layouts:
            self._layouts[digest] = models.LineLayout.objects.get_or_create(
                digest=digest, defaults={"content": layout.to_json()}
            )[0].pk
        return self._layouts[digest]

    def _cells(
        self, lot: draft_reads.Lot, group: Group, version: Version, cells: CellsOf, grid: span_cells.Grid
    ) -> span_batch.Cells:
        """Return the cells of points with one delivered channel; whole periods are added up once for all tariffs."""
        stored, factors, rows = lot.spans[group.span], lot.factors[group.span], group.rows
        first, days = (version.days.starts_on - self._run.starts_on).days, version.days.days
        every = self._grid(stored.interval_seconds, version.reading.holidays)
        if days != every.days:
            inside = slice(int(every.places[first]), int(every.places[first + days]))
            return span_cells.of_packed(
                grid=grid,
                counts=np.ascontiguousarray(stored.counts[rows, inside]),
                scales=np.ascontiguousarray(stored.scales[rows, first : first + days]),
                factors=factors[rows],
            )
        key = (group.span, version.reading.holidays)
        if key not in cells:
            cells[key] = span_cells.of_packed(grid=grid, counts=stored.counts, scales=stored.scales, factors=factors)
        return span_batch.Cells(cells[key].bought[rows], cells[key].sold, cells[key].peaks[rows])

    def _energy(self, lot: draft_reads.Lot, group: SettledGroup, seconds: int) -> tuple[loads.Int64s, loads.Int64s]:
        """Return what points with several channels took and gave, [points, intervals] mWh."""
        grid = self._grid(seconds, frozenset())
        lengths = np.diff(grid.places)
        taken, given = (np.zeros((len(group.points), len(grid.starts)), dtype=np.int64) for _ in range(2))
        for i, (channels, factor) in enumerate(zip(group.channels, group.factors, strict=True)):
            for flow, span, row in channels:
                stored = lot.spans[span]
                energy = stored.counts[row] * np.repeat(stored.scales[row] * factor, lengths)
                match flow:
                    case units.Flow.DELIVERED:
                        taken[i] += energy
                    case units.Flow.RECEIVED:
                        given[i] += energy
                    case units.Flow.NET:
                        taken[i] += np.maximum(energy, 0)
                        given[i] += np.maximum(-energy, 0)
        return taken, given

    def _memory(self, sheet: span_sheets.Sheet, group: Group | SettledGroup, version: Version) -> span_batch.Memory:
        """Return what earlier bills left; only points with channels for what is given carry kWh on."""
        needed = version.tariff.ratchet is not None or any(
            minimum.per is tariffs.ChargePer.YEAR for minimum in version.tariff.minimums
        )
        carries = isinstance(group, SettledGroup) and version.tariff.metering is tariffs.Metering.NET_METERING
        if not needed and not carries:
            return span_batch.forget(sheet=sheet, count=len(group.points))
        left = queries.get_remainders(account_ids=group.account_ids)
        return span_batch.remember(
            sheet=sheet,
            histories=[
                statements.history(
                    remainders=[item for item in left.get(account_id, []) if item.service_point_id == point],
                    span=version.days,
                )
                for account_id, point in zip(group.account_ids, group.points.tolist(), strict=True)
            ],
        )

    def _sheet(self, version: Version, seconds: int) -> tuple[span_sheets.Sheet, int]:
        key = (version.row.pk, version.days.starts_on, seconds)
        if key not in self._sheets:
            sheet = span_sheets.prepare(
                tariff=version.tariff,
                tariff_id=version.row.pk,
                reading=version.reading,
                period=version.days,
                interval_seconds=seconds,
            )
            self._sheets[key] = (sheet, self.layout_id(layout=sheet.layout))
        return self._sheets[key]

    def _read_versions(self, code: str) -> tuple[Version, ...]:
        """Return a tariff's versions over the days of the run; empty if some day has none."""
        found: list[Version] = []
        day = self._run.starts_on
        while day < self._run.ends_on:
            row = queries.get_tariff(utility_id=self._run.utility_id, code=code, day=day)
            if row is None:
                return ()
            until = min(self._run.ends_on, row.effective_until or self._run.ends_on)
            found.append(
                Version(
                    row=row,
                    tariff=urdb.read(text=row.document, currency=self._run.utility.currency),
                    reading=statements.read_terms(saved=row.terms),
                    days=loads.BillingPeriod(day, until, self._period.zone),
                )
            )
            day = until
        return tuple(found)

    def _make_grid(self, seconds: int, holidays: frozenset[datetime.date]) -> span_cells.Grid:
        return span_cells.grid(period=self._period, interval_seconds=seconds, holidays=holidays)
