"""`{{ amount|nano }}`: nano-units of a currency as money."""

from django import template

from openvpp.core import money

register = template.Library()


@register.filter
def nano(amount: int) -> str:
    """Return nano-units as an amount with two places."""
    return f"{money.from_units(units=amount, decimals=9):,.2f}"
