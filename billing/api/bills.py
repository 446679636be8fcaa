"""A person's bills, and one with its lines."""

import uuid
from typing import Any

from drf_spectacular import utils as schema
from rest_framework import generics, response, serializers, views
from rest_framework import request as drf_request

from billing import models, queries
from billing.domain import bill as rated_bills
from openvpp.core import money, pages, scopes

TAGS = ["Bills"]
CENTS, MICRO, NANO = 2, 6, 9
BILL_EXAMPLE = {
    "id": "b3f3d6f2-6f0b-4d0f-9a86-2f5d1f0c9a11",
    "account": "HL-100001",
    "number": "HL-100001-20261101",
    "source": "rated",
    "state": "issued",
    "starts_on": "2026-10-01",
    "ends_on": "2026-11-01",
    "time_zone": "America/New_York",
    "total": "84.12",
    "credit_brought_forward": "0.00",
    "credit_carried_forward": "0.00",
    "amount_due": "84.12",
    "amount_due_cents": 8412,
    "currency": "USD",
    "due_on": "2026-11-22",
    "issued_at": "2026-11-01T05:00:02Z",
    "paid_at": None,
    "omissions": [],
    "estimates": [{"method": "interpolated", "intervals": 6, "delivered_kwh": "1.204", "received_kwh": "0.000"}],
    "prices_known_at": None,
    "corrects": None,
}
LINE_EXAMPLE = {
    "position": 1,
    "kind": "energy",
    "label": "Off-peak energy",
    "quantity": "412.500000",
    "unit": "kWh",
    "unit_price": "0.143210000",
    "factor": "1",
    "amount": "59.074125000",
    "starts_on": "2026-10-01",
    "ends_on": "2026-11-01",
    "service_point": "SP-100001",
    "tariff": "RES-TOU",
    "tariff_version": "2026-01-01",
}


def _cents(cents: int) -> str:
    return f"{money.from_units(units=cents, decimals=CENTS):f}"


class EstimateOutput(serializers.Serializer[Any]):
    """Readings of a bill that the meter did not give."""

    method = serializers.ChoiceField(
        choices=["estimated", "interpolated", "like_day", "profiled"],
        help_text="By who delivered them, from the readings around them, from like days before, or from a profile.",
    )
    intervals = serializers.IntegerField()
    delivered_kwh = serializers.SerializerMethodField()
    received_kwh = serializers.SerializerMethodField()

    def get_delivered_kwh(self, estimate: rated_bills.Estimate) -> str:
        return f"{money.from_units(units=estimate.import_milliwh, decimals=MICRO):.3f}"

    def get_received_kwh(self, estimate: rated_bills.Estimate) -> str:
        return f"{money.from_units(units=estimate.export_milliwh, decimals=MICRO):.3f}"


class BillOutput(serializers.Serializer[models.Bill]):
    """A bill without its lines."""

    id = serializers.UUIDField()
    account = serializers.CharField(source="account.number")
    number = serializers.CharField()
    source = serializers.ChoiceField(  # type: ignore[assignment] # a declared field is not an attribute
        choices=models.Bill.Source.choices
    )
    state = serializers.ChoiceField(choices=models.Bill.State.choices)
    starts_on = serializers.DateField(help_text="First local day of the period.")
    ends_on = serializers.DateField(help_text="First local day after the period.")
    time_zone = serializers.CharField()
    total = serializers.SerializerMethodField(help_text="What the lines sum to; below zero is a credit.")
    credit_brought_forward = serializers.SerializerMethodField(
        help_text="How much credit of earlier bills is taken off, on a line of its own."
    )
    credit_carried_forward = serializers.SerializerMethodField(
        help_text="How much credit was left for later bills when this one was issued."
    )
    amount_due = serializers.SerializerMethodField(help_text="What is asked: the total, or nothing. In the currency.")
    amount_due_cents = serializers.IntegerField()
    currency = serializers.CharField()
    due_on = serializers.DateField()
    issued_at = serializers.DateTimeField()
    paid_at = serializers.DateTimeField(allow_null=True)
    omissions = serializers.ListField(
        child=serializers.CharField(), help_text="What the tariff charges and this bill could not price, and why."
    )
    estimates = EstimateOutput(
        many=True,
        help_text="Readings that were estimated, by method. When the meter's own come, the bill is corrected.",
    )
    prices_known_at = serializers.SerializerMethodField(
        help_text="When the last of the real-time prices came in that it used; null where it used none."
    )
    corrects = serializers.CharField(
        source="corrects.number", default=None, allow_null=True, help_text="Number of the bill that this one corrects."
    )

    def get_total(self, bill: models.Bill) -> str:
        return _cents(bill.total_cents)

    def get_credit_brought_forward(self, bill: models.Bill) -> str:
        return _cents(bill.brought_forward_cents)

    def get_credit_carried_forward(self, bill: models.Bill) -> str:
        return _cents(bill.carried_forward_cents)

    def get_amount_due(self, bill: models.Bill) -> str:
        return _cents(bill.amount_due_cents)

    def get_prices_known_at(self, bill: models.Bill) -> str | None:
        return bill.prices_known_at or None


