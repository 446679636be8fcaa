"""The inner loops of rating many loads at once, compiled. `rating` is what they must agree with, nano for nano.

Everything is int64. A month of a load is 48 cells: 24 hours of weekdays, then 24 of weekends; prices change by
nothing finer. Products that could pass 63 bits are divided as they are made.
"""

# ruff: noqa: ANN001, ANN201, ANN202, C901, PLR0912, PLR0915, PLR0917 - compiled for speed, typed at the call
# mypy: disable-error-code="no-untyped-def, assignment"

import numba
import numpy as np

CELLS = 48
OPEN = -1
MICRO = 1_000_000


@numba.njit(cache=True, nogil=True)
def aggregate(energy, cell_of, per_hour, sums, peaks):
    """Add each load's intervals up by cell, and keep each cell's highest mean power in mW.

    `energy` [loads, intervals] mWh, `cell_of` [intervals] month * 48 + cell, `per_hour` intervals an hour;
    `sums`, `peaks` [loads, months * 48].
    """
    for load in range(energy.shape[0]):
        for i in range(energy.shape[1]):
            cell = cell_of[i]
            value = energy[load, i]
            sums[load, cell] += value
            power = value * per_hour
            peaks[load, cell] = max(peaks[load, cell], power)


@numba.njit(cache=True, nogil=True)
def rate(
    sums,
    sold,
    peaks,
    months,
    days,
    before,
    carry_target,
    schedule,
    upper,
    per_kw,
    daily,
    price,
    sell,
    tiers,
    each_period,
    as_reference,
    flat_period,
    flat_upper,
    flat_price,
    flat_tiers,
    tou_schedule,
    tou_upper,
    tou_price,
    tou_tiers,
    ratchet_percent,
    ratchet_range,
    ratchet_months,
    ratchet_as_reference,
    fuel,
    quantities,
    amounts,
    demands,
):
    """Rate [loads, bills, 48] cells of whole calendar months on one tariff.

    Energy, flat and time-of-use demand by slot go to `quantities` and `amounts` [loads, bills, slots]: energy
    periods x tiers, then flat demand periods x steps, then time-of-use demand periods x steps, then fuel, then
    energy sold by periods x tiers. `sums` may be negative where exports are netted: what a period then has left
    goes to `carry_target` [12 of the month it goes to, periods] (-1 loses it). `sold` [loads or 0, bills, 48] is
    energy that is sold instead. `sell` are the credits' prices, negative.
    `demands` [loads, bills] is billing demand in mW. `before` [loads, 12] are the peaks of the months before the
    first bill, latest last, for ratchets.
    """
    energy_width, flat_width, tou_width = upper.shape[1], flat_upper.shape[1], tou_upper.shape[1]
    flat_base = upper.shape[0] * energy_width
    tou_base = flat_base + flat_upper.shape[0] * flat_width
    fuel_slot = tou_base + tou_upper.shape[0] * tou_width
    used = np.zeros(upper.shape[0], dtype=np.int64)
    carried = np.zeros(upper.shape[0], dtype=np.int64)
    touched = np.zeros(max(tou_upper.shape[0], 1), dtype=np.int64)
    history = np.zeros(12 + sums.shape[1], dtype=np.int64)
    bounds = np.zeros(energy_width, dtype=np.int64)
    indices = np.zeros(energy_width, dtype=np.int64)
    for load in range(sums.shape[0]):
        history[:12] = before[load]
        carried[:] = 0
        for row in range(sums.shape[1]):
            month = months[row]
            net, peak = np.int64(0), np.int64(0)
            used[:] = 0
            for cell in range(CELLS):
                used[schedule[month, cell]] += sums[load, row, cell]
                net += sums[load, row, cell]
                peak = max(peak, peaks[load, row, cell])
            for period in range(upper.shape[0]):
                if carried[period] > 0 and carry_target[month, period] >= 0:
                    used[carry_target[month, period]] -= carried[period]
            total = np.int64(0)
            for period in range(upper.shape[0]):
                carried[period] = max(-used[period], 0)
                used[period] = max(used[period], 0)
                total += used[period]
            history[12 + row] = peak
            demand = ratcheted(
                peak, history, row + 12, month, ratchet_percent, ratchet_range, ratchet_months, ratchet_as_reference
            )
            demands[load, row] = demand
            for period in range(upper.shape[0]):
                if used[period] == 0:
                    continue
                filling = used[period] if each_period else total
                count = bounds_of(
                    upper[period],
                    per_kw[period],
                    daily[period],
                    tiers[period],
                    demand,
                    days[row],
                    1,
                    1,
                    as_reference,
                    indices,
                    bounds,
                )
                fill(
                    indices,
                    bounds,
                    count,
                    filling,
                    used[period],
                    as_reference,
                    price[period],
                    quantities[load, row],
                    amounts[load, row],
                    period * energy_width,
                )
            period = flat_period[month]
            if period >= 0:
                step(
                    demand,
                    flat_upper[period],
                    flat_price[period],
                    flat_tiers[period],
                    1,
                    1,
                    quantities[load, row],
                    amounts[load, row],
                    flat_base + period * flat_width,
                )
            if tou_tiers.shape[0]:
                touched[:] = -1
                for cell in range(CELLS):
                    period = tou_schedule[month, cell]
                    touched[period] = max(touched[period], peaks[load, row, cell])
                for period in range(tou_tiers.shape[0]):
                    if touched[period] >= 0:
                        step(
                            demand if ratchet_percent > 0 else touched[period],
                            tou_upper[period],
                            tou_price[period],
                            tou_tiers[period],
                            1,
                            1,
                            quantities[load, row],
                            amounts[load, row],
                            tou_base + period * tou_width,
                        )
            if fuel[month] != 0:
                quantities[load, row, fuel_slot] = net
                amounts[load, row, fuel_slot] = priced(net, fuel[month])
            if sold.shape[0]:
                used[:] = 0
                total = np.int64(0)
                for cell in range(CELLS):
                    used[schedule[month, cell]] += sold[load, row, cell]
                    total += sold[load, row, cell]
                for period in range(upper.shape[0]):
                    if used[period] == 0:
                        continue
                    count = bounds_of(
                        upper[period],
                        per_kw[period],
                        daily[period],
                        tiers[period],
                        demand,
                        days[row],
                        1,
                        1,
                        as_reference,
                        indices,
                        bounds,
                    )
                    fill(
                        indices,
                        bounds,
                        count,
                        total,
                        used[period],
                        as_reference,
                        sell[period],
                        quantities[load, row],
                        amounts[load, row],
                        fuel_slot + 1 + period * energy_width,
                    )


