"""The door of the utility's own billing system."""

from typing import Any

from drf_spectacular import utils as schema
from rest_framework import request as drf_request
from rest_framework import response, serializers, views

from billing.api import bills
from billing.usecases import receive_bill
from openvpp.core import api, clock, errors

EXAMPLE = {
    "account": "HL-100002",
    "number": "2026-10-000417",
    "starts_on": "2026-10-01",
    "ends_on": "2026-11-01",
    "due_on": "2026-11-22",
    "currency": "USD",
    "amount_due": "61.40",
    "lines": [{"label": "Energy", "amount": "52.40"}, {"label": "Customer charge", "amount": "9.00"}],
}


class ReceiveBill(views.APIView):
    """A bill that was rated elsewhere."""

    required_scopes = ["bills:write"]

    class Input(serializers.Serializer[Any]):
        class LineInput(serializers.Serializer[Any]):
            label = serializers.CharField(  # type: ignore[assignment] # a declared field is not an attribute
                max_length=200
            )
            amount = serializers.DecimalField(max_digits=14, decimal_places=2)

        account = serializers.CharField(max_length=32, help_text="Number of the account.")
        number = serializers.CharField(max_length=64, help_text="Yours, used once.")
        starts_on = serializers.DateField(help_text="First local day of the period.")
        ends_on = serializers.DateField(help_text="First local day after the period.")
        due_on = serializers.DateField()
        currency = serializers.CharField(max_length=3)
        amount_due = serializers.DecimalField(max_digits=14, decimal_places=2)
        lines = serializers.ListField(child=LineInput(), min_length=1, max_length=500)

    @schema.extend_schema(
        operation_id="bills_receive",
        summary="Send a bill",
        description=(
            "The same bill sent again is the same bill. The customer is told as soon as it stands. Send what the "
            "period charges: credit that earlier bills left is taken off here; bring no balance forward yourself."
        ),
        tags=["Utility systems"],
        parameters=[
            schema.OpenApiParameter(
                "Idempotency-Key",
                str,
                schema.OpenApiParameter.HEADER,
                required=True,
                description="1 to 200 characters.",
            )
        ],
        request=Input,
        responses={201: bills.BillOutput},
        examples=[
            schema.OpenApiExample("A bill", request_only=True, value=EXAMPLE),
            schema.OpenApiExample(
                "Taken",
                response_only=True,
                value={**bills.BILL_EXAMPLE, "number": EXAMPLE["number"], "source": "received"},
            ),
        ],
    )
    def post(self, request: drf_request.Request) -> response.Response:
        utility_id = request.auth.application.utility_id  # type: ignore[union-attr] # HasScopes saw the token
        if utility_id is None or getattr(request.user, "pk", None) is not None:
            raise errors.Forbidden("This address is for a utility's system.", code="system_required")
        asked = self.Input(data=request.data)
        asked.is_valid(raise_exception=True)
        data = asked.validated_data
        received = receive_bill.Received(
            account_number=data["account"],
            number=data["number"],
            starts_on=data["starts_on"],
            ends_on=data["ends_on"],
            due_on=data["due_on"],
            currency=data["currency"],
            amount_due_cents=int(data["amount_due"] * 100),
            lines=[
                receive_bill.Line(label=line["label"], amount_cents=int(line["amount"] * 100)) for line in data["lines"]
            ],
        )

        def act() -> tuple[int, Any]:
            bill = receive_bill.receive_bill(utility_id=utility_id, received=received, now=clock.get_now())
            return 201, bills.BillOutput(bill).data

        return api.act_once(request, act)
