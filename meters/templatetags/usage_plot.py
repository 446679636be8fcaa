"""`{% usage_plot service_point_id %}`: a month of daily usage as inline SVG, without JavaScript."""

import datetime
from typing import Any

from django import template
from django.utils import html, safestring

from meters import queries
from meters.domain import plotting

register = template.Library()


@register.simple_tag
def usage_plot(service_point_id: int, last: datetime.date | None = None, days: int = 31) -> Any:
    """Return the plot of the `days` up to `last` (the last day with readings), or a sentence why there is none."""
    try:
        plot = queries.get_usage_plot(service_point_id=service_point_id, last=last, days=days)
    except queries.UnableToReadUsage as error:
        return html.format_html('<p class="usage-plot-empty">{}</p>', error.detail)
    if plot is None:
        return html.format_html('<p class="usage-plot-empty">{}</p>', "No meter readings yet.")
    return safestring.mark_safe(plotting.to_svg(plot=plot))  # noqa: S308 - numbers and dates only; words are escaped
