"""One lot of a bill run: some thousands of accounts read at once, rated in groups, and alone where they have to be.

An account is rated together with others if all its days, meters and charges are of the plain kind; the reasons why it
is not are in `Alone`. Both ways give the same bill, line for line.
"""

import collections
import dataclasses
import datetime
import enum
import functools
import zoneinfo
from collections.abc import Collection, Mapping

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
from billing.usecases import adjust_bill, issue_bill
from customers import models as customer_models
from meters.domain import units
from meters.queries import packed
from openvpp.core import db, errors
from openvpp.core import period as periods

SIZE = 4000
NANO_PER_CENT = 10**7


class Alone(enum.StrEnum):
    """Why an account is rated alone."""

    MOVED = "moved in or out"
    TARIFF = "tariff needs intervals"
    CHANGE = "tariff remembers and changes"
    READINGS = "readings not alike"
    QUESTIONED = "open question about readings"


REMEDIES = {
    "load_has_gaps": "Estimate or import the missing readings, then draft again.",
    "load_overhangs_period": "Correct the readings around the end of the period, then draft again.",
    "intervals_too_long": "Give the account a tariff without times of use, or a meter with hourly readings.",
    "no_service": "Check the dates of the service agreement.",
    "no_tariff": "Import a version of the tariff that is in force, then draft again.",
    "period_overlaps": "Cancel or correct the bill that covers these days, or bill the days that it leaves.",
    "readings_in_question": "Accept, estimate or edit the odd readings in the queue, then draft again.",
    "unmultipliable": "Correct the meters' installation dates or multipliers, then draft again.",
}
OTHER_REMEDY = "Look at what the detail says, correct it, then draft again."


@dataclasses.dataclass(frozen=True, slots=True)
class Service:
    """An agreement, as far as a run needs it."""

    agreement_id: int
    service_point_id: int
    tariff_code: str
    starts_on: datetime.date
    ends_on: datetime.date | None


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Lot:
    """What was read of some accounts."""

    account_ids: list[int]
    services: Mapping[int, list[Service]]
    channels: Mapping[int, list[packed.CountedChannel]]
    spans: list[packed.PackedSpan]
    multipliers: Mapping[int, int | None]
    questioned: Collection[int]
    billed: frozenset[int]
    overlapped: Mapping[int, str]
    previous: Mapping[int, int]
    books: adjust_bill.Rulebooks


@dataclasses.dataclass(frozen=True, slots=True)
class Impossible:
    """An account that cannot be billed as things are."""

    account_id: int
    code: str
    detail: str

    @property
    def remedy(self) -> str:
        """Return what to do about it."""
        return REMEDIES.get(self.code, OTHER_REMEDY)


@dataclasses.dataclass(frozen=True, slots=True)
class Made:
    """What became of a lot."""

    together: list[models.BillDraft.Row]
    alone: list[models.BillDraft.Row]
    impossible: list[Impossible]


@dataclasses.dataclass(frozen=True, slots=True)
class _Version:
    """A version of a tariff on some days of the run."""

    row: models.Tariff
    tariff: tariffs.Tariff
    reading: terms.Terms
    days: loads.BillingPeriod


