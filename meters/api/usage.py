"""What a service point used: intervals, hours, days or months, and which of them are missing."""

import base64
import binascii
from typing import Any

from drf_spectacular import utils as schema
from rest_framework import request as drf_request
from rest_framework import response, serializers, views

from meters import queries
from meters.api import spans
from meters.domain import rows, units
from meters.usecases import show_usage
from openvpp.core import clock, scopes

KWH, KW = "kWh", "kW"
QUALITIES = ", ".join(code.name.lower() for code in units.Quality if code is not units.Quality.MISSING)
LONGEST = {step.value: days for step, days in show_usage.LONGEST_DAYS.items()}

EXAMPLE = {
    "service_point": 5,
    "time_zone": "America/New_York",
    "step": "interval",
    "unit": "kWh",
    "next": None,
    "gaps": [{"starts_at": "2026-06-01T00:15:00-04:00", "ends_at": "2026-06-01T00:30:00-04:00"}],
    "gap_count": 1,
    "results": [
        {
            "starts_at": "2026-06-01T00:00:00-04:00",
            "ends_at": "2026-06-01T00:15:00-04:00",
            "delivered_kwh": "0.324",
            "received_kwh": "0",
            "quality": "valid",
            "missing": 0,
            "estimated": 0,
        }
    ],
}


class WeatherOutput(serializers.Serializer[object]):
    """Of the days of a row that are known."""

    days = serializers.IntegerField()
    mean_c = serializers.CharField()
    heating_degree_days = serializers.CharField(help_text="In kelvin days below the source's base.")
    cooling_degree_days = serializers.CharField(help_text="In kelvin days above the source's base.")


