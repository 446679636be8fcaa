"""A bill run's numbers are `rating`'s, line for line and nano for nano."""

import datetime
import os
import zoneinfo

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.domain import (
    bill,
    demand,
    loads,
    packed_lines,
    rating,
    span_batch,
    span_cells,
    span_sheets,
    tariffs,
    terms,
)
from tests.unit.billing.domain import test_properties as properties

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "100"))
SPANS = 2


def any_memory(seed: int) -> list[rating.History]:
    numbers = np.random.default_rng(seed)
    peaks = numbers.integers(0, 9_000_000, (SPANS, 12)).tolist()
    carried = numbers.integers(1, 900_000_000, (SPANS, 3)).tolist()
    is_carried = (numbers.random((SPANS, 3)) < numbers.choice([0.0, 0.6])).tolist()
    return [
        rating.History(
            peaks=tuple(demand.PastPeak(2024, month + 1, peaks[place][month]) for month in range(12)),
            carried_milliwh=tuple((at, carried[place][at]) for at in range(3) if is_carried[place][at]),
            carried_month=int(numbers.integers(1, 13)),
            billed_in_year_nano=int(numbers.integers(0, 10**12)),
        )
        for place in range(SPANS)
    ]


@given(
    tariff=properties.any_tariff(),
    zone=st.sampled_from(properties.ZONES),
    first=st.dates(datetime.date(2025, 1, 1), datetime.date(2025, 10, 31)),
    days=st.integers(1, 45),
    seconds=st.sampled_from([900, 1800, 3600]),
    reading=st.builds(
        terms.Terms,
        rounding=st.sampled_from(list(bill.Rounding)),
        proration=st.sampled_from(list(terms.Proration)),
        tiers=st.sampled_from(list(terms.TierReading)),
        ratchet=st.sampled_from(list(terms.RatchetReading)),
        meters=st.integers(1, 3),
    ),
    seed=st.integers(0, 2**32 - 1),
    exports=st.booleans(),
)
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_group_is_rated_as_each_of_it_would_be(  # noqa: PLR0917 - given by name
    tariff: tariffs.Tariff,
    zone: str,
    first: datetime.date,
    days: int,
    seconds: int,
    reading: terms.Terms,
    seed: int,
    exports: bool,
) -> None:
    histories = any_memory(seed)
    period = loads.BillingPeriod(first, first + datetime.timedelta(days=days), zoneinfo.ZoneInfo(zone))
    last_day = period.ends_on - datetime.timedelta(days=1)
    used = [
        properties.random_load(period=period, seconds=seconds, seed=seed + place, exports=exports)
        for place in range(SPANS)
    ]
    if tariff.metering is not tariffs.Metering.NET_METERING:
        histories = [
            rating.History(peaks=item.peaks, billed_in_year_nano=item.billed_in_year_nano) for item in histories
        ]
    histories = [
        rating.History(
            item.peaks,
            item.carried_milliwh,
            item.carried_month,
            item.billed_in_year_nano,
            ends_year=(last_day.month, last_day.day) == (12, 31),
        )
        for item in histories
    ]
    alone = [
        rating.rate(tariff=tariff, load=load, period=period, reading=reading, history=history)
        for load, history in zip(used, histories, strict=True)
    ]

    sheet = span_sheets.prepare(tariff=tariff, tariff_id=1, reading=reading, period=period, interval_seconds=seconds)
    cells = span_cells.of_intervals(
        grid=span_cells.grid(period=period, interval_seconds=seconds, holidays=reading.holidays),
        metering=tariff.metering,
        taken_milliwh=np.stack([load.import_milliwh for load in used]),
        given_milliwh=np.stack([np.asarray(load.export_milliwh) for load in used]) if exports else None,
    )
    together = span_batch.rate(sheet=sheet, cells=cells, memory=span_batch.remember(sheet=sheet, histories=histories))

    imports = np.array([one.usage.import_milliwh for one in alone])
    exports_of = np.array([one.usage.export_milliwh for one in alone])
    packed = span_batch.pack(
        sheet=sheet,
        rated=together,
        layout_id=7,
        service_point_ids=np.arange(SPANS),
        import_milliwh=imports,
        export_milliwh=exports_of,
    )
    for place, one in enumerate(alone):
        (span,) = packed_lines.unpack(packed=packed[place], layouts={7: sheet.layout})
        assert span.lines == one.lines
        assert span.usage == one.usage
        assert (span.carried_milliwh, span.layout.omissions) == (one.carried_milliwh, one.omissions)
        made = span_batch.bill_of(
            sheet=sheet,
            rated=together,
            place=place,
            import_milliwh=int(imports[place]),
            export_milliwh=int(exports_of[place]),
        )
        assert made == one


@given(
    zone=st.sampled_from(properties.ZONES),
    first=st.dates(datetime.date(2025, 1, 1), datetime.date(2025, 10, 31)),
    days=st.integers(1, 70),
    seconds=st.sampled_from([300, 900, 1800, 3600]),
    kind=st.sampled_from(["<i2", "<i4", "<i8"]),
    scales=st.sampled_from([(1000,), (1000, 2000), (1, 7, 32767)]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=EXAMPLES, deadline=None)
def test_packed_days_add_up_as_their_intervals_do(  # noqa: PLR0917 - given by name
    zone: str, first: datetime.date, days: int, seconds: int, kind: str, scales: tuple[int, ...], seed: int
) -> None:
    period = loads.BillingPeriod(first, first + datetime.timedelta(days=days), zoneinfo.ZoneInfo(zone))
    grid = span_cells.grid(period=period, interval_seconds=seconds, holidays=frozenset())
    numbers = np.random.default_rng(seed)
    counts = numbers.integers(0, 32768, (SPANS, len(grid.starts))).astype(kind)
    by_day = numbers.choice(scales, (SPANS, grid.days)).astype(np.int64)
    factors = np.array([1, 40])
    energy = counts.astype(np.int64) * np.repeat(by_day, np.diff(grid.places), axis=1) * factors[:, None]

    packed = span_cells.of_packed(grid=grid, counts=counts, scales=by_day, factors=factors)

    plain = span_cells.of_intervals(grid=grid, metering=tariffs.Metering.NET_METERING, taken_milliwh=energy)
    assert np.array_equal(packed.bought, plain.bought)
    assert np.array_equal(packed.peaks, plain.peaks)
