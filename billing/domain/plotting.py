"""Draws a comparison, a forecast and an explanation as SVG that reads on a phone, prints, and speaks."""

import decimal
from collections.abc import Sequence
from xml.sax import saxutils

from billing.domain import comparison, explanation, forecast

_WIDTH, _ROW, _TOP, _BAR = 390, 44, 30, 14
_LEFT, _RIGHT = 8, 8
_OWN, _OTHER, _DEARER, _CHEAPER, _RANGE = "#0b5fff", "#9aa4b2", "#b42318", "#12805c", "#9ec1ff"
_LONGEST_LABEL = 38


def comparison_svg(*, costs: Sequence[comparison.Cost], current_code: str, currency: str) -> str:
    """Return a bar for each tariff that could be priced, as long as what it costs; the account's own is blue."""
    shown = [cost for cost in costs if cost.months]
    most = max((abs(cost.total_nano) for cost in shown), default=0) or 1
    rows = [
        _bar(
            place=place,
            label=f"{cost.candidate.code}: {cost.candidate.name}",
            value=_money(cost.total_nano),
            start=0.0,
            length=abs(cost.total_nano) / most,
            colour=_OWN if cost.candidate.code == current_code else _OTHER,
        )
        for place, cost in enumerate(shown)
    ]
    months = len(shown[0].months) if shown else 0
    said = "; ".join(f"{cost.candidate.code} {_money(cost.total_nano)}" for cost in shown)
    return _svg(
        kind="tariff-plot",
        heading=f"{currency} for {months} month{'' if months == 1 else 's'}",
        words=f"What each tariff would have cost in {currency}: {said}",
        rows=rows,
    )


def forecast_svg(*, so_far_nano: int, spread: forecast.Spread, currency: str) -> str:
    """Return what is used so far, what is expected, and a band that four of five bills lie in."""
    most = max(abs(so_far_nano), abs(spread.high_nano), 1)
    low, high = max(0, spread.low_nano) / most, max(0, spread.high_nano) / most
    rows = [
        _bar(
            place=0,
            label="So far",
            value=_money(so_far_nano),
            start=0.0,
            length=max(0, so_far_nano) / most,
            colour=_OWN,
        ),
        _bar(
            place=1,
            label="Expected",
            value=_money(spread.expected_nano),
            start=0.0,
            length=max(0, spread.expected_nano) / most,
            colour=_OTHER,
        ),
        _bar(
            place=2,
            label="Four of five times between",
            value=f"{_money(spread.low_nano)} and {_money(spread.high_nano)}",
            start=low,
            length=max(high - low, 0.01),
            colour=_RANGE,
        ),
    ]
    words = (
        f"{_money(so_far_nano)} {currency} so far; {_money(spread.expected_nano)} expected, four times of five between "
        f"{_money(spread.low_nano)} and {_money(spread.high_nano)}"
    )
    return _svg(kind="forecast-plot", heading=f"This bill in {currency}", words=words, rows=rows)


def explanation_svg(*, effects: Sequence[explanation.Effect], currency: str) -> str:
    """Return what each cause that did something did: to the right dearer, to the left cheaper."""
    shown = [effect for effect in effects if effect.amount_nano]
    most = max((abs(effect.amount_nano) for effect in shown), default=0) or 1
    rows = []
    for place, effect in enumerate(shown):
        length = abs(effect.amount_nano) / most / 2
        is_dearer = effect.amount_nano > 0
        rows.append(
            _bar(
                place=place,
                label=effect.cause.value.capitalize(),
                value=_money(effect.amount_nano, sign="+"),
                start=0.5 if is_dearer else 0.5 - length,
                length=length,
                colour=_DEARER if is_dearer else _CHEAPER,
            )
        )
    said = "; ".join(f"{effect.cause.value} {_money(effect.amount_nano, sign='+')}" for effect in shown)
    words = f"Why the bill changed, in {currency}: {said or 'it did not'}"
    return _svg(kind="explanation-plot", heading=f"Change in {currency}", words=words, rows=rows)


def _bar(*, place: int, label: str, value: str, start: float, length: float, colour: str) -> str:
    y = _TOP + place * _ROW
    room = _WIDTH - _LEFT - _RIGHT
    words = label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…"
    return (
        f"<g><title>{saxutils.escape(label)}: {value}</title>"
        f'<text x="{_LEFT}" y="{y + 11}">{saxutils.escape(words)}</text>'
        f'<text x="{_WIDTH - _RIGHT}" y="{y + 11}" text-anchor="end" font-weight="600">{value}</text>'
        f'<rect x="{_LEFT + start * room:.1f}" y="{y + 17}" width="{length * room:.1f}" height="{_BAR}" rx="2" '
        f'fill="{colour}"/></g>'
    )


def _svg(*, kind: str, heading: str, words: str, rows: Sequence[str]) -> str:
    height = _TOP + max(1, len(rows)) * _ROW
    return (
        f'<svg class="{kind}" viewBox="0 0 {_WIDTH} {height}" role="img" width="100%" '
        f'style="max-width:640px;height:auto;font:12px system-ui,sans-serif" fill="currentColor" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{saxutils.escape(words)}</title>'
        f'<text x="{_LEFT}" y="16" font-weight="600">{saxutils.escape(heading)}</text>{"".join(rows)}</svg>'
    )


def _money(nano: int, *, sign: str = "-") -> str:
    return format(decimal.Decimal(nano).scaleb(-9), f"{sign},.2f")
