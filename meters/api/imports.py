"""A utility's system sends a file of meter data."""

import datetime
from typing import Any

from drf_spectacular import types as schema_types
from drf_spectacular import utils as schema
from rest_framework import parsers, response, serializers, views
from rest_framework import request as drf_request

from meters import models, queries
from meters.usecases import import_file
from openvpp.core import clock, errors

EXAMPLE = {
    "id": 12,
    "state": "stored",
    "format": "green_button",
    "file_name": "june.xml",
    "bytes_done": 412001,
    "bytes_total": 412001,
    "lines_done": 9120,
    "lines_total": 9120,
    "intervals": 2976,
    "code": "",
    "detail": "",
    "received_at": "2026-07-01T09:12:00Z",
    "finished_at": "2026-07-01T09:12:01Z",
    "batch": 40,
    "days_added": 31,
    "days_changed": 0,
    "days_unchanged": 0,
    "first_starts_at": "2026-06-01T04:00:00Z",
    "last_ends_at": "2026-07-01T04:00:00Z",
    "imported_at": "2026-07-01T09:12:00Z",
    "warnings": [],
}


FORMATS = [
    models.ImportBatch.Format.GREEN_BUTTON.value,
    models.ImportBatch.Format.NEM.value,
    models.ImportBatch.Format.CSV.value,
]
PREVIEW_BYTES = 2**16


class UnableToImport(errors.Forbidden):
    """The caller is not a utility's system."""


class ImportOutput(serializers.Serializer[models.FileImport]):
    """An import, as far as it is; the numbers of days are there when it is stored."""

    id = serializers.IntegerField()
    state = serializers.CharField(help_text="received, reading, storing, stored or refused.")
    format = serializers.CharField()
    file_name = serializers.CharField()
    bytes_done = serializers.IntegerField()
    bytes_total = serializers.IntegerField()
    lines_done = serializers.IntegerField()
    lines_total = serializers.IntegerField()
    intervals = serializers.IntegerField(help_text="Readings found so far.")
    code = serializers.CharField(help_text="Why it was refused; empty if it was not.")
    detail = serializers.CharField(source="failure")
    received_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    batch = serializers.IntegerField(source="batch_id", allow_null=True)
    days_added = serializers.IntegerField(source="batch.days_added", default=None, allow_null=True)
    days_changed = serializers.IntegerField(
        source="batch.days_changed",
        default=None,
        allow_null=True,
        help_text="Days that had other values; the old ones are kept.",
    )
    days_unchanged = serializers.IntegerField(source="batch.days_unchanged", default=None, allow_null=True)
    first_starts_at = serializers.DateTimeField(source="batch.first_starts_at", default=None, allow_null=True)
    last_ends_at = serializers.DateTimeField(source="batch.last_ends_at", default=None, allow_null=True)
    imported_at = serializers.DateTimeField(source="batch.imported_at", default=None, allow_null=True)
    warnings = serializers.ListField(child=serializers.CharField(), source="batch.warnings", default=list)


