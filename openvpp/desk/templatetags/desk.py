"""Amounts and hashes as the desk shows them."""

from django import template

from openvpp.core import money

register = template.Library()


@register.filter
def cents(amount: int, currency: str) -> str:
    """Return cents as money."""
    return f"{money.from_units(units=abs(int(amount)), decimals=2):,.2f} {currency}"


@register.filter
def tokens(units: int, decimals: int) -> str:
    """Return base units as whole tokens, without needless zeros but with two places at least."""
    whole, _, places = f"{money.from_units(units=int(units), decimals=int(decimals)):,f}".partition(".")
    return f"{whole}.{places.rstrip('0').ljust(2, '0')}"


@register.filter
def short(text: str) -> str:
    """Return enough of a hash to tell it from another."""
    return f"{text[:10]}…{text[-6:]}"
