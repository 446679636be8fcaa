"""A utility's system sends a file of meter data."""

from typing import Any

from drf_spectacular import types as schema_types
from drf_spectacular import utils as schema
from rest_framework import parsers, response, serializers, views
from rest_framework import request as drf_request

from meters import models, queries
from meters.usecases import ingest_readings
from openvpp.core import clock, errors

EXAMPLE = {
    "id": 12,
    "format": "green_button",
    "file_name": "june.xml",
    "intervals": 2976,
    "days_added": 31,
    "days_changed": 0,
    "days_unchanged": 0,
    "first_starts_at": "2026-06-01T04:00:00Z",
    "last_ends_at": "2026-07-01T04:00:00Z",
    "imported_at": "2026-07-01T09:12:00Z",
    "warnings": [],
}


INGEST = {
    models.ImportBatch.Format.GREEN_BUTTON.value: ingest_readings.ingest_green_button,
    models.ImportBatch.Format.NEM.value: ingest_readings.ingest_nem,
}


class UnableToImport(errors.Forbidden):
    """The caller is not a utility's system."""


class ImportReadings(views.APIView):
    """A Green Button (ESPI), NEM12 or NEM13 file, stored whole or not at all."""

    required_scopes = ["usage:write"]
    parser_classes = [parsers.MultiPartParser]

    class Input(serializers.Serializer[object]):
        file = serializers.FileField()
        format = serializers.ChoiceField(
            choices=list(INGEST), default=models.ImportBatch.Format.GREEN_BUTTON.value, help_text="Of the file."
        )
        service_point = serializers.CharField(
            max_length=64, required=False, help_text="Number of the service point, when the file does not name it."
        )

    class Output(serializers.Serializer[models.ImportBatch]):
        id = serializers.IntegerField()
        format = serializers.CharField()
        file_name = serializers.CharField()
        intervals = serializers.IntegerField(help_text="Readings in the file.")
        days_added = serializers.IntegerField()
        days_changed = serializers.IntegerField(help_text="Days that had other values; the old ones are kept.")
        days_unchanged = serializers.IntegerField()
        first_starts_at = serializers.DateTimeField()
        last_ends_at = serializers.DateTimeField()
        imported_at = serializers.DateTimeField()
        warnings = serializers.ListField(child=serializers.CharField())

    @schema.extend_schema(
        operation_id="meter_imports_create",
        tags=["Usage"],
        summary="Import a file of meter data",
        description=(
            "For a utility's systems (client credentials). The usage points of the file are looked up by the last "
            "part of their address among the utility's service point numbers, or name the one service point. The "
            "same file again is the same import. 422 says what is wrong and where; then nothing was stored."
        ),
        request={
            "multipart/form-data": {
                "type": "object",
                "properties": {
                    "file": {"type": "string", "format": "binary"},
                    "format": {"type": "string", "enum": list(INGEST), "default": "green_button"},
                    "service_point": {"type": "string", "maxLength": 64},
                },
                "required": ["file"],
            }
        },
        responses={201: Output, 403: schema_types.OpenApiTypes.OBJECT},
        examples=[schema.OpenApiExample("A month", response_only=True, value=EXAMPLE)],
    )
    def post(self, request: drf_request.Request) -> response.Response:
        utility_id = _utility_of(request)
        sent = self.Input(data=request.data)
        sent.is_valid(raise_exception=True)
        upload = sent.validated_data["file"]
        number = sent.validated_data.get("service_point")
        batch = INGEST[sent.validated_data["format"]](
            stream=upload,
            utility_id=utility_id,
            service_point_id=queries.get_service_point_id(utility_id=utility_id, number=number) if number else None,
            file_name=upload.name,
            now=clock.get_now(),
        )
        return response.Response(self.Output(batch).data, status=201)


def _utility_of(request: drf_request.Request) -> int:
    token: Any = request.auth
    if token.user_id is not None or token.application.utility_id is None:
        raise UnableToImport("This address is for a utility's systems.", code="system_required")
    return int(token.application.utility_id)
