"""Why a bill differs from the one before it."""

import uuid
from typing import Any

from drf_spectacular import utils as schema
from rest_framework import request as drf_request
from rest_framework import response, serializers, views

from billing import queries
from billing.domain import explanation
from billing.usecases import explain_bill
from openvpp.core import money, scopes

NANO = 9
EXAMPLE = {
    "bill": "HL-100001-20261101",
    "state": "ready",
    "detail": "",
    "previous": "HL-100001-20261001",
    "currency": "USD",
    "difference": "12.310000000",
    "effects": [
        {
            "cause": "usage",
            "amount": "10.105500000",
            "words": {
                "en": "You used 14.2 kWh a day, 11.9 before; how much and when you used it: +10.11 USD.",
                "es": "Usó 14.2 kWh al día, antes 11.9; cuánto y cuándo los usó: +10.11 USD.",
            },
        }
    ],
    "weather": explanation.WEATHER,
}


class ExplainBill(views.APIView):
    """Price, usage, days and the rest, to the billionth of the currency."""

    required_scopes = ["bills:read"]

    class Output(serializers.Serializer[Any]):
        class EffectOutput(serializers.Serializer[Any]):
            cause = serializers.ChoiceField(choices=[cause.value for cause in explanation.Cause])
            amount = serializers.CharField(help_text="Positive makes the bill dearer.")
            words = serializers.DictField(child=serializers.CharField(), help_text="By language: en, es.")

        bill = serializers.CharField()
        state = serializers.ChoiceField(choices=["ready", "first", "received", "not_repriced"])
        detail = serializers.CharField(help_text="Why it could not be priced again; empty if it was.")
        previous = serializers.CharField(allow_null=True, help_text="Number of the bill before it.")
        currency = serializers.CharField()
        difference = serializers.CharField(allow_null=True, help_text="This bill less the one before it.")
        effects = EffectOutput(many=True, help_text="Their amounts sum to the difference, exactly.")
        weather = serializers.DictField(child=serializers.CharField(), help_text="What is known of it: en, es.")

    @schema.extend_schema(
        operation_id="bills_explain",
        summary="Why a bill changed",
        description=(
            "Both bills are priced again: the earlier one's readings, then the later one's days, use and prices. "
            "`state` is first where there is no bill before it and received where the bill was not rated here."
        ),
        tags=["Bills"],
        responses=Output,
        examples=[schema.OpenApiExample("More use", response_only=True, value=EXAMPLE)],
    )
    def get(self, request: drf_request.Request, bill_id: uuid.UUID) -> response.Response:
        issued = queries.get_bill(user=scopes.get_person(request), bill_id=bill_id)
        return response.Response(self.Output(to_json(explain_bill.explain(issued=issued))).data)


def to_json(found: explain_bill.Explanation) -> dict[str, Any]:
    """Return an explanation with its amounts in the currency, exact."""
    currency = found.bill.currency
    return {
        "bill": found.bill.number,
        "state": found.state,
        "detail": found.detail,
        "previous": found.previous.number if found.previous else None,
        "currency": currency,
        "difference": _amount(found.difference_nano) if found.previous else None,
        "effects": [
            {
                "cause": effect.cause.value,
                "amount": _amount(effect.amount_nano),
                "words": explanation.words(effect=effect, before=found.before, after=found.after, currency=currency),
            }
            for effect in found.effects
        ],
        "weather": found.weather,
    }


def _amount(nano: int) -> str:
    return f"{money.from_units(units=nano, decimals=NANO):f}"
