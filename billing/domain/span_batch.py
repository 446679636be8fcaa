"""Many customers' spans of one tariff version and the same local days: the nano-units and lines of `rating`, at once.

A bill run groups spans by tariff version and days. What is the same for a group stands in its sheet; what differs
is a row of numbers. Which spans can be rated so is `span_sheets.can_rate`'s to say; the rest goes through `rating`,
one by one.
"""

import dataclasses
import datetime
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from billing.domain import bill, kernel_spans, loads, packed_lines, rating, span_sheets, tariffs, terms


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Cells:
    """Energy of spans by cell, [spans, months touched, 48]; see `batch.Cells`.

    `bought` is what was taken less what was given where a month is netted, `sold` is empty where nothing is sold.
    """

    bought: loads.Int64s
    sold: loads.Int64s
    peaks: loads.Int64s


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Memory:
    """What earlier bills left: peaks (mW) of the months before, latest last; kWh carried by period; the year so far."""

    peaks: loads.Int64s
    carried_milliwh: loads.Int64s
    billed_in_year_nano: loads.Int64s


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Rated:
    """Quantities (millionths) and amounts (nano) by template of the layout, [spans, templates].

    `present` says which lines a bill has; the others' numbers mean nothing.
    """

    quantities: loads.Int64s
    amounts: loads.Int64s
    present: np.typing.NDArray[np.bool_]
    demands: loads.Int64s
    carried_milliwh: loads.Int64s


def remember(*, sheet: span_sheets.Sheet, histories: Sequence[rating.History]) -> Memory:
    """Return what the bills before mean for each span of a group."""
    last_day = sheet.period.ends_on - datetime.timedelta(days=1)
    now = last_day.year * tariffs.MONTHS + last_day.month
    memory = forget(sheet=sheet, count=len(histories))
    for place, history in enumerate(histories):
        for item in history.peaks:
            back = now - item.year * tariffs.MONTHS - item.month
            if 0 < back <= span_sheets.MONTHS_REMEMBERED:
                at = span_sheets.MONTHS_REMEMBERED - back
                memory.peaks[place, at] = max(int(memory.peaks[place, at]), item.peak_milliw)
        arrived = rating.carried_of(tariff=sheet.tariff, history=history, period=sheet.period, reading=sheet.reading)
        for period, amount in arrived.items():
            memory.carried_milliwh[place, period] = amount
        memory.billed_in_year_nano[place] = history.billed_in_year_nano
    return memory


def forget(*, sheet: span_sheets.Sheet, count: int) -> Memory:
    """Return the memory of spans that have no bills before them."""
    return Memory(
        peaks=np.zeros((count, span_sheets.MONTHS_REMEMBERED), dtype=np.int64),
        carried_milliwh=np.zeros((count, sheet.periods), dtype=np.int64),
        billed_in_year_nano=np.zeros(count, dtype=np.int64),
    )


def rate(*, sheet: span_sheets.Sheet, cells: Cells, memory: Memory) -> Rated:
    """Rate every span of a group."""
    count = len(cells.bought)
    found = np.zeros((2, count, sheet.slots), dtype=np.int64)
    demands = np.zeros((count, 2), dtype=np.int64)
    carried = np.zeros((count, sheet.periods), dtype=np.int64)
    last_day = sheet.period.ends_on - datetime.timedelta(days=1)
    cast("Any", kernel_spans.rate)(
        cells.bought,
        cells.sold,
        cells.peaks,
        sheet.months,
        sheet.period.days,
        sheet.share,
        last_day.month - 1,
        memory.peaks,
        memory.carried_milliwh,
        *sheet.arguments,
        found[0],
        found[1],
        demands,
        carried,
    )
    size = len(sheet.layout.templates)
    variable = len(sheet.places)
    quantities = np.full((count, size), packed_lines.MICRO_OF_ONE, dtype=np.int64)
    amounts = np.zeros((count, size), dtype=np.int64)
    quantities[:, :variable], amounts[:, :variable] = found[0][:, sheet.places], found[1][:, sheet.places]
    present = quantities != 0
    for place, line in enumerate(sheet.fixed, start=variable):
        quantities[:, place], amounts[:, place] = int(line.quantity.scaleb(6)), line.amount_nano
    at = variable + len(sheet.fixed)
    _add_minimums(sheet=sheet, amounts=amounts, first=at, memory=memory)
    amounts[:, -1] = _rounding(sheet=sheet, amounts=amounts)
    present[:, at:] = amounts[:, at:] != 0
    return Rated(quantities, amounts, present, demands, carried)


