"""What the addresses of usage share: local days asked for, and how instants, energy and power are written."""

import datetime
import decimal
import zoneinfo
from typing import Any

from drf_spectacular import utils as schema
from rest_framework import serializers

MILLI_PER_KILO = 10**6
_WATTS = decimal.Decimal("0.000001")

PARAMETERS = [
    schema.OpenApiParameter("service_point", int, required=True),
    schema.OpenApiParameter("from", datetime.date, required=True, description="First local day."),
    schema.OpenApiParameter("to", datetime.date, required=True, description="First local day no longer shown."),
]


class LocalInstant(serializers.DateTimeField):
    """An instant with the offset that it carries, which is the utility's."""

    def to_representation(self, value: Any) -> str:
        return str(value.isoformat())


class Point(serializers.Serializer[object]):
    service_point = serializers.IntegerField(min_value=1, max_value=2**63 - 1)


def read_days(query: Any) -> tuple[datetime.date, datetime.date]:
    """Return the local days `[from, to)` of a query.

    :raises serializers.ValidationError: they are none, or not in this order.
    """
    problems: dict[str, list[str]] = {}
    days: dict[str, datetime.date] = {}
    for name in ("from", "to"):
        try:
            days[name] = datetime.date.fromisoformat(query.get(name, ""))
        except ValueError:
            problems[name] = ["Give a date, YYYY-MM-DD."]
    if problems:
        raise serializers.ValidationError(problems)
    if not datetime.date(1971, 1, 2) <= days["from"] < days["to"] <= datetime.date(2200, 1, 1):
        raise serializers.ValidationError({"to": ["`to` is after `from`, both between 1971 and 2200."]})
    return days["from"], days["to"]


def local(seconds: int, zone: zoneinfo.ZoneInfo) -> datetime.datetime:
    """Return epoch seconds in a zone."""
    return datetime.datetime.fromtimestamp(seconds, tz=zone)


def kilo(milli: int) -> str:
    """Return thousandths of a Wh or W in kWh or kW, exact."""
    return format(decimal.Decimal(milli) / MILLI_PER_KILO, "f")


def milli(thousandths: int) -> str:
    """Return thousandths as a decimal, exact."""
    return format(decimal.Decimal(thousandths) / 1000, "f")


def mean_kw(*, milli_wh: int, seconds: int) -> str:
    """Return the mean power of energy over a time, in kW to the milliwatt, half to even."""
    power = decimal.Decimal(milli_wh) * 3600 / (MILLI_PER_KILO * seconds)
    rounded = power.quantize(_WATTS).normalize()
    return format(rounded, "f")


def change_percent(*, now: int, before: int) -> str | None:
    """Return the change in percent to a tenth, half to even; None where there was nothing before."""
    if before == 0:
        return None
    return format((decimal.Decimal(now - before) * 100 / before).quantize(decimal.Decimal("0.1")), "f")
