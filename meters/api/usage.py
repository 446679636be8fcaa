"""What a service point used: intervals, days or months."""

import base64
import binascii
import datetime
import decimal
import zoneinfo
from typing import Any

from drf_spectacular import utils as schema
from rest_framework import request as drf_request
from rest_framework import response, serializers, views

from meters import queries
from meters.domain import sharing, units
from meters.domain import usage as usages
from openvpp.core import errors, scopes

INTERVAL, DAY, MONTH = "interval", "day", "month"
LONGEST_DAYS = {INTERVAL: 93, DAY: 800, MONTH: 1100}
MILLI_WH_PER_KWH = 10**6

EXAMPLE = {
    "service_point": 5,
    "time_zone": "America/New_York",
    "step": "interval",
    "next": None,
    "results": [
        {
            "starts_at": "2026-06-01T00:00:00-04:00",
            "ends_at": "2026-06-01T00:15:00-04:00",
            "delivered_kwh": "0.324",
            "received_kwh": "0",
            "quality": "valid",
            "missing": 0,
        }
    ],
}


class UnableToShowUsage(errors.Invalid):
    """The span or the page asked for is not one that can be shown; the detail says which is."""


class LocalInstant(serializers.DateTimeField):
    """An instant with the offset that it carries, which is the utility's."""

    def to_representation(self, value: Any) -> str:
        return str(value.isoformat())