def _add_minimums(*, sheet: span_sheets.Sheet, amounts: loads.Int64s, first: int, memory: Memory) -> None:
    shares = terms.month_shares(period=sheet.period, terms=sheet.reading)
    spent = amounts.sum(axis=1)
    last_day = sheet.period.ends_on - datetime.timedelta(days=1)
    for place, minimum in enumerate(sheet.tariff.minimums, start=first):
        reached = spent
        if minimum.per is tariffs.ChargePer.YEAR:
            if (last_day.month, last_day.day) != (12, 31):
                continue
            least, reached = minimum.amount_nano, memory.billed_in_year_nano + spent
        else:
            least = rating.least_nano(minimum=minimum, period=sheet.period, shares=shares)
        amounts[:, place] = np.maximum(least - reached, 0)
        spent = spent + amounts[:, place]


def _rounding(*, sheet: span_sheets.Sheet, amounts: loads.Int64s) -> loads.Int64s:
    step = 10 ** (9 - sheet.reading.minor_digits)

    def difference(exact: loads.Int64s) -> loads.Int64s:
        return np.asarray(np.sign(exact) * ((2 * np.abs(exact) + step) // (2 * step) * step) - exact, dtype=np.int64)

    match sheet.reading.rounding:
        case bill.Rounding.BILL:
            return difference(amounts.sum(axis=1))
        case bill.Rounding.LINE:
            return np.asarray(difference(amounts).sum(axis=1), dtype=np.int64)
    kinds = [bill.COMPONENT_OF.get(template.kind) for template in sheet.layout.templates]
    parts = [amounts[:, [i for i, kind in enumerate(kinds) if kind is component]] for component in set(kinds)]
    return np.asarray(sum(difference(part.sum(axis=1)) for part in parts), dtype=np.int64)


def bill_of(
    *, sheet: span_sheets.Sheet, rated: Rated, place: int, import_milliwh: int, export_milliwh: int
) -> bill.RatedBill:
    """Return one span of a group as `rating` would have."""
    chosen = np.flatnonzero(rated.present[place]).tolist()
    prices = [*sheet.prices.tolist(), *rated.amounts[place, len(sheet.prices) :].tolist()]
    return bill.RatedBill(
        tariff_label=sheet.tariff.label,
        currency=sheet.tariff.currency,
        period=sheet.period,
        lines=tuple(
            sheet.layout.templates[i].line(
                quantity_micro=int(rated.quantities[place, i]),
                unit_price_nano=prices[i],
                amount_nano=int(rated.amounts[place, i]),
            )
            for i in chosen
        ),
        usage=bill.Usage(
            import_milliwh=import_milliwh,
            export_milliwh=export_milliwh,
            peak_milliw=int(rated.demands[place, 0]),
            billing_demand_milliw=int(rated.demands[place, 1]),
        ),
        omissions=sheet.layout.omissions,
        carried_milliwh=tuple((p, amount) for p, amount in enumerate(rated.carried_milliwh[place].tolist()) if amount),
    )


def pack(
    *,
    sheet: span_sheets.Sheet,
    rated: Rated,
    layout_id: int,
    service_point_ids: loads.Int64s,
    import_milliwh: loads.Int64s,
    export_milliwh: loads.Int64s,
) -> list[bytes]:
    """Return every span of a group in bytes; see `packed_lines`."""
    count = len(rated.amounts)
    carries = rated.carried_milliwh != 0
    sizes = packed_lines.HEAD + 2 * carries.sum(axis=1) + packed_lines.WORDS_OF_LINE * rated.present.sum(axis=1)
    ends = np.cumsum(sizes)
    words = np.empty(int(ends[-1]), dtype="<i8")
    prices = np.concatenate([sheet.prices, np.zeros(rated.amounts.shape[1] - len(sheet.prices), dtype=np.int64)])
    cast("Any", kernel_spans.pack)(
        layout_id,
        service_point_ids,
        import_milliwh,
        export_milliwh,
        rated.demands,
        rated.carried_milliwh,
        rated.present,
        rated.quantities,
        prices,
        len(sheet.prices),
        rated.amounts,
        words,
    )
    text = words.tobytes()
    bounds = (8 * np.concatenate([[0], ends])).tolist()
    return [text[bounds[i] : bounds[i + 1]] for i in range(count)]