class LineOutput(serializers.Serializer[models.BillLine]):
    """One row: amount = quantity x unit price x factor, to the billionth of the currency."""

    position = serializers.IntegerField()
    kind = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment] # a declared field is not an attribute
    quantity = serializers.DecimalField(max_digits=24, decimal_places=6)
    unit = serializers.CharField()
    unit_price = serializers.SerializerMethodField()
    factor = serializers.SerializerMethodField(help_text="Share of a month, as a fraction.")
    amount = serializers.SerializerMethodField()
    starts_on = serializers.DateField()
    ends_on = serializers.DateField()
    service_point = serializers.CharField(source="service_point.number", default=None, allow_null=True)
    tariff = serializers.CharField(source="tariff.code", default=None, allow_null=True)
    tariff_version = serializers.DateField(source="tariff.effective_from", default=None, allow_null=True)

    def get_unit_price(self, line: models.BillLine) -> str:
        return f"{money.from_units(units=line.unit_price_nano, decimals=NANO):f}"

    def get_factor(self, line: models.BillLine) -> str:
        whole = line.factor_denominator == 1
        return str(line.factor_numerator) if whole else f"{line.factor_numerator}/{line.factor_denominator}"

    def get_amount(self, line: models.BillLine) -> str:
        return f"{money.from_units(units=line.amount_nano, decimals=NANO):f}"


class Pages(pages.CursorPagination):
    """Newest first."""

    ordering = ("-issued_at", "-id")


class ListBills(generics.GenericAPIView[models.Bill]):
    """The bills of the person's accounts."""

    required_scopes = ["bills:read"]
    pagination_class = Pages
    serializer_class = BillOutput
    queryset = models.Bill.objects.none()

    class Input(serializers.Serializer[Any]):
        account = serializers.CharField(required=False, max_length=32, help_text="Number of one account.")
        state = serializers.ChoiceField(required=False, choices=models.Bill.State.choices)
        period_from = serializers.DateField(required=False, help_text="Periods that end after this day.")
        period_to = serializers.DateField(required=False, help_text="Periods that start before this day.")

    @schema.extend_schema(
        operation_id="bills_list",
        summary="My bills",
        tags=TAGS,
        parameters=[Input],
        responses={200: BillOutput(many=True)},
        examples=[schema.OpenApiExample("A new bill", response_only=True, value=BILL_EXAMPLE)],
    )
    def get(self, request: drf_request.Request) -> response.Response:
        asked = self.Input(data=request.query_params)
        asked.is_valid(raise_exception=True)
        lookups = {
            "account": "account__number",
            "state": "state",
            "period_from": "ends_on__gt",
            "period_to": "starts_on__lt",
        }
        rows = queries.get_bills(user=scopes.get_person(request)).filter(
            **{lookups[name]: value for name, value in asked.validated_data.items()}
        )
        page: Any = self.paginate_queryset(rows)
        return self.get_paginated_response(BillOutput(page, many=True).data)


class ShowBill(views.APIView):
    """One bill with its lines and payments."""

    required_scopes = ["bills:read"]

    class Output(BillOutput):
        class PaymentOutput(serializers.Serializer[Any]):
            id = serializers.UUIDField(source="payment.pk")
            state = serializers.CharField(source="payment.state")
            created_at = serializers.DateTimeField(source="payment.created_at")

        lines = LineOutput(many=True)
        payments = PaymentOutput(many=True, source="allocations")

    @schema.extend_schema(
        operation_id="bills_show",
        summary="A bill",
        tags=TAGS,
        responses=Output,
        examples=[
            schema.OpenApiExample(
                "A new bill", response_only=True, value={**BILL_EXAMPLE, "lines": [LINE_EXAMPLE], "payments": []}
            )
        ],
    )
    def get(self, request: drf_request.Request, bill_id: uuid.UUID) -> response.Response:
        bill = queries.get_bill(user=scopes.get_person(request), bill_id=bill_id)
        return response.Response(self.Output(bill).data)
