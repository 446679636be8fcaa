"""Quoting a payment, paying, and the receipt."""

import uuid
from typing import Any

from drf_spectacular import utils as schema
from rest_framework import generics, response, serializers, views
from rest_framework import request as drf_request

from billing import models, queries
from billing.usecases import pay_bill, quote_payment
from customers import models as customer_models
from openvpp.core import api, clock, money, pages, scopes
from wallets import queries as wallet_queries

TAGS = ["Payments"]
TOKEN_EXAMPLE = {"address": "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512", "symbol": "USDX", "decimals": 6}
QUOTE_EXAMPLE = {
    "quote_id": "4b1d7d52-9f0c-4c5c-8d3b-6b8e0d6a6d10",
    "bill_id": "b3f3d6f2-6f0b-4d0f-9a86-2f5d1f0c9a11",
    "wallet": "0x5FbDB2315678afecb367f032d93F642f64180aa3",
    "token": TOKEN_EXAMPLE,
    "amount_units": "84120000",
    "amount": "84.120000",
    "fee_mode": "stablecoin",
    "fee_token": TOKEN_EXAMPLE,
    "fee_units": "21034",
    "fee": "0.021034",
    "reason": "You chose to pay the network fee in the token of the bill.",
    "expires_at": "2026-11-02T09:32:00Z",
}
PAYMENT_EXAMPLE = {
    "id": "6a8f6c55-0f0c-4d3c-a7a5-3b2f1f3f7d21",
    "account": "HL-100001",
    "state": "paid",
    "failure": "",
    "bills": [{"bill_id": "b3f3d6f2-6f0b-4d0f-9a86-2f5d1f0c9a11", "number": "HL-100001-20261101", "amount": "84.12"}],
    "operation_id": "0d7d3d1c-4a53-4a1e-8f63-52b8a9d0b3a1",
    "signature_request": None,
    "wallet": "0x5FbDB2315678afecb367f032d93F642f64180aa3",
    "treasury": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    "token": TOKEN_EXAMPLE,
    "amount_units": "84120000",
    "amount": "84.120000",
    "fee_mode": "stablecoin",
    "fee_token": TOKEN_EXAMPLE,
    "fee_units": "21034",
    "fee": "0.021034",
    "transaction_hash": "0x88df016429689c079f3b2f6ad39fa052532c56795b733da78a91ebe6a713944b",
    "block_number": 1203,
    "transfers": [{"log_index": 2, "token": TOKEN_EXAMPLE["address"], "units": "84141034"}],
    "created_at": "2026-11-02T09:30:00Z",
    "settled_at": "2026-11-02T09:30:04Z",
}


class ProblemOutput(serializers.Serializer[Any]):
    """A refusal (RFC 9457): nothing moved. `code` is stable, further members carry the facts."""

    type = serializers.URLField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField()
    detail = serializers.CharField()


def _refusal(*, status: int, code: str, detail: str, **facts: object) -> schema.OpenApiExample:
    value = {
        "type": f"{api.PROBLEM_TYPE}{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "code": code,
        "detail": detail,
        **facts,
    }
    return schema.OpenApiExample(code, response_only=True, status_codes=[str(status)], value=value)


class TokenOutput(serializers.Serializer[customer_models.AcceptedToken]):
    address = serializers.CharField()
    symbol = serializers.CharField()
    decimals = serializers.IntegerField()


