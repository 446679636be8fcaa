"""Amounts, hashes and ages as the relayer's pages show them."""

import datetime
import decimal

from django import template

from openvpp.core import clock

register = template.Library()

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400


@register.filter
def coin(wei: int) -> str:
    """Return wei as whole coins, to the microcoin; what is less is said to be."""
    whole = decimal.Decimal(int(wei)).scaleb(-18)
    if 0 < whole < decimal.Decimal("0.000001"):
        return "<0.000001"
    text = f"{whole:,.6f}".rstrip("0")
    return text + "0" if text.endswith(".") else text


@register.filter
def short(text: object) -> str:
    """Return enough of a hash or address to tell it from another."""
    shown = str(text)
    return f"{shown[:10]}…{shown[-6:]}"


@register.filter
def age(instant: datetime.datetime) -> str:
    """Return how long ago something was, roughly."""
    seconds = max(0, int((clock.get_now() - instant).total_seconds()))
    if seconds < 2 * _MINUTE_S:
        return f"{seconds} s"
    if seconds < 2 * _HOUR_S:
        return f"{seconds // _MINUTE_S} min"
    return f"{seconds // _HOUR_S} h" if seconds < 2 * _DAY_S else f"{seconds // _DAY_S} days"