class Usage(views.APIView):
    """Energy taken from and given to the grid at one service point."""

    required_scopes = ["usage:read"]

    class Input(spans.Point):
        step = serializers.ChoiceField(choices=[step.value for step in rows.Step], default=rows.Step.DAY.value)
        unit = serializers.ChoiceField(choices=[KWH, KW], default=KWH)
        weather = serializers.BooleanField(default=False)
        page_size = serializers.IntegerField(min_value=1, max_value=3000, default=1000)
        cursor = serializers.CharField(max_length=100, required=False)

    class Output(serializers.Serializer[object]):
        class RowOutput(serializers.Serializer[object]):
            starts_at = spans.LocalInstant(help_text="In the utility's zone, with its offset.")
            ends_at = spans.LocalInstant(help_text="First instant no longer in the row.")
            delivered_kwh = serializers.CharField(help_text="Taken from the grid, exact.")
            received_kwh = serializers.CharField(help_text="Given to the grid, exact.")
            delivered_kw = serializers.CharField(
                required=False, help_text="With `unit=kW`: mean power over the time that has values, to the milliwatt."
            )
            received_kw = serializers.CharField(required=False, help_text="As `delivered_kw`.")
            peak_kw = serializers.CharField(
                required=False, help_text="With `unit=kW`: highest mean power of an interval, in either direction."
            )
            quality = serializers.CharField(
                help_text=f"Of an interval {QUALITIES}; of a longer row valid, estimated (some is) or incomplete."
            )
            weather = WeatherOutput(
                required=False, allow_null=True, help_text="With `weather=true`, of days and months; null if not known."
            )
            missing = serializers.IntegerField(help_text="Intervals of the row that have no value, up to now.")
            estimated = serializers.IntegerField(help_text="Intervals of the row that were estimated.")

            def to_representation(self, instance: Any) -> dict[str, Any]:
                shown: dict[str, Any] = super().to_representation(instance)
                return {name: value for name, value in shown.items() if name in instance}

        class GapOutput(serializers.Serializer[object]):
            starts_at = spans.LocalInstant()
            ends_at = spans.LocalInstant()

        service_point = serializers.IntegerField()
        time_zone = serializers.CharField()
        weather_station = serializers.CharField(
            required=False, allow_null=True, help_text="With `weather=true`; null where the utility has set no source."
        )
        step = serializers.CharField()
        unit = serializers.CharField()
        next = serializers.URLField(allow_null=True, help_text="The next page; null on the last.")
        gaps = GapOutput(many=True, help_text=f"Spans up to now without a value, the first {show_usage.MOST_GAPS}.")
        gap_count = serializers.IntegerField(help_text="How many there are.")
        results = RowOutput(many=True)

    @schema.extend_schema(
        operation_id="usage_retrieve",
        tags=["Usage"],
        summary="Show usage",
        description=(
            "Local days `[from, to)` of the utility's zone: a day of daylight saving has 23 or 25 hours. A customer "
            "sees the days on which an account of theirs took service there; rows without any reading are absent, and "
            f"`gaps` says what is missing. At most {LONGEST['interval']} days of intervals, {LONGEST['hour']} of "
            f"hours, {LONGEST['day']} of days, or {LONGEST['month']} of months at once."
        ),
        parameters=[
            *spans.PARAMETERS,
            schema.OpenApiParameter("step", str, enum=[step.value for step in rows.Step], default="day"),
            schema.OpenApiParameter("unit", str, enum=[KWH, KW], default=KWH, description="kW adds mean and peak."),
            schema.OpenApiParameter("weather", bool, default=False, description="Beside days and months."),
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
        first, after = spans.read_days(request.query_params)
        step = rows.Step(asked.validated_data["step"])
        place = show_usage.find(
            user=person,
            service_point_id=asked.validated_data["service_point"],
            first=first,
            after=after,
            most_days=show_usage.LONGEST_DAYS[step],
        )
        found, gaps = show_usage.get_rows(
            place=place, step=step, now=clock.get_now(), begin_at=_place(asked.validated_data.get("cursor"))
        )
        size = asked.validated_data["page_size"]
        in_kw = asked.validated_data["unit"] == KW
        body: dict[str, Any] = {
            "service_point": place.point.pk,
            "time_zone": place.zone.key,
            "step": step.value,
            "unit": asked.validated_data["unit"],
            "next": _next(request, found[size].starts) if len(found) > size else None,
            "gaps": [
                {"starts_at": spans.local(start, place.zone), "ends_at": spans.local(end, place.zone)}
                for start, end in gaps.spans
            ],
            "gap_count": gaps.count,
            "results": [_row(row=row, place=place, in_kw=in_kw) for row in found[:size]],
        }
        if asked.validated_data["weather"]:
            known = queries.get_weather(utility_id=place.point.premise.utility_id, first=first, after=after)
            body["weather_station"] = known.station if known else None
            if step in {rows.Step.DAY, rows.Step.MONTH}:
                for row in body["results"]:
                    row["weather"] = _weather(known=known, row=row)
        return response.Response(self.Output(body).data)


def _row(*, row: rows.Row, place: show_usage.Place, in_kw: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "starts_at": spans.local(row.starts, place.zone),
        "ends_at": spans.local(row.ends, place.zone),
        "delivered_kwh": spans.kilo(row.delivered_milli_wh),
        "received_kwh": spans.kilo(row.received_milli_wh),
        "quality": row.quality,
        "missing": row.missing,
        "estimated": row.estimated,
    }
    if in_kw:
        shown |= {
            "delivered_kw": spans.mean_kw(milli_wh=row.delivered_milli_wh, seconds=row.covered_seconds),
            "received_kw": spans.mean_kw(milli_wh=row.received_milli_wh, seconds=row.covered_seconds),
            "peak_kw": spans.kilo(row.peak_milli_w),
        }
    return shown


def _weather(*, known: queries.DailyWeather | None, row: dict[str, Any]) -> dict[str, Any] | None:
    found = known.of(first=row["starts_at"].date(), after=row["ends_at"].date()) if known else None
    if found is None:
        return None
    return {
        "days": found.days,
        "mean_c": spans.milli(found.mean_milli_c),
        "heating_degree_days": spans.milli(found.heating_milli_degree_days),
        "cooling_degree_days": spans.milli(found.cooling_milli_degree_days),
    }


def _place(cursor: str | None) -> int:
    if cursor is None:
        return 0
    try:
        return int(base64.urlsafe_b64decode(cursor.encode()).decode())
    except (ValueError, binascii.Error) as error:
        raise show_usage.UnableToShowUsage(
            "The cursor is none of ours; begin without one.", code="unknown_cursor"
        ) from error


def _next(request: drf_request.Request, starts: int) -> str:
    query = request.query_params.copy()
    query["cursor"] = base64.urlsafe_b64encode(str(starts).encode()).decode()
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
