"""The inner loops of a bill run, compiled: packed meter days to cells, and cells of any billing period to amounts.

`rating` is what they must agree with, nano for nano. A span is a billing period's part under one version of a tariff;
it touches one calendar month or several, and each of those has 48 cells: 24 hours of weekdays, then 24 of weekends.
"""

# ruff: noqa: ANN001, ANN201, ANN202, C901, PLR0912, PLR0917 - compiled for speed, typed at the call
# mypy: disable-error-code="no-untyped-def, assignment"

import numba
import numpy as np

from billing.domain import kernels

CELLS = kernels.CELLS
HOURS = 24


@numba.njit(cache=True, nogil=True)
def aggregate(counts, scales, factors, places, groups, hours, per_hour, running, highest, sums, peaks):
    """Add packed spans up by cell: energy in mWh to `sums`, the highest mean power in mW to `peaks`.

    `counts` [spans, intervals] are the days one after the other, day `i` at `places[i]:places[i + 1]`; `scales`
    [spans, days] are mWh a count, `factors` [spans] the meters' whole multipliers. `groups` [days] is twice the
    place of the day's month, and one more on weekends. `hours` [days, most intervals of a day] is the local hour of
    each interval of a day that has not 24 hours, -1 first for the others. `running` (wide enough for a month of
    counts) and `highest` (as wide as counts) [groups, intervals of a day] are scratch; `sums` and `peaks` [spans,
    groups / 2 * 48] start from zero.

    Days of one scale are added interval by interval of the day, not hour by hour: so they are vectors.
    """
    width = HOURS * per_hour
    for span in range(counts.shape[0]):
        running[:] = 0
        highest[:] = 0
        scale = scales[span, 0]
        for day in range(groups.shape[0]):
            if scales[span, day] != scale or hours[day, 0] >= 0:
                continue
            part = counts[span, places[day] : places[day] + width]
            _add_day(running[groups[day]], highest[groups[day]], part)
        worth = scale * factors[span]
        for group in range(running.shape[0]):
            base = group * HOURS
            for hour in range(HOURS):
                total, top = np.int64(0), np.int64(0)
                for i in range(hour * per_hour, (hour + 1) * per_hour):
                    total += running[group, i]
                    top = max(top, np.int64(highest[group, i]))
                sums[span, base + hour] = total * worth
                peaks[span, base + hour] = top * worth * per_hour
        for day in range(groups.shape[0]):
            if scales[span, day] == scale and hours[day, 0] < 0:
                continue
            worth = scales[span, day] * factors[span]
            for i in range(places[day + 1] - places[day]):
                hour = hours[day, i] if hours[day, 0] >= 0 else i // per_hour
                cell = groups[day] * HOURS + hour
                value = np.int64(counts[span, places[day] + i]) * worth
                sums[span, cell] += value
                peaks[span, cell] = max(peaks[span, cell], value * per_hour)


@numba.njit(cache=True, nogil=True)
def _add_day(running, highest, counts):
    """Add a day, interval by interval: two plain loops, so that the compiler makes vectors of them."""
    for i in range(counts.shape[0]):
        running[i] += counts[i]
    for i in range(counts.shape[0]):
        highest[i] = max(highest[i], counts[i])


