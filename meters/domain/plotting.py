"""Draws daily usage as one SVG that reads on a phone, prints, and speaks to a screen reader."""

import datetime
import math
from xml.sax import saxutils

from meters.domain import usage

_WIDTH, _HEIGHT = 390, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 8, 26, 40
_MILLI_WH_PER_KWH = 10**6
_DELIVERED, _RECEIVED, _INCOMPLETE = "#0b5fff", "#12805c", "#9aa4b2"
_TICKS = 4
_MOST_LABELS = 6
_HALF_LABEL = 20


def to_svg(*, plot: usage.Plot) -> str:
    """Return bars of kWh a day: taken from the grid above the line, given to it below, incomplete days grey."""
    totals = plot.totals
    highest = max(total.delivered_milli_wh for total in totals)
    lowest = max(total.received_milli_wh for total in totals)
    step = _nice_step(max(highest + lowest, 1) / _MILLI_WH_PER_KWH / _TICKS)
    top = max(1, math.ceil(highest / _MILLI_WH_PER_KWH / step)) * step
    bottom = math.ceil(lowest / _MILLI_WH_PER_KWH / step) * step
    scale = (_HEIGHT - _TOP - _BOTTOM) / (top + bottom)
    zero = _TOP + top * scale
    first, last = totals[0].starts_on, totals[-1].starts_on
    slots = (last - first).days + 1
    slot = (_WIDTH - _LEFT - _RIGHT) / slots
    parts = [
        _axis(value=step * i, y=zero - step * i * scale) for i in range(-round(bottom / step), round(top / step) + 1)
    ]
    every = -(-slots // _MOST_LABELS)
    for total in totals:
        place = (total.starts_on - first).days
        x = _LEFT + place * slot
        parts.append(_bars(total=total, x=x, width=slot, zero=zero, scale=scale))
        if place % every == 0:
            parts.append(_date(day=total.starts_on, x=x + slot / 2))
    words = _words(plot)
    legend = " · green: given" if lowest else ""
    legend += " · grey: incomplete" if any(total.missing for total in totals) else ""
    return (
        f'<svg class="usage-plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" width="100%" '
        f'style="max-width:640px;height:auto;font:11px system-ui,sans-serif" fill="currentColor" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{words}</title>'
        f'<text x="4" y="14"><tspan font-weight="600">kWh a day</tspan>{legend}</text>{"".join(parts)}'
        f'<text x="{_LEFT}" y="{_HEIGHT - 5}" opacity="0.7">{first.year} · days of {saxutils.escape(plot.time_zone)}'
        "</text></svg>"
    )


def _date(*, day: datetime.date, x: float) -> str:
    """Return a day's label, within the picture also at its right end."""
    anchor, at = ("end", _WIDTH - 2) if x > _WIDTH - _HALF_LABEL else ("middle", x)
    return f'<text x="{at:.1f}" y="{_HEIGHT - 22}" text-anchor="{anchor}">{_short(day)}</text>'


def _axis(*, value: float, y: float) -> str:
    return (
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="currentColor" '
        f'stroke-opacity="{0.5 if value == 0 else 0.15}"/>'
        f'<text x="{_LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
    )


def _bars(*, total: usage.Total, x: float, width: float, zero: float, scale: float) -> str:
    delivered = total.delivered_milli_wh / _MILLI_WH_PER_KWH
    received = total.received_milli_wh / _MILLI_WH_PER_KWH
    words = f"{total.starts_on:%a %-d %b %Y}: {delivered:.1f} kWh"
    words += f" taken, {received:.1f} kWh given" if received else ""
    words += f", {total.missing} intervals missing" if total.missing else ""
    bars = "".join(
        f'<rect x="{x + width * 0.1:.1f}" y="{y:.1f}" width="{width * 0.8:.1f}" height="{height:.1f}" fill="{colour}"/>'
        for y, height, colour in (
            (zero - delivered * scale, delivered * scale, _INCOMPLETE if total.missing else _DELIVERED),
            (zero, received * scale, _RECEIVED),
        )
        if height > 0
    )
    return f"<g><title>{words}</title>{bars}</g>"


def _words(plot: usage.Plot) -> str:
    delivered = sum(total.delivered_milli_wh for total in plot.totals) / _MILLI_WH_PER_KWH
    received = sum(total.received_milli_wh for total in plot.totals) / _MILLI_WH_PER_KWH
    text = (
        f"Daily usage from {plot.totals[0].starts_on:%-d %B %Y} to {plot.totals[-1].starts_on:%-d %B %Y}: "
        f"{delivered:.1f} kWh taken"
    )
    return f"{text}, {received:.1f} kWh given" if received else text


def _nice_step(rough: float) -> float:
    power = 10 ** math.floor(math.log10(rough)) if rough > 0 else 1
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)


def _short(day: datetime.date) -> str:
    return f"{day:%-d %b}"
