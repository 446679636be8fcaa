"""What other tariffs would have cost an account."""

from typing import Any

from drf_spectacular import utils as schema
from rest_framework import request as drf_request
from rest_framework import response, serializers, views

from billing.usecases import compare_tariffs
from customers import queries as customer_queries
from openvpp.core import clock, money, scopes

NANO = 9
EXAMPLE = {
    "account": "HL-100001",
    "service_point": "SP-100001",
    "state": "ready",
    "currency": "USD",
    "current_tariff": "RES-TOU",
    "months_left_out": [],
    "caveats": ["It is taken that you would have used the same energy at the same hours."],
    "tariffs": [
        {
            "code": "RES-TOU",
            "name": "Residential time of use",
            "version": "2026-01-01",
            "is_current": True,
            "total": "470.02",
            "difference": "0.00",
            "months": [{"starts_on": "2026-04-01", "ends_on": "2026-05-01", "cost": "470.02"}],
            "not_priced": [],
            "failure": "",
        }
    ],
}


class CompareTariffs(views.APIView):
    """The last twelve whole months on each tariff that the account may take."""

    required_scopes = ["bills:read"]

    class Input(serializers.Serializer[Any]):
        service_point = serializers.IntegerField(required=False, min_value=1, max_value=2**63 - 1)

    class Output(serializers.Serializer[Any]):
        class TariffOutput(serializers.Serializer[Any]):
            class MonthOutput(serializers.Serializer[Any]):
                starts_on = serializers.DateField()
                ends_on = serializers.DateField(help_text="First local day after the month.")
                cost = serializers.CharField(help_text="Riders, discounts and taxes included.")

            code = serializers.CharField()
            name = serializers.CharField()
            version = serializers.DateField(help_text="First day of the version that was used.")
            is_current = serializers.BooleanField()
            total = serializers.CharField(allow_null=True)
            difference = serializers.CharField(allow_null=True, help_text="Against your own; negative is cheaper.")
            months = MonthOutput(many=True)
            not_priced = serializers.ListField(child=serializers.CharField(), help_text="Charges left out, and why.")
            failure = serializers.CharField(help_text="Why the tariff could not be priced at all; empty if it was.")

        account = serializers.CharField()
        service_point = serializers.CharField(allow_null=True)
        state = serializers.ChoiceField(choices=["ready", "no_service", "no_readings", "no_tariff"])
        currency = serializers.CharField()
        current_tariff = serializers.CharField()
        months_left_out = serializers.ListField(
            child=serializers.DateField(), help_text="First days of months with readings missing."
        )
        caveats = serializers.ListField(child=serializers.CharField())
        tariffs = TariffOutput(many=True, help_text="Cheapest first.")

    @schema.extend_schema(
        operation_id="accounts_compare_tariffs",
        summary="Which tariff would have cost less",
        tags=["Bills"],
        parameters=[schema.OpenApiParameter("service_point", int, description="Its id; the latest without it.")],
        responses=Output,
        examples=[schema.OpenApiExample("One tariff", response_only=True, value=EXAMPLE)],
    )
    def get(self, request: drf_request.Request, account_id: int) -> response.Response:
        account = customer_queries.get_account(user=scopes.get_person(request), account_id=account_id)
        asked = self.Input(data=request.query_params)
        asked.is_valid(raise_exception=True)
        found = compare_tariffs.compare(
            account=account, service_point_id=asked.validated_data.get("service_point"), now=clock.get_now()
        )
        return response.Response(self.Output(to_json(found)).data)


def to_json(found: compare_tariffs.Comparison) -> dict[str, Any]:
    """Return a comparison with its amounts in the currency."""
    current = found.current
    return {
        "account": found.account.number,
        "service_point": found.service_point.number if found.service_point else None,
        "state": found.state,
        "currency": found.account.utility.currency,
        "current_tariff": found.current_code,
        "months_left_out": found.left_out,
        "caveats": found.caveats,
        "tariffs": [
            {
                "code": cost.candidate.code,
                "name": cost.candidate.name,
                "version": cost.candidate.version,
                "is_current": cost is current,
                "total": _amount(cost.total_nano) if cost.months else None,
                "difference": _amount(cost.total_nano - current.total_nano) if current and cost.months else None,
                "months": [
                    {"starts_on": month.starts_on, "ends_on": month.ends_on, "cost": _amount(month.cost_nano)}
                    for month in cost.months
                ],
                "not_priced": cost.omissions,
                "failure": cost.failure,
            }
            for cost in found.costs
        ],
    }


def _amount(nano: int) -> str:
    return f"{money.from_units(units=nano, decimals=NANO):.2f}"