class QuotePayment(views.APIView):
    """What paying a bill takes."""

    required_scopes = ["payments:write"]
    throttle_scope = "quote"

    class Input(serializers.Serializer[Any]):
        token = serializers.CharField(max_length=16, help_text="Symbol of the token to pay with.")
        fee_mode = serializers.ChoiceField(
            choices=customer_models.FeeMode.choices, required=False, help_text="The utility's usual one if left out."
        )

    class Output(serializers.Serializer[quote_payment.Quote]):
        quote_id = serializers.UUIDField(source="fee.pk")
        bill_id = serializers.UUIDField(source="bill.pk")
        wallet = serializers.CharField(source="wallet.address")
        token = TokenOutput()
        amount_units = serializers.CharField()
        amount = serializers.SerializerMethodField()
        fee_mode = serializers.CharField(source="fee.mode")
        fee_token = TokenOutput(allow_null=True)
        fee_units = serializers.CharField(source="fee.fee_units")
        fee = serializers.SerializerMethodField()
        reason = serializers.CharField(source="fee.reason", help_text="Why this party pays the network fee.")
        expires_at = serializers.DateTimeField(source="fee.expires_at")

        def get_amount(self, quote: quote_payment.Quote) -> str:
            return _whole(units=quote.amount_units, token=quote.token)

        def get_fee(self, quote: quote_payment.Quote) -> str:
            return _whole(units=quote.fee.fee_units, token=quote.fee_token)

    @schema.extend_schema(
        operation_id="bills_quote",
        summary="Quote a payment",
        description=(
            "Locks the network fee for a short time, and what it may cost of the utility's gas budget where the "
            "utility pays it. Nothing moves. `reason` says why this party pays."
        ),
        tags=TAGS,
        request=Input,
        responses={201: Output, 409: ProblemOutput, 503: ProblemOutput},
        examples=[
            schema.OpenApiExample("Ask", request_only=True, value={"token": "USDX", "fee_mode": "stablecoin"}),
            schema.OpenApiExample("A quote", response_only=True, status_codes=["201"], value=QUOTE_EXAMPLE),
            _refusal(status=409, code="already_paid", detail="This bill is paid.", bill_state="paid"),
            _refusal(
                status=409,
                code="budget_used_up",
                detail="The gas budget “Bill payments” is used up.",
                budgets=[
                    {
                        "name": "Bill payments",
                        "policy": "0c8f3a52-6f0e-4a6e-9d6f-2f4f0c8a7d11",
                        "left_wei": "0",
                        "left_count": None,
                        "resets_at": "2026-12-01T00:00:00+00:00",
                    }
                ],
            ),
            _refusal(status=503, code="price_stale", detail="The token's price is out of date. Try again shortly."),
        ],
    )
    def post(self, request: drf_request.Request, bill_id: uuid.UUID) -> response.Response:
        asked = api.read(self.Input, request.data)
        quote = quote_payment.quote(
            user=scopes.get_person(request),
            bill_id=bill_id,
            token_symbol=asked["token"],
            fee_mode=asked.get("fee_mode"),
            grant=wallet_queries.get_active_grant(request.auth),
            now=clock.get_now(),
        )
        return response.Response(api.show(self.Output, quote), status=201)


class PaymentOutput(serializers.Serializer[models.Payment]):
    """A payment; once `state` is `paid` it is the receipt."""

    class BillOutput(serializers.Serializer[models.PaymentAllocation]):
        bill_id = serializers.UUIDField()
        number = serializers.CharField(source="bill.number")
        amount = serializers.SerializerMethodField()

        def get_amount(self, allocation: models.PaymentAllocation) -> str:
            return f"{money.from_units(units=allocation.amount_cents, decimals=2):f}"

    class TransferOutput(serializers.Serializer[models.ProvenTransfer]):
        log_index = serializers.IntegerField()
        token = serializers.CharField()
        units = serializers.CharField()

    id = serializers.UUIDField()
    account = serializers.CharField(source="account.number")
    state = serializers.ChoiceField(choices=models.Payment.State.choices)
    failure = serializers.CharField(allow_blank=True)
    bills = BillOutput(many=True, source="allocations")
    operation_id = serializers.UUIDField(help_text="What to follow: `GET operations/{id}/`.")
    signature_request = serializers.SerializerMethodField()
    wallet = serializers.CharField(source="wallet.address")
    treasury = serializers.CharField(source="treasury_address")
    token = TokenOutput()
    amount_units = serializers.CharField()
    amount = serializers.SerializerMethodField()
    fee_mode = serializers.ChoiceField(choices=customer_models.FeeMode.choices)
    fee_token = TokenOutput(allow_null=True)
    fee_units = serializers.CharField()
    fee = serializers.SerializerMethodField()
    transaction_hash = serializers.CharField(allow_null=True)
    block_number = serializers.IntegerField(allow_null=True)
    transfers = TransferOutput(many=True, help_text="The tokens' own logs that prove it.")
    created_at = serializers.DateTimeField()
    settled_at = serializers.DateTimeField(allow_null=True)

    @schema.extend_schema_field(
        {
            "type": "object",
            "nullable": True,
            "additionalProperties": True,
            "description": "What the customer's phone is to sign, as `GET operations/{id}/` shows it; else null.",
        }
    )
    def get_signature_request(self, payment: models.Payment) -> dict[str, Any] | None:
        return wallet_queries.get_signature_request(operation=payment.operation)

    def get_amount(self, payment: models.Payment) -> str:
        return _whole(units=payment.amount_units, token=payment.token)

    def get_fee(self, payment: models.Payment) -> str:
        return _whole(units=payment.fee_units, token=payment.fee_token)