class Usage(views.APIView):
    """Energy taken from and given to the grid at one service point."""

    required_scopes = ["usage:read"]

    class Input(serializers.Serializer[object]):
        service_point = serializers.IntegerField(min_value=1, max_value=2**63 - 1)
        step = serializers.ChoiceField(choices=[INTERVAL, DAY, MONTH], default=DAY)
        page_size = serializers.IntegerField(min_value=1, max_value=3000, default=1000)
        cursor = serializers.CharField(max_length=100, required=False)

    class Output(serializers.Serializer[object]):
        class RowOutput(serializers.Serializer[object]):
            starts_at = LocalInstant(help_text="In the utility's zone, with its offset.")
            ends_at = LocalInstant(help_text="First instant no longer in the row.")
            delivered_kwh = serializers.CharField(help_text="Taken from the grid, exact.")
            received_kwh = serializers.CharField(help_text="Given to the grid, exact.")
            quality = serializers.ChoiceField(
                choices=[code.name.lower() for code in units.Quality] + ["incomplete"],
                help_text="Of an interval; of a day or month: valid, estimated (some is) or incomplete.",
            )
            missing = serializers.IntegerField(help_text="Intervals of the row that have no value.")

        service_point = serializers.IntegerField()
        time_zone = serializers.CharField()
        step = serializers.CharField()
        next = serializers.URLField(allow_null=True, help_text="The next page; null on the last.")
        results = RowOutput(many=True)

    @schema.extend_schema(
        operation_id="usage_retrieve",
        tags=["Usage"],
        summary="Show usage",
        description=(
            "Local days `[from, to)` of the utility's zone: a day of daylight saving has 23 or 25 hours. A customer "
            "sees the days on which an account of theirs took service there; days without readings are absent. At "
            f"most {LONGEST_DAYS[INTERVAL]} days of intervals, {LONGEST_DAYS[DAY]} days, or {LONGEST_DAYS[MONTH]} days "
            "of months at once."
        ),
        parameters=[
            schema.OpenApiParameter("service_point", int, required=True),
            schema.OpenApiParameter("from", datetime.date, required=True, description="First local day."),
            schema.OpenApiParameter("to", datetime.date, required=True, description="First local day no longer shown."),
            schema.OpenApiParameter("step", str, enum=[INTERVAL, DAY, MONTH], default=DAY),
            schema.OpenApiParameter("page_size", int, default=1000, description="At most 3000."),
            schema.OpenApiParameter("cursor", str, description="From `next`."),
        ],
        responses={200: Output},
        examples=[schema.OpenApiExample("A quarter of an hour", response_only=True, value=EXAMPLE)],
    )
    def get(self, request: drf_request.Request) -> response.Response:
        person = scopes.get_person(request)
        asked = self.Input(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        first, after = _days(request)
        step = asked.validated_data["step"]
        if (after - first).days > LONGEST_DAYS[step]:
            raise UnableToShowUsage(f"Ask for at most {LONGEST_DAYS[step]} days by {step}.", code="span_too_long")
        point = queries.get_visible_service_point(user=person, service_point_id=asked.validated_data["service_point"])
        zone = zoneinfo.ZoneInfo(point.premise.utility.time_zone)
        parts = sharing.clip(
            ranges=queries.get_visible_days(user=person, service_point_id=point.pk), first=first, after=after
        )
        rows = _interval_rows(point.pk, parts, zone) if step == INTERVAL else _total_rows(point.pk, parts, zone, step)
        size = asked.validated_data["page_size"]
        place = _place(asked.validated_data.get("cursor"))
        rows = [row for row in rows if row["starts_at"].timestamp() >= place]
        body = {
            "service_point": point.pk,
            "time_zone": zone.key,
            "step": step,
            "next": _next(request, rows[size]["starts_at"]) if len(rows) > size else None,
            "results": rows[:size],
        }
        return response.Response(self.Output(body).data)


def _interval_rows(
    service_point_id: int, parts: list[tuple[datetime.date, datetime.date]], zone: zoneinfo.ZoneInfo
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for first, after in parts:
        read = queries.get_consumption(
            service_point_id=service_point_id, starts_at=_midnight(first, zone), ends_at=_midnight(after, zone)
        )
        rows += [
            {
                "starts_at": datetime.datetime.fromtimestamp(start, tz=zone),
                "ends_at": datetime.datetime.fromtimestamp(start + seconds, tz=zone),
                "delivered_kwh": _kwh(delivered),
                "received_kwh": _kwh(received),
                "quality": units.Quality(code).name.lower(),
                "missing": 0,
            }
            for start, seconds, delivered, received, code in zip(
                read.starts.tolist(),
                read.seconds.tolist(),
                read.delivered_milli_wh.tolist(),
                read.received_milli_wh.tolist(),
                read.qualities.tolist(),
                strict=True,
            )
        ]
    return rows


def _total_rows(
    service_point_id: int, parts: list[tuple[datetime.date, datetime.date]], zone: zoneinfo.ZoneInfo, step: str
) -> list[dict[str, Any]]:
    read = queries.get_daily if step == DAY else queries.get_monthly
    rows: list[dict[str, Any]] = []
    for first, after in parts:
        for total in read(service_point_id=service_point_id, first=first, last=after - datetime.timedelta(days=1)):
            starts_on = max(total.starts_on, first)
            ends_on = min(_following(total.starts_on, step), after)
            rows.append(
                {
                    "starts_at": _midnight(starts_on, zone),
                    "ends_at": _midnight(ends_on, zone),
                    "delivered_kwh": _kwh(total.delivered_milli_wh),
                    "received_kwh": _kwh(total.received_milli_wh),
                    "quality": _quality(total),
                    "missing": total.missing,
                }
            )
    return rows


def _quality(total: usages.Total) -> str:
    if total.missing:
        return "incomplete"
    return "estimated" if total.estimated else "valid"


def _following(first: datetime.date, step: str) -> datetime.date:
    if step == DAY:
        return first + datetime.timedelta(days=1)
    return datetime.date(first.year + first.month // 12, first.month % 12 + 1, 1)


def _midnight(day: datetime.date, zone: zoneinfo.ZoneInfo) -> datetime.datetime:
    return datetime.datetime.combine(day, datetime.time(), tzinfo=zone)


def _kwh(milli_wh: int) -> str:
    return format(decimal.Decimal(milli_wh) / MILLI_WH_PER_KWH, "f")


def _days(request: drf_request.Request) -> tuple[datetime.date, datetime.date]:
    problems: dict[str, list[str]] = {}
    days: dict[str, datetime.date] = {}
    for name in ("from", "to"):
        try:
            days[name] = datetime.date.fromisoformat(request.query_params.get(name, ""))
        except ValueError:
            problems[name] = ["Give a date, YYYY-MM-DD."]
    if problems:
        raise serializers.ValidationError(problems)
    if not datetime.date(1970, 1, 2) <= days["from"] < days["to"] <= datetime.date(2200, 1, 1):
        raise serializers.ValidationError({"to": ["`to` is after `from`, both between 1970 and 2200."]})
    return days["from"], days["to"]


def _place(cursor: str | None) -> int:
    if cursor is None:
        return 0
    try:
        return int(base64.urlsafe_b64decode(cursor.encode()).decode())
    except (ValueError, binascii.Error) as error:
        raise UnableToShowUsage("The cursor is none of ours; begin without one.", code="unknown_cursor") from error


def _next(request: drf_request.Request, starts_at: datetime.datetime) -> str:
    query = request.query_params.copy()
    query["cursor"] = base64.urlsafe_b64encode(str(int(starts_at.timestamp())).encode()).decode()
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
