"""One lot of a bill run: some thousands of accounts, rated in groups, and alone where they have to be.

An account is rated together with others if all its days, meters and charges are of the plain kind; the reasons why it
is not are in `Alone`. Both ways give the same bill, line for line.
"""

import collections
import dataclasses
import enum
import functools
import itertools
from collections.abc import Mapping

import numpy as np

from billing import models
from billing.domain import bill, packed_lines, span_sheets
from billing.usecases import draft_groups, draft_reads, issue_bill
from customers import models as customer_models
from meters.domain import units
from openvpp.core import errors

SIZE = 4000


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
class _Member:
    """One service of an account in a group: its channels as (flow, span, row) in the lot, its meter's multiplier."""

    account_id: int
    place: int
    service: draft_reads.Service
    channels: tuple[tuple[units.Flow, int, int], ...]
    factor: int


@dataclasses.dataclass(slots=True)
class _Gathered:
    """What groups made of an account so far: (place of the service, of the version), bytes, nano-units, the bill."""

    pieces: list[tuple[tuple[int, int], bytes, int]] = dataclasses.field(default_factory=list)
    bills: list[tuple[tuple[int, int], issue_bill.Span, bill.RatedBill]] = dataclasses.field(default_factory=list)


class Maker:
    """Makes drafts of lots."""

    def __init__(self, *, run: models.BillRun) -> None:
        self._run = run
        self._rater = draft_groups.Rater(run=run)
        self._alone = functools.cache(self._why_alone)

    def make(self, *, lot: draft_reads.Lot) -> Made:
        """Return the drafts of a lot and what cannot be drafted; nothing is written but layouts."""
        cells: draft_groups.CellsOf = {}
        alone: dict[int, Alone] = {}
        impossible: list[Impossible] = []
        drafts = self._make_plain(lot, cells, alone, impossible)
        drafts += self._make_others(lot, cells, alone, impossible)
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

    def _make_plain(
        self,
        lot: draft_reads.Lot,
        cells: draft_groups.CellsOf,
        alone: dict[int, Alone],
        impossible: list[Impossible],
    ) -> list[models.BillDraft.Row]:
        """Return the drafts of plain accounts; not one of them is handled by itself."""
        drafts: list[models.BillDraft.Row] = []
        plain = lot.plain
        alone |= dict.fromkeys(plain.account_ids[plain.spans == draft_reads.NOWHERE].tolist(), Alone.READINGS)
        for code, span in itertools.product(np.unique(plain.codes).tolist(), range(len(lot.spans))):
            chosen = np.flatnonzero((plain.codes == code) & (plain.spans == span))
            if not len(chosen):
                continue
            account_ids = plain.account_ids[chosen].tolist()
            seconds = lot.spans[span].interval_seconds
            versions = self._rater.versions(code)
            if not versions:
                impossible += [self._no_tariff(account_id, code) for account_id in account_ids]
                continue
            reason = self._alone(code, seconds)
            if reason is not None:
                alone |= dict.fromkeys(account_ids, reason)
                continue
            group = draft_groups.Group(account_ids, plain.points[chosen], span, plain.rows[chosen])
            rated = [
                self._rater.rate(lot=lot, group=group, version=version, seconds=seconds, cells=cells)
                for version in versions
            ]
            pieces = map(b"".join, zip(*(each.packed for each in rated), strict=True))
            rows = zip(
                itertools.repeat(self._run.pk),
                account_ids,
                itertools.repeat(versions[0].row.pk),
                map(issue_bill.to_cents, np.sum([each.totals for each in rated], axis=0).tolist()),
                map(lot.previous.get, account_ids),
                itertools.repeat(""),
                pieces,
                strict=False,  # some of these are endless
            )
            drafts += map(models.BillDraft.Row._make, rows)
        return drafts

    def _make_others(
        self,
        lot: draft_reads.Lot,
        cells: draft_groups.CellsOf,
        alone: dict[int, Alone],
        impossible: list[Impossible],
    ) -> list[models.BillDraft.Row]:
        groups: dict[tuple[str, int, int], list[_Member]] = collections.defaultdict(list)
        together: list[int] = []
        at = _places(lot) if lot.others else {}
        for account_id in lot.others:
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
        for (code, span, seconds), members in groups.items():
            self._rate(lot, members, (code, span, seconds), cells, gathered)
        return [self._draft(lot, account_id, gathered[account_id]) for account_id in together]

    def _members(
        self, *, lot: draft_reads.Lot, account_id: int, at: Mapping[int, tuple[int, int]]
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
            versions = self._rater.versions(service.tariff_code)
            if not versions:
                return self._no_tariff(account_id, service.tariff_code)
            reason = self._alone(service.tariff_code, seconds)
            if reason is not None:
                return reason
            is_plain = len(rows) == 1 and rows[0][0] is units.Flow.DELIVERED
            key = (service.tariff_code, rows[0][1] if is_plain else -1, seconds)
            found.append((key, _Member(account_id, place, service, tuple(rows), factor)))
        return found

    def _rate(
        self,
        lot: draft_reads.Lot,
        members: list[_Member],
        key: tuple[str, int, int],
        cells: draft_groups.CellsOf,
        gathered: dict[int, _Gathered],
    ) -> None:
        code, span, seconds = key
        account_ids = [member.account_id for member in members]
        points = np.array([member.service.service_point_id for member in members], dtype=np.int64)
        group: draft_groups.Group | draft_groups.SettledGroup
        if span == draft_reads.NOWHERE:
            channels = [member.channels for member in members]
            group = draft_groups.SettledGroup(account_ids, points, channels, [member.factor for member in members])
        else:
            rows = np.array([member.channels[0][2] for member in members], dtype=np.int64)
            group = draft_groups.Group(account_ids, points, span, rows)
        for place, version in enumerate(self._rater.versions(code)):
            rated = self._rater.rate(lot=lot, group=group, version=version, seconds=seconds, cells=cells)
            totals = rated.totals.tolist()
            for i, member in enumerate(members):
                one = gathered[member.account_id]
                one.pieces.append(((member.place, place), rated.packed[i], totals[i]))
                points_of = [service.service_point_id for service in lot.services[member.account_id]]
                if draft_reads.is_adjusted(books=lot.books, account_id=member.account_id, points=points_of):
                    one.bills.append(((member.place, place), _span(member, version), rated.bill_of(place=i)))

    def _draft(self, lot: draft_reads.Lot, account_id: int, found: _Gathered) -> models.BillDraft.Row:
        if found.bills:
            adjusted = issue_bill.adjusted(
                account_id=account_id,
                starts_on=self._run.starts_on,
                ends_on=self._run.ends_on,
                rated=[(span, made) for _, span, made in sorted(found.bills, key=lambda each: each[0])],
                books=lot.books,
            )
            return self._pack(lot, account_id, adjusted, "")
        pieces = sorted(found.pieces)
        code = lot.services[account_id][0].tariff_code
        return models.BillDraft.Row(
            run_id=self._run.pk,
            account_id=account_id,
            tariff_id=self._rater.versions(code)[0].row.pk,
            total_cents=issue_bill.to_cents(sum(nano for _, _, nano in pieces)),
            previous_cents=lot.previous.get(account_id),
            rated_alone="",
            spans=b"".join([packed_span for _, packed_span, _ in pieces]),
        )

    def _draft_alone(
        self, lot: draft_reads.Lot, account: customer_models.CustomerAccount, reason: Alone
    ) -> models.BillDraft.Row:
        found = issue_bill.rate_account(
            account=account, starts_on=self._run.starts_on, ends_on=self._run.ends_on, books=lot.books
        )
        return self._pack(lot, account.pk, found, reason.value)

    def _pack(
        self, lot: draft_reads.Lot, account_id: int, found: issue_bill.RatedAccount, reason: str
    ) -> models.BillDraft.Row:
        parts: list[bytes] = []
        for each in found.spans:
            lines = (*each.rated.lines, *each.added)
            layout = packed_lines.Layout(
                tariff_id=each.span.tariff.pk,
                starts_on=each.span.days.starts_on,
                ends_on=each.span.days.ends_on,
                templates=tuple(map(packed_lines.Template.of, lines)),
                omissions=each.rated.omissions,
                estimates=each.rated.estimates,
                prices_known_at=each.rated.prices_known_at,
            )
            parts.append(
                packed_lines.pack(
                    lines=lines,
                    usage=each.rated.usage,
                    carried_milliwh=each.rated.carried_milliwh,
                    layout_id=self._rater.layout_id(layout=layout),
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
                    layout_id=self._rater.layout_id(layout=layout),
                    service_point_id=packed_lines.NO_POINT,
                )
            )
        return models.BillDraft.Row(
            run_id=self._run.pk,
            account_id=account_id,
            tariff_id=found.spans[0].span.tariff.pk,
            total_cents=issue_bill.to_cents(found.total_nano),
            previous_cents=lot.previous.get(account_id),
            rated_alone=reason,
            spans=b"".join(parts),
        )

    def _why_alone(self, code: str, seconds: int) -> Alone | None:
        """Return why accounts of a tariff, read at such intervals, go alone; None if they go together."""
        versions = self._rater.versions(code)
        if not all(
            span_sheets.can_rate(tariff=version.tariff, reading=version.reading, interval_seconds=seconds)
            for version in versions
        ):
            return Alone.TARIFF
        if len(versions) > 1 and any(span_sheets.remembers(tariff=version.tariff) for version in versions):
            return Alone.CHANGE
        return None

    @staticmethod
    def _no_tariff(account_id: int, code: str) -> Impossible:
        detail = f"No version of tariff {code} is in force on some day of the period."
        return Impossible(account_id, "no_tariff", detail)


def _places(lot: draft_reads.Lot) -> dict[int, tuple[int, int]]:
    """Return where each channel's counts are: span and row. Reads below zero that are not net are left out."""
    found: dict[int, tuple[int, int]] = {}
    net = {each.channel_id for channels in lot.channels.values() for each in channels if each.flow is units.Flow.NET}
    for place, span in enumerate(lot.spans):
        below = set(np.flatnonzero(span.counts.min(axis=1) < 0).tolist()) if int(span.counts.min()) < 0 else set()
        for row, channel_id in enumerate(span.channel_ids.tolist()):
            if row not in below or channel_id in net:
                found[channel_id] = (place, row)
    return found


def _span(member: _Member, version: draft_groups.Version) -> issue_bill.Span:
    agreement = customer_models.ServiceAgreement(
        pk=member.service.agreement_id,
        account_id=member.account_id,
        service_point_id=member.service.service_point_id,
        tariff_code=member.service.tariff_code,
        starts_on=member.service.starts_on,
        ends_on=member.service.ends_on,
    )
    return issue_bill.Span(agreement=agreement, tariff=version.row, days=version.days)
