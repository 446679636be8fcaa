"""Reads of meter data: intervals, days, months, and what is missing from them.

What a meter read is stored; what is read here is energy, reads times the multiplier of the meter that stood at the
point on that local day (`meters.domain.multipliers`). So a bill and what is shown are one number.
"""

from meters.queries.arrivals import Arrival, get_arrivals
from meters.queries.meters_standing import is_multiplied
from meters.queries.points import (
    NO_ACCOUNT,
    account_by_day,
    count_versions,
    get_service_point_id,
    get_service_points_of_utility,
    get_visible_days,
    get_visible_service_point,
    lock_channels,
)
from meters.queries.questions import count_estimated, get_blocking_questions, get_last_day, get_rules
from meters.queries.reading import (
    LONGEST_READ_DAYS,
    UnableToReadUsage,
    get_channel_intervals,
    get_channel_reads,
    get_consumption,
    get_device_intervals,
    get_intervals_of_many,
    get_metered_consumption,
    get_reactive,
)
from meters.queries.submeters import Node, get_submeter_tree
from meters.queries.totals import (
    Coverage,
    get_coverage,
    get_daily,
    get_extent,
    get_monthly,
    get_period_readings,
    get_usage_plot,
)
from meters.queries.uploads import Upload, get_csv_source, get_file_import
from meters.queries.weather import DailyWeather, get_weather

__all__ = [
    "LONGEST_READ_DAYS",
    "NO_ACCOUNT",
    "Arrival",
    "Coverage",
    "DailyWeather",
    "Node",
    "UnableToReadUsage",
    "Upload",
    "account_by_day",
    "count_estimated",
    "count_versions",
    "get_arrivals",
    "get_blocking_questions",
    "get_channel_intervals",
    "get_channel_reads",
    "get_consumption",
    "get_coverage",
    "get_csv_source",
    "get_daily",
    "get_device_intervals",
    "get_extent",
    "get_file_import",
    "get_intervals_of_many",
    "get_last_day",
    "get_metered_consumption",
    "get_monthly",
    "get_period_readings",
    "get_reactive",
    "get_rules",
    "get_service_point_id",
    "get_service_points_of_utility",
    "get_submeter_tree",
    "get_usage_plot",
    "get_visible_days",
    "get_visible_service_point",
    "get_weather",
    "is_multiplied",
    "lock_channels",
]
