"""Draws baseline against actual as one SVG that reads on a phone, prints, and speaks to a screen reader."""

import dataclasses
import datetime
import decimal
import zoneinfo
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self

_WIDTH, _HEIGHT = 390, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 10, 30, 26
_BASELINE, _ACTUAL = "#9aa4b2", "#12805c"
_QUARTERS_PER_HOUR, _WH_PER_KWH = 4, 1000
_MOST_LABELS = 6
_ROOM = 0.08
_LABEL_HEIGHT = 12


@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    """A quarter of an hour: net consumption in Wh as it would have been and as it was; None where it is not known."""

    starts_at: datetime.datetime
    baseline_wh: decimal.Decimal | None
    actual_wh: int | None

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read a point as a payout keeps it."""
        baseline_wh = data["baseline_wh"]
        return cls(
            starts_at=datetime.datetime.fromisoformat(data["starts_at"]),
            baseline_wh=None if baseline_wh is None else decimal.Decimal(baseline_wh),
            actual_wh=data["actual_wh"],
        )


def add_up(series: Iterable[Sequence[Point]]) -> tuple[Point, ...]:
    """Return the sum of several devices over the same intervals, those left out that are not known of a device."""
    return tuple(
        Point(
            starts_at=points[0].starts_at,
            baseline_wh=sum((p.baseline_wh for p in points if p.baseline_wh is not None), decimal.Decimal(0)),
            actual_wh=sum(p.actual_wh for p in points if p.actual_wh is not None),
        )
        for points in zip(*series, strict=True)
    )


def to_svg(*, points: Sequence[Point], zone: zoneinfo.ZoneInfo) -> str:
    """Return both as steps in kW over local time; below zero is power given."""
    baseline_kw = [None if p.baseline_wh is None else _kw(p.baseline_wh) for p in points]
    actual_kw = [None if p.actual_wh is None else _kw(p.actual_wh) for p in points]
    known = [kw for kw in (*baseline_kw, *actual_kw) if kw is not None]
    highest, lowest = max([0.0, *known]), min([0.0, *known])
    room = (highest - lowest or 1.0) * _ROOM
    scale = (_HEIGHT - _TOP - _BOTTOM) / (highest - lowest + 2 * room)
    slot = (_WIDTH - _LEFT - _RIGHT) / len(points)

    def y(kw: float) -> float:
        return _TOP + (highest + room - kw) * scale

    every = -(-len(points) // _MOST_LABELS)
    labels = "".join(
        f'<text x="{_LEFT + i * slot:.1f}" y="{_HEIGHT - 8}">{p.starts_at.astimezone(zone):%H:%M}</text>'
        for i, p in enumerate(points)
        if i % every == 0
    )
    axis = "".join(
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(kw):.1f}" y2="{y(kw):.1f}" stroke="currentColor" '
        f'stroke-opacity="{0.5 if kw == 0 else 0.15}"/>'
        f'<text x="{_LEFT - 5}" y="{y(kw) + 4:.1f}" text-anchor="end">{kw:.2f}</text>'
        for kw in sorted({highest, 0.0, lowest})
        if kw == 0 or abs(kw) * scale >= _LABEL_HEIGHT
    )
    return (
        f'<svg class="event-plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" width="100%" '
        f'style="max-width:560px;height:auto;font:11px system-ui,sans-serif" fill="currentColor" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{_words(points)}</title>'
        f'<text x="4" y="14" font-weight="600">kW</text>'
        f'<text x="{_LEFT}" y="14" fill="{_BASELINE}">baseline</text>'
        f'<text x="{_LEFT + 60}" y="14" fill="{_ACTUAL}">actual</text>{axis}{labels}'
        f"{_steps(baseline_kw, y, slot, f'stroke="{_BASELINE}" stroke-dasharray="5 3"')}"
        f"{_steps(actual_kw, y, slot, f'stroke="{_ACTUAL}"')}</svg>"
    )


def _steps(kws: Sequence[float | None], y: Callable[[float], float], slot: float, style: str) -> str:
    path, pen_is_down = "", False
    for i, kw in enumerate(kws):
        if kw is None:
            pen_is_down = False
            continue
        path += f"{'L' if pen_is_down else 'M'}{_LEFT + i * slot:.1f} {y(kw):.1f}H{_LEFT + (i + 1) * slot:.1f}"
        pen_is_down = True
    return f'<path d="{path}" fill="none" stroke-width="2" {style}/>' if path else ""


def _kw(wh: decimal.Decimal | int) -> float:
    return float(wh) * _QUARTERS_PER_HOUR / _WH_PER_KWH


def _words(points: Sequence[Point]) -> str:
    baseline_wh = sum((p.baseline_wh for p in points if p.baseline_wh is not None), decimal.Decimal(0))
    actual_wh = sum(p.actual_wh for p in points if p.actual_wh is not None)
    return f"Baseline {baseline_wh:.0f} Wh, actual {actual_wh} Wh of net consumption"