@numba.njit(cache=True, nogil=True)
def rate(
    sums,
    sold,
    peaks,
    months,
    days,
    share,
    last_month,
    before,
    carried_in,
    schedule,
    upper,
    per_kw,
    daily,
    price,
    sell,
    tiers,
    each_period,
    as_reference,
    flat_upper,
    flat_price,
    flat_tiers,
    flat_shares,
    tou_schedule,
    tou_upper,
    tou_price,
    tou_tiers,
    tou_shares,
    ratchet_percent,
    ratchet_range,
    ratchet_months,
    ratchet_as_reference,
    fuel,
    quantities,
    amounts,
    demands,
    carried_out,
):
    """Rate [spans, months touched, 48] cells on one version of a tariff.

    `months` are the calendar months touched (0 to 11), `share` the numerator and denominator of how many months the
    span counts as, `flat_shares` and `tou_shares` [periods, 2] the same by demand period (0 over 1: not touched).
    `before` [spans, n] are the peaks (mW) of the n months before that of the last day, latest last. `carried_in` and
    `carried_out` [spans, periods] are kWh of net metering in mWh. `sold` [spans or 0, months, 48] is energy sold.
    Slots of `quantities` and `amounts`: energy periods x tiers, flat demand periods x steps, time-of-use demand
    periods x steps, fuel by month touched, then energy sold by periods x tiers. `demands` [spans, 2] are the peak
    and the billing demand.
    """
    energy_width, flat_width, tou_width = upper.shape[1], flat_upper.shape[1], tou_upper.shape[1]
    flat_base = upper.shape[0] * energy_width
    tou_base = flat_base + flat_upper.shape[0] * flat_width
    fuel_slot = tou_base + tou_upper.shape[0] * tou_width
    sold_base = fuel_slot + months.shape[0]
    used = np.zeros(upper.shape[0], dtype=np.int64)
    reached = np.zeros(max(tou_upper.shape[0], 1), dtype=np.int64)
    history = np.zeros(before.shape[1] + 1, dtype=np.int64)
    bounds = np.zeros(energy_width, dtype=np.int64)
    indices = np.zeros(energy_width, dtype=np.int64)
    for span in range(sums.shape[0]):
        peak = np.int64(0)
        used[:] = 0
        for part in range(months.shape[0]):
            net = np.int64(0)
            for cell in range(CELLS):
                value = sums[span, part, cell]
                used[schedule[months[part], cell]] += value
                net += value
                peak = max(peak, peaks[span, part, cell])
            if fuel[months[part]] != 0:
                quantities[span, fuel_slot + part] = net
                amounts[span, fuel_slot + part] = kernels.priced(net, fuel[months[part]])
        demand = peak
        if ratchet_percent > 0:
            history[:-1] = before[span]
            demand = kernels.ratcheted(
                peak,
                history,
                before.shape[1],
                last_month,
                ratchet_percent,
                ratchet_range,
                ratchet_months,
                ratchet_as_reference,
            )
        demands[span, 0], demands[span, 1] = peak, demand
        total = np.int64(0)
        for period in range(upper.shape[0]):
            used[period] -= carried_in[span, period]
            carried_out[span, period] = max(-used[period], 0)
            used[period] = max(used[period], 0)
            total += used[period]
        for period in range(upper.shape[0]):
            if used[period] != 0:
                count = kernels.bounds_of(
                    upper[period],
                    per_kw[period],
                    daily[period],
                    tiers[period],
                    demand,
                    days,
                    share[0],
                    share[1],
                    as_reference,
                    indices,
                    bounds,
                )
                kernels.fill(
                    indices,
                    bounds,
                    count,
                    used[period] if each_period else total,
                    used[period],
                    as_reference,
                    price[period],
                    quantities[span],
                    amounts[span],
                    period * energy_width,
                )
        for period in range(flat_tiers.shape[0]):
            if flat_shares[period, 0]:
                kernels.step(
                    demand,
                    flat_upper[period],
                    flat_price[period],
                    flat_tiers[period],
                    flat_shares[period, 0],
                    flat_shares[period, 1],
                    quantities[span],
                    amounts[span],
                    flat_base + period * flat_width,
                )
        if tou_tiers.shape[0]:
            reached[:] = 0
            for part in range(months.shape[0]):
                for cell in range(CELLS):
                    period = tou_schedule[months[part], cell]
                    reached[period] = max(reached[period], peaks[span, part, cell])
            for period in range(tou_tiers.shape[0]):
                if tou_shares[period, 0]:
                    kernels.step(
                        demand if ratchet_percent > 0 else reached[period],
                        tou_upper[period],
                        tou_price[period],
                        tou_tiers[period],
                        tou_shares[period, 0],
                        tou_shares[period, 1],
                        quantities[span],
                        amounts[span],
                        tou_base + period * tou_width,
                    )
        if sold.shape[0]:
            used[:] = 0
            total = np.int64(0)
            for part in range(months.shape[0]):
                for cell in range(CELLS):
                    used[schedule[months[part], cell]] += sold[span, part, cell]
                    total += sold[span, part, cell]
            for period in range(upper.shape[0]):
                if used[period] != 0:
                    count = kernels.bounds_of(
                        upper[period],
                        per_kw[period],
                        daily[period],
                        tiers[period],
                        demand,
                        days,
                        share[0],
                        share[1],
                        as_reference,
                        indices,
                        bounds,
                    )
                    kernels.fill(
                        indices,
                        bounds,
                        count,
                        total,
                        used[period],
                        as_reference,
                        sell[period],
                        quantities[span],
                        amounts[span],
                        sold_base + period * energy_width,
                    )


@numba.njit(cache=True, nogil=True)
def pack(layout, points, imports, exports, demands, carried, present, quantities, prices, priced, amounts, words):
    """Write spans as `packed_lines` reads them, one after the other; from template `priced` on, amounts are prices."""
    at = 0
    for span in range(present.shape[0]):
        head = at
        words[at] = layout
        words[at + 1] = points[span]
        words[at + 2] = imports[span]
        words[at + 3] = exports[span]
        words[at + 4] = demands[span, 0]
        words[at + 5] = demands[span, 1]
        words[at + 6] = 0
        words[at + 7] = 0
        at += 8
        for period in range(carried.shape[1]):
            if carried[span, period] != 0:
                words[at] = period
                words[at + 1] = carried[span, period]
                words[head + 6] += 1
                at += 2
        for place in range(present.shape[1]):
            if present[span, place]:
                words[at] = place
                words[at + 1] = quantities[span, place]
                words[at + 2] = prices[place] if place < priced else amounts[span, place]
                words[at + 3] = amounts[span, place]
                words[head + 7] += 1
                at += 4