def read(*, run: models.BillRun, account_ids: list[int]) -> Lot:
    """Read what the bills of some accounts need, in a fixed number of reads."""
    services: dict[int, list[Service]] = collections.defaultdict(list)
    points: list[int] = []
    agreements = (
        customer_models.ServiceAgreement.objects.filter(
            account_id__in=db.any_of(account_ids), starts_on__lt=run.ends_on
        )
        .exclude(ends_on__lte=run.starts_on)
        .order_by("starts_on", "pk")
        .values_list("account_id", "pk", "service_point_id", "tariff_code", "starts_on", "ends_on")
    )
    for account_id, *values in agreements:
        services[account_id].append(Service(*values))
        points.append(values[1])
    channels = packed.get_counted_channels(service_point_ids=points)
    zone = zoneinfo.ZoneInfo(run.utility.time_zone)
    ids = [each.channel_id for found in channels.values() for each in found if each.time_zone == zone.key]
    overlapping = queries.get_overlapping(account_ids=account_ids, starts_on=run.starts_on, ends_on=run.ends_on)
    same = {row.account_id for row in overlapping if (row.starts_on, row.ends_on) == (run.starts_on, run.ends_on)}
    return Lot(
        account_ids=account_ids,
        services=services,
        channels=channels,
        spans=list(packed.get_packed(channel_ids=ids, first=run.starts_on, after=run.ends_on, zone=zone)),
        multipliers=packed.get_whole_multipliers(service_point_ids=points, first=run.starts_on, after=run.ends_on),
        questioned=packed.get_questioned_points(
            service_point_ids=points,
            starts_at=periods.local_midnight(day=run.starts_on, zone=zone),
            ends_at=periods.local_midnight(day=run.ends_on, zone=zone),
        ),
        billed=frozenset(same),
        overlapped={row.account_id: row.number for row in overlapping if row.account_id not in same},
        previous=queries.get_amounts_before(account_ids=account_ids, day=run.starts_on),
        books=adjust_bill.read(
            utility_id=run.utility_id, starts_on=run.starts_on, ends_on=run.ends_on, account_ids=account_ids
        ),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Member:
    """One service of an account in a group: the rows of its channels in `Lot.spans`, and its meter's multiplier."""

    account_id: int
    place: int
    service: Service
    rows: tuple[tuple[units.Flow, int, int], ...]
    factor: int


@dataclasses.dataclass(slots=True)
class _Gathered:
    """What groups made of an account so far: (place of the service, of the version), bytes, nano-units, the bill."""

    pieces: list[tuple[tuple[int, int], bytes, int]] = dataclasses.field(default_factory=list)
    bills: list[tuple[tuple[int, int], issue_bill.Span, bill.RatedBill]] = dataclasses.field(default_factory=list)


class Maker:
    """Makes drafts of lots; keeps what lots share: tariffs, sheets, layouts."""

    def __init__(self, *, run: models.BillRun) -> None:
        self._run = run
        self._period = loads.BillingPeriod(run.starts_on, run.ends_on, zoneinfo.ZoneInfo(run.utility.time_zone))
        self._versions = functools.cache(self._read_versions)
        self._grid = functools.cache(self._make_grid)
        self._alone = functools.cache(self._why_alone)
        self._layouts: dict[bytes, int] = {}
        self._sheets: dict[tuple[int, datetime.date, int], tuple[span_sheets.Sheet, int]] = {}

    def make(self, *, lot: Lot) -> Made:
        """Return the drafts of a lot and what cannot be drafted; nothing is written but layouts."""
        groups: dict[tuple[str, int, int], list[_Member]] = collections.defaultdict(list)
        alone: dict[int, Alone] = {}
        impossible: list[Impossible] = []
        together: list[int] = []
        at = _places(lot)
        for account_id in lot.account_ids:
            if account_id in lot.billed:
                continue
            if account_id in lot.overlapped:
                detail = f"Bill {lot.overlapped[account_id]} covers some of these days."
                impossible.append(Impossible(account_id, "period_overlaps", detail))
                continue
            found = self._members(lot=lot, account_id=account_id, at=at)
            if isinstance(found, Impossible):
                impossible.append(found)
                continue
            if isinstance(found, Alone):
                alone[account_id] = found
                continue
            together.append(account_id)
            for key, member in found:
                groups[key].append(member)
        gathered: dict[int, _Gathered] = collections.defaultdict(_Gathered)
        cells: dict[tuple[int, frozenset[datetime.date]], span_batch.Cells] = {}
        for (code, span, seconds), members in groups.items():
            for place, version in enumerate(self._versions(code)):
                self._rate(
                    lot=lot,
                    members=members,
                    version_at=(place, version),
                    group=(span, seconds),
                    cells=cells,
                    gathered=gathered,
                )
        drafts = [self._draft(lot, account_id, gathered[account_id]) for account_id in together]
        drafts_alone: list[models.BillDraft.Row] = []
        accounts = customer_models.CustomerAccount.objects.select_related("utility").in_bulk(list(alone))
        for account_id, reason in alone.items():
            try:
                drafts_alone.append(self._draft_alone(lot, accounts[account_id], reason))
            except errors.UnableTo as error:
                impossible.append(Impossible(account_id, error.code, error.detail))
            except (ValueError, ArithmeticError) as error:
                impossible.append(Impossible(account_id, "cannot_be_rated", str(error)))
        return Made(together=drafts, alone=drafts_alone, impossible=impossible)

    def _members(
        self, *, lot: Lot, account_id: int, at: Mapping[int, tuple[int, int]]
    ) -> Alone | Impossible | list[tuple[tuple[str, int, int], _Member]]:
        """Return an account's services by group, or why it goes alone. Groups: tariff, span (-1 settled), interval."""
        found: list[tuple[tuple[str, int, int], _Member]] = []
        for place, service in enumerate(lot.services[account_id]):
            is_whole = service.starts_on <= self._run.starts_on and (
                service.ends_on is None or service.ends_on >= self._run.ends_on
            )
            if not is_whole:
                return Alone.MOVED
            if service.service_point_id in lot.questioned:
                return Alone.QUESTIONED
            channels = lot.channels.get(service.service_point_id, [])
            rows = [(each.flow, *at[each.channel_id]) for each in channels if each.channel_id in at]
            factor = lot.multipliers.get(service.service_point_id, 1)
            intervals = {lot.spans[span].interval_seconds for _, span, _ in rows}
            if not rows or len(rows) != len(channels) or factor is None or len(intervals) != 1:
                return Alone.READINGS
            seconds = intervals.pop()
            versions = self._versions(service.tariff_code)
            if not versions:
                detail = f"No version of tariff {service.tariff_code} is in force on some day of the period."
                return Impossible(account_id, "no_tariff", detail)
            reason = self._alone(service.tariff_code, seconds)
            if reason is not None:
                return reason
            is_plain = len(rows) == 1 and rows[0][0] is units.Flow.DELIVERED
            key = (service.tariff_code, rows[0][1] if is_plain else -1, seconds)
            found.append((key, _Member(account_id, place, service, tuple(rows), factor)))
        return found

    def _rate(
        self,
        *,
        lot: Lot,
        members: list[_Member],
        version_at: tuple[int, _Version],
        group: tuple[int, int],
        cells: dict[tuple[int, frozenset[datetime.date]], span_batch.Cells],
        gathered: dict[int, _Gathered],
    ) -> None:
        place, version = version_at
        span, seconds = group
        sheet, layout_id = self._sheet(version, seconds)
        grid = self._grid(seconds, version.reading.holidays)
        first = (version.days.starts_on - self._run.starts_on).days
        is_whole = version.days.days == grid.days
        if not is_whole:
            grid = grid.cut(first=first, days=version.days.days)
        if span < 0:
            taken, given = (part[:, :] for part in self._energy(lot, members, seconds))
            chosen = self._grid(seconds, version.reading.holidays).places
            inside = slice(int(chosen[first]), int(chosen[first + version.days.days]))
            taken, given = taken[:, inside], given[:, inside]
            found = span_cells.of_intervals(
                grid=grid, metering=version.tariff.metering, taken_milliwh=taken, given_milliwh=given
            )
            imports, exports = taken.sum(axis=1), given.sum(axis=1)
        else:
            found = self._plain(
                lot=lot, members=members, where=(span, first, grid), version=version, is_whole=is_whole, cells=cells
            )
            imports = found.bought.sum(axis=(1, 2))
            exports = np.zeros_like(imports)
        rated = span_batch.rate(
            sheet=sheet, cells=found, memory=self._memory(sheet, members, version, is_settled=span < 0)
        )
        packed_spans = span_batch.pack(
            sheet=sheet,
            rated=rated,
            layout_id=layout_id,
            service_point_ids=np.array([member.service.service_point_id for member in members], dtype=np.int64),
            import_milliwh=imports,
            export_milliwh=exports,
        )
        totals = rated.amounts.sum(axis=1).tolist()
        has_rules = _has_rules(lot.books)
        for i, member in enumerate(members):
            one = gathered[member.account_id]
            one.pieces.append(((member.place, place), packed_spans[i], totals[i]))
            if has_rules and _is_adjusted(lot, member):
                made = span_batch.bill_of(
                    sheet=sheet,
                    rated=rated,
                    place=i,
                    import_milliwh=int(imports[i]),
                    export_milliwh=int(exports[i]),
                )
                one.bills.append(((member.place, place), _span(member, version), made))

    def _plain(
        self,
        *,
        lot: Lot,
        members: list[_Member],
        where: tuple[int, int, span_cells.Grid],
        version: _Version,
        is_whole: bool,
        cells: dict[tuple[int, frozenset[datetime.date]], span_batch.Cells],
    ) -> span_batch.Cells:
        """Return the cells of points with one delivered channel; whole periods are added up once for all tariffs."""
        span, first, grid = where
        stored = lot.spans[span]
        rows = np.array([member.rows[0][2] for member in members])
        if not is_whole:
            places = self._grid(stored.interval_seconds, version.reading.holidays).places
            inside = slice(int(places[first]), int(places[first + version.days.days]))
            return span_cells.of_packed(
                grid=grid,
                counts=np.ascontiguousarray(stored.counts[rows, inside]),
                scales=np.ascontiguousarray(stored.scales[rows, first : first + version.days.days]),
                factors=np.array([member.factor for member in members], dtype=np.int64),
            )
        key = (span, version.reading.holidays)
        if key not in cells:
            cells[key] = span_cells.of_packed(
                grid=grid, counts=stored.counts, scales=stored.scales, factors=_factors(lot, span)
            )
        every = cells[key]
        return span_batch.Cells(every.bought[rows], every.sold, every.peaks[rows])

    def _energy(self, lot: Lot, members: list[_Member], seconds: int) -> tuple[loads.Int64s, loads.Int64s]:
        """Return what points with several channels took and gave, [members, intervals] mWh."""
        grid = self._grid(seconds, frozenset())
        lengths = np.diff(grid.places)
        taken, given = (np.zeros((len(members), len(grid.starts)), dtype=np.int64) for _ in range(2))
        for i, member in enumerate(members):
            for flow, span, row in member.rows:
                stored = lot.spans[span]
                energy = stored.counts[row] * np.repeat(stored.scales[row] * member.factor, lengths)
                match flow:
                    case units.Flow.DELIVERED:
                        taken[i] += energy
                    case units.Flow.RECEIVED:
                        given[i] += energy
                    case units.Flow.NET:
                        taken[i] += np.maximum(energy, 0)
                        given[i] += np.maximum(-energy, 0)
        return taken, given

    def _memory(
        self, sheet: span_sheets.Sheet, members: list[_Member], version: _Version, *, is_settled: bool
    ) -> span_batch.Memory:
        """Return what earlier bills left; only points with channels for what is given carry kWh on."""
        needed = version.tariff.ratchet is not None or any(
            minimum.per is tariffs.ChargePer.YEAR for minimum in version.tariff.minimums
        )
        if not needed and not (is_settled and version.tariff.metering is tariffs.Metering.NET_METERING):
            return span_batch.forget(sheet=sheet, count=len(members))
        left = queries.get_remainders(account_ids=[member.account_id for member in members])
        return span_batch.remember(
            sheet=sheet,
            histories=[
                statements.history(
                    remainders=[
                        item
                        for item in left.get(member.account_id, [])
                        if item.service_point_id == member.service.service_point_id
                    ],
                    span=version.days,
                )
                for member in members
            ],
        )

    def _draft(self, lot: Lot, account_id: int, found: _Gathered) -> models.BillDraft.Row:
        if found.bills:
            adjusted = issue_bill.adjusted(
                account_id=account_id,
                starts_on=self._run.starts_on,
                ends_on=self._run.ends_on,
                rated=[(span, made) for _, span, made in sorted(found.bills, key=lambda each: each[0])],
                books=lot.books,
            )
            return self._pack(lot, account_id, adjusted, "")
        pieces = sorted(found.pieces) if len(found.pieces) > 1 else found.pieces
        code = lot.services[account_id][0].tariff_code
        return models.BillDraft.Row(
            run_id=self._run.pk,
            account_id=account_id,
            tariff_id=self._versions(code)[0].row.pk,
            amount_due_cents=issue_bill.to_cents(sum(nano for _, _, nano in pieces)),
            previous_cents=lot.previous.get(account_id),
            rated_alone="",
            spans=b"".join([packed_span for _, packed_span, _ in pieces]),
        )

    def _draft_alone(self, lot: Lot, account: customer_models.CustomerAccount, reason: Alone) -> models.BillDraft.Row:
        found = issue_bill.rate_account(
            account=account, starts_on=self._run.starts_on, ends_on=self._run.ends_on, books=lot.books
        )
        return self._pack(lot, account.pk, found, reason.value)

    def _pack(self, lot: Lot, account_id: int, found: issue_bill.RatedAccount, reason: str) -> models.BillDraft.Row:
        parts: list[bytes] = []
        for each in found.spans:
            lines = (*each.rated.lines, *each.added)
            layout = packed_lines.Layout(
                tariff_id=each.span.tariff.pk,
                starts_on=each.span.days.starts_on,
                ends_on=each.span.days.ends_on,
                templates=tuple(map(packed_lines.Template.of, lines)),
                omissions=each.rated.omissions,
            )
            parts.append(
                packed_lines.pack(
                    lines=lines,
                    usage=each.rated.usage,
                    carried_milliwh=each.rated.carried_milliwh,
                    layout_id=self._layout_id(layout),
                    service_point_id=each.span.agreement.service_point_id,
                )
            )
        if found.settled.lines:
            layout = packed_lines.Layout(
                tariff_id=None,
                starts_on=found.starts_on,
                ends_on=found.ends_on,
                templates=tuple(map(packed_lines.Template.of, found.settled.lines)),
            )
            parts.append(
                packed_lines.pack(
                    lines=found.settled.lines,
                    usage=bill.Usage(0, 0, 0, 0),
                    carried_milliwh=(),
                    layout_id=self._layout_id(layout),
                    service_point_id=packed_lines.NO_POINT,
                )
            )
        return models.BillDraft.Row(
            run_id=self._run.pk,
            account_id=account_id,
            tariff_id=found.spans[0].span.tariff.pk,
            amount_due_cents=issue_bill.to_cents(found.total_nano),
            previous_cents=lot.previous.get(account_id),
            rated_alone=reason,
            spans=b"".join(parts),
        )

    def _sheet(self, version: _Version, seconds: int) -> tuple[span_sheets.Sheet, int]:
        key = (version.row.pk, version.days.starts_on, seconds)
        if key not in self._sheets:
            sheet = span_sheets.prepare(
                tariff=version.tariff,
                tariff_id=version.row.pk,
                reading=version.reading,
                period=version.days,
                interval_seconds=seconds,
            )
            self._sheets[key] = (sheet, self._layout_id(sheet.layout))
        return self._sheets[key]

    def _layout_id(self, layout: packed_lines.Layout) -> int:
        digest = layout.digest
        if digest not in self._layouts:
            self._layouts[digest] = models.LineLayout.objects.get_or_create(
                digest=digest, defaults={"content": layout.to_json()}
            )[0].pk
        return self._layouts[digest]

    def _why_alone(self, code: str, seconds: int) -> Alone | None:
        """Return why accounts of a tariff, read at such intervals, go alone; None if they go together."""
        versions = self._versions(code)
        if not all(
            span_sheets.can_rate(tariff=version.tariff, reading=version.reading, interval_seconds=seconds)
            for version in versions
        ):
            return Alone.TARIFF
        if len(versions) > 1 and any(span_sheets.remembers(tariff=version.tariff) for version in versions):
            return Alone.CHANGE
        return None

    def _read_versions(self, code: str) -> tuple[_Version, ...]:
        """Return a tariff's versions over the days of the run; empty if some day has none."""
        found: list[_Version] = []
        day = self._run.starts_on
        while day < self._run.ends_on:
            row = queries.get_tariff(utility_id=self._run.utility_id, code=code, day=day)
            if row is None:
                return ()
            until = min(self._run.ends_on, row.effective_until or self._run.ends_on)
            found.append(
                _Version(
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


def _places(lot: Lot) -> dict[int, tuple[int, int]]:
    """Return where each channel's counts are: span and row. Reads below zero that are not net are left out."""
    found: dict[int, tuple[int, int]] = {}
    net = {each.channel_id for channels in lot.channels.values() for each in channels if each.flow is units.Flow.NET}
    for place, span in enumerate(lot.spans):
        below = set(np.flatnonzero(span.counts.min(axis=1) < 0).tolist()) if int(span.counts.min()) < 0 else set()
        for row, channel_id in enumerate(span.channel_ids.tolist()):
            if row not in below or channel_id in net:
                found[channel_id] = (place, row)
    return found


def _factors(lot: Lot, span: int) -> loads.Int64s:
    """Return the multiplier of each channel of a span; 1 where it is rated alone."""
    stored = lot.spans[span]
    factors = np.ones(len(stored.channel_ids), dtype=np.int64)
    if lot.multipliers:
        by_channel = {
            each.channel_id: lot.multipliers.get(each.service_point_id) or 1
            for channels in lot.channels.values()
            for each in channels
        }
        factors[:] = [by_channel[channel_id] for channel_id in stored.channel_ids.tolist()]
    return factors


def _has_rules(books: adjust_bill.Rulebooks) -> bool:
    """Say whether any account of a lot may have something added to its bill."""
    own = (books.own_riders, books.discounts, books.credits_left, books.plans, books.prepaid_nano)
    return bool(books.riders or (books.taxes and books.places) or any(own))


def _is_adjusted(lot: Lot, member: _Member) -> bool:
    """Say whether the utility's rules add anything to the account's bill."""
    books, account_id = lot.books, member.account_id
    if account_id in books.credits_left or account_id in books.plans or account_id in books.prepaid_nano:
        return True
    return any(
        not books.at(account_id=account_id, service_point_id=service.service_point_id).is_empty
        for service in lot.services[account_id]
    )


def _span(member: _Member, version: _Version) -> issue_bill.Span:
    agreement = customer_models.ServiceAgreement(
        pk=member.service.agreement_id,
        account_id=member.account_id,
        service_point_id=member.service.service_point_id,
        tariff_code=member.service.tariff_code,
        starts_on=member.service.starts_on,
        ends_on=member.service.ends_on,
    )
    return issue_bill.Span(agreement=agreement, tariff=version.row, days=version.days)
