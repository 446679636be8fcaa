"""Usage beside that of the year before, by local day."""

from typing import Any

from drf_spectacular import utils as schema
from rest_framework import request as drf_request
from rest_framework import response, serializers, views

from meters.api import spans
from meters.domain import comparison, rows
from meters.usecases import show_usage
from openvpp.core import clock, scopes

EXAMPLE = {
    "service_point": 5,
    "time_zone": "America/New_York",
    "align": "weekday",
    "days_compared": 1,
    "delivered_kwh": "24.5",
    "delivered_kwh_before": "26.1",
    "change_percent": "-6.1",
    "received_kwh": "0",
    "received_kwh_before": "0",
    "lacking": [{"date": "2026-06-02", "why": "missing"}],
    "lacking_before": [{"date": "2025-06-03", "why": "incomplete"}],
    "results": [
        {
            "date": "2026-06-01",
            "date_before": "2025-06-02",
            "delivered_kwh": "24.5",
            "delivered_kwh_before": "26.1",
            "received_kwh": "0",
            "received_kwh_before": "0",
            "is_whole": True,
        }
    ],
}


class LackOutput(serializers.Serializer[comparison.LackingDay]):
    date = serializers.DateField(source="on")
    why = serializers.ChoiceField(choices=[lack.value for lack in comparison.Lack])


class Comparison(views.APIView):
    """What was used on each day, and on its counterpart of the year before."""

    required_scopes = ["usage:read"]

    class Input(spans.Point):
        align = serializers.ChoiceField(
            choices=[alignment.value for alignment in comparison.Alignment], default=comparison.Alignment.DATE.value
        )

    class Output(serializers.Serializer[object]):
        class PairOutput(serializers.Serializer[object]):
            date = serializers.DateField()
            date_before = serializers.DateField(allow_null=True, help_text="Null for 29 February by date.")
            delivered_kwh = serializers.CharField(allow_null=True, help_text="Null: no readings.")
            delivered_kwh_before = serializers.CharField(allow_null=True)
            received_kwh = serializers.CharField(allow_null=True)
            received_kwh_before = serializers.CharField(allow_null=True)
            is_whole = serializers.BooleanField(help_text="Both days have all their readings and count in the totals.")

        service_point = serializers.IntegerField()
        time_zone = serializers.CharField()
        align = serializers.CharField()
        days_compared = serializers.IntegerField(help_text="Days that both years have whole; the totals are theirs.")
        delivered_kwh = serializers.CharField()
        delivered_kwh_before = serializers.CharField()
        change_percent = serializers.CharField(allow_null=True, help_text="Of what was taken, to a tenth; null from 0.")
        received_kwh = serializers.CharField()
        received_kwh_before = serializers.CharField()
        lacking = LackOutput(many=True, help_text="Days asked for that are not in the totals.")
        lacking_before = LackOutput(many=True, help_text="Days of the year before that are not in the totals.")
        results = PairOutput(many=True)

    @schema.extend_schema(
        operation_id="usage_comparison_retrieve",
        tags=["Usage"],
        summary="Compare usage with last year",
        description=(
            "Local days `[from, to)`, at most 366, each beside the same date a year before (`align=date`) or "
            "the same weekday 52 weeks before (`align=weekday`). Totals add up the days that both years have whole; "
            "the others are named with the reason."
        ),
        parameters=[
            *spans.PARAMETERS,
            schema.OpenApiParameter("align", str, enum=[a.value for a in comparison.Alignment], default="date"),
        ],
        responses={200: Output},
        examples=[schema.OpenApiExample("Two days", response_only=True, value=EXAMPLE)],
    )
    def get(self, request: drf_request.Request) -> response.Response:
        person = scopes.get_person(request)
        asked = self.Input(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        first, after = spans.read_days(request.query_params)
        place = show_usage.find(
            user=person,
            service_point_id=asked.validated_data["service_point"],
            first=first,
            after=after,
            most_days=show_usage.LONGEST_COMPARISON_DAYS,
        )
        alignment = comparison.Alignment(asked.validated_data["align"])
        compared = show_usage.compare(place=place, user=person, alignment=alignment, now=clock.get_now())
        delivered, delivered_before = compared.delivered_milli_wh
        received, received_before = compared.received_milli_wh
        body = {
            "service_point": place.point.pk,
            "time_zone": place.zone.key,
            "align": alignment.value,
            "days_compared": compared.days_compared,
            "delivered_kwh": spans.kilo(delivered),
            "delivered_kwh_before": spans.kilo(delivered_before),
            "change_percent": spans.change_percent(now=delivered, before=delivered_before),
            "received_kwh": spans.kilo(received),
            "received_kwh_before": spans.kilo(received_before),
            "lacking": compared.lacking_now,
            "lacking_before": compared.lacking_before,
            "results": [_pair(pair) for pair in compared.pairs],
        }
        return response.Response(self.Output(body).data)


def _pair(pair: comparison.Pair) -> dict[str, Any]:
    return {
        "date": pair.on,
        "date_before": pair.earlier_on,
        "delivered_kwh": _energy(pair.now, "delivered_milli_wh"),
        "delivered_kwh_before": _energy(pair.before, "delivered_milli_wh"),
        "received_kwh": _energy(pair.now, "received_milli_wh"),
        "received_kwh_before": _energy(pair.before, "received_milli_wh"),
        "is_whole": pair.is_whole,
    }


def _energy(row: rows.Row | None, name: str) -> str | None:
    return None if row is None else spans.kilo(getattr(row, name))
