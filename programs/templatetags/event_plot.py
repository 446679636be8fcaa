"""`{% event_plot payouts time_zone %}`: baseline against actual of one or several payouts, without JavaScript."""

import zoneinfo
from collections.abc import Sequence
from typing import Any

from django import template
from django.utils import safestring

from programs import models
from programs.domain import plotting

register = template.Library()


@register.simple_tag
def event_plot(payouts: Sequence[models.Payout], time_zone: str) -> Any:
    """Return the plot of what the payouts were computed from, added up."""
    series = [[plotting.Point.from_data(row) for row in payout.intervals] for payout in payouts]
    points = plotting.add_up(series) if len(series) != 1 else series[0]
    if not points:
        return ""
    return safestring.mark_safe(plotting.to_svg(points=points, zone=zoneinfo.ZoneInfo(time_zone)))  # noqa: S308 - numbers only


@register.filter
def tokens(units: int, decimals: int) -> str:
    """Return base units as whole tokens."""
    return f"{units // 10**decimals}.{units % 10**decimals:0{decimals}d}"
