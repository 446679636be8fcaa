"""A phone that keeps its own key signs an operation that was prepared for it."""

import uuid
from typing import Any

from drf_spectacular import utils as schema
from rest_framework import request as drf_request
from rest_framework import response, serializers, views

from openvpp.core import clock, scopes
from wallets import queries
from wallets.api import operations
from wallets.usecases import relay_signature


class SignOperation(views.APIView):
    """Sign an operation with the phone's own key."""

    required_scopes = ["payments:write"]
    throttle_scope = "payment"

    class Input(serializers.Serializer[Any]):
        signature = serializers.RegexField(
            r"^0x([0-9a-f]{2}){64,80}$",
            help_text="Over `signature_request.hash` as it is. P-256: r and s, or DER; secp256k1: r, s, v with low s.",
        )

    @schema.extend_schema(
        operation_id="operations_sign",
        summary="Sign an operation on the phone",
        description=(
            "For permissions whose key the phone keeps. Bound to the permission's own token. Answers 202 with the "
            "operation queued; signing it again, with this or another signature, changes nothing."
        ),
        tags=["Operations"],
        request=Input,
        responses={202: operations.Output, 409: schema.OpenApiResponse(description="Too late, or none is wanted.")},
        examples=[
            schema.OpenApiExample("Sign", request_only=True, value={"signature": "0x" + "3c" * 64}),
            schema.OpenApiExample(
                "Queued",
                response_only=True,
                status_codes=["202"],
                value={
                    **operations.EXAMPLE,
                    "state": "queued",
                    "transaction_hash": None,
                    "block_number": None,
                    "history": [
                        {"state": "reserved", "detail": "", "at": "2026-11-02T09:30:00Z"},
                        {"state": "awaiting_signature", "detail": "", "at": "2026-11-02T09:30:00Z"},
                        {"state": "queued", "detail": "", "at": "2026-11-02T09:30:02Z"},
                    ],
                },
            ),
        ],
    )
    def post(self, request: drf_request.Request, operation_id: uuid.UUID) -> response.Response:
        asked = self.Input(data=request.data)
        asked.is_valid(raise_exception=True)
        operation = relay_signature.relay_signature(
            user=scopes.get_person(request),
            operation_id=operation_id,
            grant=queries.get_active_grant(request.auth),
            signature=bytes.fromhex(asked.validated_data["signature"][2:]),
            now=clock.get_now(),
        )
        return response.Response(operations.Output(operation).data, status=202)