class ImportReadings(views.APIView):
    """A Green Button (ESPI), NEM12, NEM13 or CSV file, stored whole or not at all."""

    required_scopes = ["usage:write"]
    parser_classes = [parsers.MultiPartParser]

    class Input(serializers.Serializer[object]):
        file = serializers.FileField()
        format = serializers.ChoiceField(
            choices=FORMATS, default=models.ImportBatch.Format.GREEN_BUTTON.value, help_text="Of the file."
        )
        source = serializers.CharField(  # type: ignore[assignment] # a declared field is not an attribute
            max_length=64, required=False, help_text="Name of the CSV source, whose mapping says what columns mean."
        )
        service_point = serializers.CharField(
            max_length=64, required=False, help_text="Number of the service point, when the file does not name it."
        )
        preview = serializers.BooleanField(
            default=False, help_text="Only show the first rows of a CSV as they are understood; nothing is stored."
        )

    Output = ImportOutput

    @schema.extend_schema(
        operation_id="meter_imports_create",
        tags=["Usage"],
        summary="Import a file of meter data",
        description=(
            "For a utility's systems (client credentials). The usage points of the file are looked up by the last "
            "part of their address among the utility's service point numbers, or name the one service point. The "
            "same file again is the same import. A file of up to 4 MiB is stored when this answers 201; 422 says what "
            "is wrong and where, and then nothing was stored. A larger one is kept and answered 202: follow it at "
            "`/meter-imports/{id}/`. It is stored as a whole at the end. With `preview` the answer is 200."
        ),
        request={
            "multipart/form-data": {
                "type": "object",
                "properties": {
                    "file": {"type": "string", "format": "binary"},
                    "format": {"type": "string", "enum": FORMATS, "default": "green_button"},
                    "source": {"type": "string", "maxLength": 64},
                    "service_point": {"type": "string", "maxLength": 64},
                    "preview": {"type": "boolean", "default": False},
                },
                "required": ["file"],
            }
        },
        responses={
            200: schema_types.OpenApiTypes.OBJECT,
            201: ImportOutput,
            202: ImportOutput,
            403: schema_types.OpenApiTypes.OBJECT,
        },
        examples=[schema.OpenApiExample("A month", response_only=True, status_codes=["201"], value=EXAMPLE)],
    )
    def post(self, request: drf_request.Request) -> response.Response:
        utility_id = utility_of(request)
        sent = self.Input(data=request.data)
        sent.is_valid(raise_exception=True)
        upload, name = sent.validated_data["file"], sent.validated_data.get("source")
        source = queries.get_csv_source(utility_id=utility_id, name=name) if name else None
        if sent.validated_data["preview"] and source is not None:
            return response.Response(shown(import_file.preview(text=upload.read(PREVIEW_BYTES), source=source)))
        number = sent.validated_data.get("service_point")
        received = import_file.receive(
            stream=upload,
            utility_id=utility_id,
            source=models.ImportBatch.Format(sent.validated_data["format"]),
            csv_source_id=source.pk if source else None,
            service_point_id=queries.get_service_point_id(utility_id=utility_id, number=number) if number else None,
            file_name=upload.name,
            now=clock.get_now(),
        )
        if import_file.is_small(file_import=received):
            received = import_file.run_at_once(file_import_id=received.pk, now=clock.get_now())
        is_stored = received.state == models.FileImport.State.STORED
        return response.Response(ImportOutput(received).data, status=201 if is_stored else 202)


class FollowImport(views.APIView):
    """An import on its way."""

    required_scopes = ["usage:write"]

    @schema.extend_schema(
        operation_id="meter_imports_retrieve",
        tags=["Usage"],
        summary="Follow an import",
        description="How far it is, and when it is stored or refused, what came of it.",
        responses={200: ImportOutput},
        examples=[schema.OpenApiExample("A month", response_only=True, value=EXAMPLE)],
    )
    def get(self, request: drf_request.Request, file_import_id: int) -> response.Response:
        found = queries.get_file_import(utility_id=utility_of(request), file_import_id=file_import_id)
        return response.Response(ImportOutput(found).data)


def shown(read: import_file.Preview) -> dict[str, Any]:
    """Return a preview as JSON: rows as they are understood, and what is wrong with which line."""
    return {
        "rows": [
            {
                "line": row.line,
                "service_point": row.point,
                "starts_at": datetime.datetime.fromtimestamp(row.starts, tz=datetime.UTC),
                "ends_at": datetime.datetime.fromtimestamp(row.ends, tz=datetime.UTC),
                "milli_units": row.milli_units,
                "received_milli_units": row.received_milli_units,
                "quality": row.quality.name.lower(),
            }
            for row in read.rows
        ],
        "errors": [error.to_json() for error in read.errors],
    }


def utility_of(request: drf_request.Request) -> int:
    """Return the utility whose system is calling.

    :raises UnableToImport: the caller is a person.
    """
    token: Any = request.auth
    if token.user_id is not None or token.application.utility_id is None:
        raise UnableToImport("This address is for a utility's systems.", code="system_required")
    return int(token.application.utility_id)
