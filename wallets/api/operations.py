"""An operation, as the person who asked for it follows it."""

import uuid
from typing import Any

from drf_spectacular import utils as schema
from rest_framework import request as drf_request
from rest_framework import response, serializers, views

from openvpp.core import scopes
from wallets import models, queries

EXAMPLE = {
    "id": "0d7d3d1c-4a53-4a1e-8f63-52b8a9d0b3a1",
    "kind": "billing.payment",
    "state": "succeeded",
    "failure": "",
    "reference": "0x9f0c2b6e4d1a4f7c8e3b5a6d7c8e9f01",
    "intent": {
        "ref": "0x9f0c2b6e4d1a4f7c8e3b5a6d7c8e9f01",
        "payee": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        "token": "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512",
        "amount_units": "84120000",
        "fee_units": "0",
        "fee_token": None,
    },
    "user_operation_hash": "0x3c1f6b0de1d8f6a9c7e24b5a80f93d6c1b2e4f7081928374655647382910abcd",
    "transaction_hash": "0x88df016429689c079f3b2f6ad39fa052532c56795b733da78a91ebe6a713944b",
    "block_number": 1203,
    "signature_request": None,
    "created_at": "2026-11-02T09:30:00Z",
    "updated_at": "2026-11-02T09:30:04Z",
    "history": [
        {"state": "reserved", "detail": "", "at": "2026-11-02T09:30:00Z"},
        {"state": "queued", "detail": "", "at": "2026-11-02T09:30:00Z"},
        {"state": "submitted", "detail": "", "at": "2026-11-02T09:30:01Z"},
        {"state": "mined", "detail": "", "at": "2026-11-02T09:30:02Z"},
        {"state": "succeeded", "detail": "", "at": "2026-11-02T09:30:04Z"},
    ],
}


class SignatureRequestOutput(serializers.Serializer[Any]):
    """What the phone's own key is to sign."""

    class OperationOutput(serializers.Serializer[Any]):
        sender = serializers.CharField()
        nonce = serializers.CharField()
        init_code = serializers.CharField()
        call_data = serializers.CharField()
        account_gas_limits = serializers.CharField()
        pre_verification_gas = serializers.CharField()
        gas_fees = serializers.CharField()
        paymaster_and_data_hash = serializers.CharField(help_text="Keccak-256 of `paymasterAndData`.")

    hash = serializers.CharField(help_text="32 bytes; signed as they are.")
    algorithm = serializers.CharField(help_text="`ES256` or `ES256K`, over the hash itself.")
    chain_id = serializers.IntegerField()
    operation = OperationOutput(help_text="From this the phone computes the hash itself.")
    sign_by = serializers.DateTimeField(help_text="Unsigned by then, it fails and gives back what it had reserved.")


class Output(serializers.Serializer[models.Operation]):
    """One operation with its steps."""

    class StepOutput(serializers.Serializer[models.OperationTransition]):
        state = serializers.ChoiceField(choices=models.Operation.State.choices)
        detail = serializers.CharField(allow_blank=True)
        at = serializers.DateTimeField(source="made_at")

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=models.Operation.Kind.choices)
    state = serializers.ChoiceField(
        choices=models.Operation.State.choices, help_text="`succeeded` and `failed` are final."
    )
    failure = serializers.CharField(allow_blank=True, help_text="Why it failed.")
    reference = serializers.CharField(help_text="Random name of it on the chain.")
    intent = serializers.JSONField(help_text="What it does, exactly as it is signed.")
    user_operation_hash = serializers.CharField(source="user_operation_id", allow_null=True)
    transaction_hash = serializers.SerializerMethodField()
    block_number = serializers.SerializerMethodField()
    signature_request = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    history = StepOutput(many=True)

    @schema.extend_schema_field(SignatureRequestOutput(allow_null=True))
    def get_signature_request(self, operation: models.Operation) -> dict[str, Any] | None:
        return queries.get_signature_request(operation=operation)

    def get_transaction_hash(self, operation: models.Operation) -> str | None:
        bundle = _bundle(operation)
        return bundle.transaction_hash if bundle is not None else None

    def get_block_number(self, operation: models.Operation) -> int | None:
        bundle = _bundle(operation)
        return bundle.block_number if bundle is not None else None


def _bundle(operation: models.Operation) -> Any:
    return operation.user_operation.bundle if operation.user_operation is not None else None


class ShowOperation(views.APIView):
    """Where an operation stands."""

    required_scopes = ["wallet:read"]

    @schema.extend_schema(
        operation_id="operations_show",
        summary="An operation",
        tags=["Operations"],
        responses=Output,
        examples=[schema.OpenApiExample("A payment that arrived", response_only=True, value=EXAMPLE)],
    )
    def get(self, request: drf_request.Request, operation_id: uuid.UUID) -> response.Response:
        operation = queries.get_operation(user=scopes.get_person(request), operation_id=operation_id)
        return response.Response(Output(operation).data)