class PayBill(views.APIView):
    """Pay a bill under a quote."""

    required_scopes = ["payments:write"]
    throttle_scope = "payment"

    class Input(serializers.Serializer[Any]):
        quote_id = serializers.UUIDField()
        amount_units = serializers.RegexField(
            r"^[0-9]{1,78}$", help_text="The quoted amount, in base units of its token: what you agree to pay."
        )

    @schema.extend_schema(
        operation_id="bills_pay",
        summary="Pay a bill",
        description=(
            "Answers 202 with the payment on its way; follow its operation or wait for the notice. Where the phone "
            "keeps the key, `signature_request` says what it is to sign for `operations/{id}/signature/`. Send an "
            "`Idempotency-Key`: the same key with the same body is the same payment."
        ),
        tags=TAGS,
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
        responses={202: PaymentOutput, 403: ProblemOutput, 409: ProblemOutput, 422: ProblemOutput},
        examples=[
            schema.OpenApiExample(
                "Pay",
                request_only=True,
                value={"quote_id": QUOTE_EXAMPLE["quote_id"], "amount_units": QUOTE_EXAMPLE["amount_units"]},
            ),
            schema.OpenApiExample(
                "On its way",
                response_only=True,
                status_codes=["202"],
                value={
                    **PAYMENT_EXAMPLE,
                    "state": "pending",
                    "transaction_hash": None,
                    "block_number": None,
                    "transfers": [],
                    "settled_at": None,
                },
            ),
            _refusal(
                status=403,
                code="grant_required",
                detail="This app has no permission to pay. Agree to a spending limit in the app first.",
            ),
            _refusal(
                status=409,
                code="over_period_limit",
                detail="This is more than the limit for this period that you agreed to.",
                needed_units="84141034",
                limit_units="100000000",
                left_units="20000000",
            ),
            _refusal(
                status=409,
                code="insufficient_balance",
                detail="Your wallet holds too little for this payment.",
                token=TOKEN_EXAMPLE["address"],
                needed_units="84141034",
                held_units="12000000",
            ),
            _refusal(
                status=409,
                code="quote_expired",
                detail="This quote has expired. Ask for a new one.",
                expired_at="2026-11-02T09:32:00+00:00",
            ),
            _refusal(
                status=422,
                code="idempotency_key_reused",
                detail="This Idempotency-Key was used with another body. Send a new key for a new request.",
            ),
        ],
    )
    def post(self, request: drf_request.Request, bill_id: uuid.UUID) -> response.Response:
        asked = api.read(self.Input, request.data)
        person = scopes.get_person(request)

        def act() -> tuple[int, Any]:
            payment = pay_bill.start(
                user=person,
                bill_id=bill_id,
                quote_id=asked["quote_id"],
                amount_units=int(asked["amount_units"]),
                grant=wallet_queries.get_active_grant(request.auth),
                now=clock.get_now(),
            )
            return 202, api.show(PaymentOutput, payment)

        def resume() -> tuple[int, Any] | None:
            payment = queries.find_payment_of_quote(
                user=person,
                bill_id=bill_id,
                quote_id=asked["quote_id"],
                amount_units=int(asked["amount_units"]),
            )
            return None if payment is None else (202, api.show(PaymentOutput, payment))

        return api.act_once(request, act, resume)


class Pages(pages.CursorPagination):
    """Newest first."""

    ordering = ("-created_at", "-id")


class ListPayments(generics.GenericAPIView[models.Payment]):
    """The payments of the person's accounts."""

    required_scopes = ["bills:read"]
    pagination_class = Pages
    serializer_class = PaymentOutput
    queryset = models.Payment.objects.none()

    @schema.extend_schema(
        operation_id="payments_list",
        summary="My payments",
        tags=TAGS,
        responses={200: PaymentOutput(many=True)},
        examples=[schema.OpenApiExample("Paid", response_only=True, value=PAYMENT_EXAMPLE)],
    )
    def get(self, request: drf_request.Request) -> response.Response:
        page: Any = self.paginate_queryset(queries.get_payments(user=scopes.get_person(request)))
        return self.get_paginated_response(PaymentOutput(page, many=True).data)


class ShowPayment(views.APIView):
    """One payment: its receipt once it is paid."""

    required_scopes = ["bills:read"]

    @schema.extend_schema(
        operation_id="payments_show",
        summary="A payment",
        tags=TAGS,
        responses=PaymentOutput,
        examples=[schema.OpenApiExample("Paid", response_only=True, value=PAYMENT_EXAMPLE)],
    )
    def get(self, request: drf_request.Request, payment_id: uuid.UUID) -> response.Response:
        payment = queries.get_payment(user=scopes.get_person(request), payment_id=payment_id)
        return response.Response(api.show(PaymentOutput, payment))


def _whole(*, units: int, token: customer_models.AcceptedToken | None) -> str:
    return f"{money.from_units(units=units, decimals=token.decimals if token is not None else 0):f}"
