"""Draws gas against fees, day by day, as one SVG that reads on a phone, prints, and speaks to a screen reader."""

import datetime
import decimal
from collections.abc import Sequence
from typing import Protocol

_WIDTH, _HEIGHT = 390, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 8, 30, 26
_GAS, _FEES = "#b45309", "#12805c"
_MOST_LABELS = 5
_ROOM = 0.08


class Day(Protocol):
    """What one day brought and took, in wei."""

    @property
    def day(self) -> datetime.date: ...

    @property
    def gas_wei(self) -> int: ...

    @property
    def fees_wei(self) -> int: ...


def to_svg(*, days: Sequence[Day]) -> str:
    """Return two bars for each day: what gas cost, and what fees were worth."""
    most_wei = max((max(day.gas_wei, day.fees_wei) for day in days), default=0)
    height = _HEIGHT - _TOP - _BOTTOM
    scale = height / (most_wei * (1 + _ROOM)) if most_wei else 0.0
    slot = (_WIDTH - _LEFT - _RIGHT) / max(1, len(days))
    bar = max(0.6, slot * 0.38)
    floor = _HEIGHT - _BOTTOM
    every = -(-len(days) // _MOST_LABELS) or 1
    bars = "".join(
        f"<g><title>{day.day:%d %b %Y}: gas {_coin(day.gas_wei)}, fees {_coin(day.fees_wei)}</title>"
        + _bar(_LEFT + number * slot + slot * 0.1, day.gas_wei * scale, bar, floor, _GAS)
        + _bar(_LEFT + number * slot + slot * 0.1 + bar, day.fees_wei * scale, bar, floor, _FEES)
        + "</g>"
        for number, day in enumerate(days)
    )
    labels = "".join(
        f'<text x="{_LEFT + number * slot:.1f}" y="{_HEIGHT - 8}">{day.day:%d %b}</text>'
        for number, day in enumerate(days)
        if number % every == 0 and number + every // 2 <= len(days)
    )
    lines = "".join(
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{floor - wei * scale:.1f}" y2="{floor - wei * scale:.1f}" '
        f'stroke="currentColor" stroke-opacity="{0.5 if wei == 0 else 0.15}"/>'
        f'<text x="{_LEFT - 5}" y="{floor - wei * scale + 4:.1f}" text-anchor="end">{_coin(wei)}</text>'
        for wei in sorted({0, most_wei // 2, most_wei})
    )
    gas_wei, fees_wei = sum(day.gas_wei for day in days), sum(day.fees_wei for day in days)
    return (
        f'<svg class="gas-plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" width="100%" '
        f'style="max-width:720px;height:auto;font:11px system-ui,sans-serif" fill="currentColor" '
        f'xmlns="http://www.w3.org/2000/svg">'
        f"<title>Gas {_coin(gas_wei)}, fees {_coin(fees_wei)} coin in {len(days)} days</title>"
        f'<text x="4" y="14" font-weight="600">coin</text>'
        f'<text x="{_LEFT}" y="14" fill="{_GAS}">■ gas</text><text x="{_LEFT + 50}" y="14" fill="{_FEES}">■ fees</text>'
        f"{lines}{labels}{bars}</svg>"
    )


def _bar(x: float, height: float, width: float, floor: int, colour: str) -> str:
    if height <= 0:
        return ""
    return f'<rect x="{x:.1f}" y="{floor - height:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def _coin(wei: int) -> str:
    if wei == 0:
        return "0"
    return f"{decimal.Decimal(wei).scaleb(-18):.2g}".replace("E", "e") if wei < 10**12 else _digits(wei)


def _digits(wei: int) -> str:
    whole = decimal.Decimal(wei).scaleb(-18)
    places = max(0, 1 - whole.adjusted())
    return f"{whole:.{places}f}"