@numba.njit(cache=True, nogil=True)
def ratcheted(peak, history, now, month, percent, reach, named, as_reference):
    if percent <= 0:
        return peak
    highest = np.int64(0)
    if as_reference:
        back = reach + (1 if reach >= month else 0)
        for i in range(max(now - back, 0), now):
            highest = max(highest, history[i])
        return max(highest, peak) * percent // MICRO
    back = reach or 11
    for i in range(max(now - back, 0), now):
        if named[(month - (now - i)) % 12]:
            highest = max(highest, history[i] * percent // MICRO)
    return max(highest, peak)


@numba.njit(cache=True, nogil=True)
def bounds_of(upper, per_kw, daily, count, demand, days, share, whole, as_reference, indices, bounds):
    """Write the tiers that energy fills and their bounds in mWh; see `energy.upper_bounds`.

    Bounds in kWh are for `share` / `whole` months.
    """
    counts_kw = not as_reference or per_kw[0]
    if not per_kw[0]:
        for tier in range(count):
            indices[tier] = tier
            bounds[tier] = _bound(upper[tier], per_kw[tier] and counts_kw, daily[tier], demand, days, share, whole)
        return count
    filled = 0
    limit = np.int64(OPEN)
    for tier in range(count):
        bound = _bound(upper[tier], per_kw[tier], daily[tier], demand, days, share, whole)
        if per_kw[tier]:
            limit = bound
            if tier + 1 < count and not per_kw[tier + 1]:
                continue
        elif not _is_below(bound, limit):
            if filled and not _is_below(bounds[filled - 1], limit):
                continue
            bound = limit
        indices[filled] = tier
        bounds[filled] = bound
        filled += 1
    return filled


@numba.njit(cache=True, nogil=True)
def _bound(upper, per_kw, daily, demand, days, share, whole):
    if upper == OPEN:
        return upper
    if per_kw:
        return multiply_divide(upper * days if daily else upper, demand, MICRO)
    if daily:
        return upper * days
    return upper if share == whole else multiply_divide(upper, share, whole)


@numba.njit(cache=True, nogil=True)
def _is_below(bound, other):
    return bound != OPEN and (other == OPEN or bound < other)


@numba.njit(cache=True, nogil=True)
def fill(indices, bounds, count, filling, used, as_reference, price, quantities, amounts, base):
    below, taken = np.int64(0), np.int64(0)
    for place in range(count):
        bound = bounds[place]
        is_open = bound == OPEN or filling <= bound or (not as_reference and place == count - 1)
        upper = filling if is_open else bound
        if upper <= below and not as_reference:
            continue
        running = upper if used == filling else multiply_divide_half_even(upper, used, filling)
        if running != taken:
            tier = indices[place]
            quantities[base + tier] = running - taken
            amounts[base + tier] = priced(running - taken, price[tier])
        below, taken = upper, running
        if is_open:
            break


@numba.njit(cache=True, nogil=True)
def step(demand, upper, price, count, share, whole, quantities, amounts, base):
    """Price a demand by its steps, for `share` / `whole` months."""
    lower = np.int64(0)
    for tier in range(count):
        reached = demand if upper[tier] == OPEN else min(demand, upper[tier])
        if reached > lower and price[tier] != 0:
            quantities[base + tier] = reached - lower
            if share == whole:
                amounts[base + tier] = priced(reached - lower, price[tier])
            else:
                amounts[base + tier] = multiply_divide_half_even(reached - lower, price[tier] * share, MICRO * whole)
        lower = max(lower, reached)


@numba.njit(cache=True, nogil=True)
def priced(quantity, price):
    """Return quantity (millionths) x price (nano), half to even, without passing 63 bits."""
    whole, part = quantity // MICRO, quantity % MICRO
    product = part * price
    amount = whole * price + product // MICRO
    twice = 2 * (product % MICRO)
    if twice > MICRO or (twice == MICRO and amount % 2 != 0):
        amount += 1
    return amount


@numba.njit(cache=True, nogil=True)
def multiply_divide(a, b, c):
    """Return floor(a * b / c): an estimate in floats, set right by its remainder, which wraps without harm."""
    quotient = np.int64(np.float64(a) * np.float64(b) / np.float64(c))
    remainder = a * b - quotient * c
    while remainder < 0:
        quotient -= 1
        remainder += c
    while remainder >= c:
        quotient += 1
        remainder -= c
    return quotient


@numba.njit(cache=True, nogil=True)
def multiply_divide_half_even(a, b, c):
    quotient = multiply_divide(a, b, c)
    twice = 2 * (a * b - quotient * c)
    if twice > c or (twice == c and quotient % 2 != 0):
        quotient += 1
    return quotient
