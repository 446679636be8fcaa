"""A head-end pushes readings of intervals, and reads of registers; each row is told what became of it."""

import decimal
from collections.abc import Sequence
from typing import Any

from drf_spectacular import utils as schema
from rest_framework import request as drf_request
from rest_framework import response, serializers, views

from meters import operations
from meters.api import imports
from meters.domain import units
from meters.usecases import take_readings, take_register_reads
from openvpp.core import api, clock

QUALITIES = [quality.name.lower() for quality in units.Quality if quality is not units.Quality.MISSING]
IDEMPOTENCY = schema.OpenApiParameter(
    "Idempotency-Key",
    str,
    schema.OpenApiParameter.HEADER,
    required=True,
    description="1 to 200 characters, new for each batch and the same for each retry.",
)
EXAMPLE = {
    "readings": [
        {
            "service_point": "SP-000005",
            "starts_at": "2026-06-01T00:00:00-04:00",
            "interval_seconds": 900,
            "unit": "kWh",
            "flow": "delivered",
            "quality": "valid",
            "values": ["0.324", "0.310", None, "0.298"],
        }
    ]
}
REPORT = {
    "batch": 41,
    "accepted": 1,
    "rejected": 1,
    "rows": [
        {"row": 0, "status": "accepted", "code": "", "detail": ""},
        {
            "row": 1,
            "status": "rejected",
            "code": "unknown_service_point",
            "detail": "The utility has no such service point.",
        },
    ],
}


class RowReport(serializers.Serializer[Any]):
    row = serializers.IntegerField(help_text="Place in the batch, from 0.")
    status = serializers.ChoiceField(choices=["accepted", "rejected"])
    code = serializers.CharField(help_text="Why it was rejected; empty if it was not.")
    detail = serializers.CharField()


class Report(serializers.Serializer[Any]):
    accepted = serializers.IntegerField()
    rejected = serializers.IntegerField()
    rows = RowReport(many=True)


class SignatureInput(serializers.Serializer[Any]):
    key = serializers.RegexField(r"^[0-9a-f]{64}$", help_text="Fingerprint of the device's key.")
    counter = serializers.IntegerField(min_value=0, max_value=2**63 - 1)
    signature = serializers.RegexField(
        r"^[0-9a-f]{128}$", help_text="64 bytes in hex over the bytes that docs/journeys/meter-data-out.md names."
    )


class TakeReadings(views.APIView):
    """Readings of many meters in one batch."""

    required_scopes = ["usage:write"]

    class Input(serializers.Serializer[Any]):
        class RowInput(serializers.Serializer[Any]):
            service_point = serializers.CharField(max_length=64, help_text="Its number.")
            starts_at = serializers.DateTimeField(help_text="Of the first value.")
            interval_seconds = serializers.IntegerField(min_value=1, max_value=86_400)
            unit = serializers.ChoiceField(
                choices=take_readings.UNITS, default="kWh", help_text="kW: the mean power over the interval."
            )
            flow = serializers.ChoiceField(choices=[flow.value for flow in units.Flow], default="delivered")
            quality = serializers.ChoiceField(choices=QUALITIES, default="raw")
            values = serializers.ListField(
                child=serializers.DecimalField(max_digits=20, decimal_places=9, allow_null=True),
                min_length=1,
                max_length=2_000,
                help_text="Of intervals that follow each other; null where there is none.",
            )

            signature = SignatureInput(required=False, allow_null=True, help_text="Of the device that measured.")

        readings = serializers.ListField(child=RowInput(), min_length=1, max_length=take_readings.MOST_ROWS)

    class Output(Report):
        batch = serializers.IntegerField(allow_null=True, help_text="Null if every row was rejected.")

    @schema.extend_schema(
        operation_id="meter_readings_push",
        tags=["Utility systems"],
        summary="Push readings",
        description=(
            f"For head-ends (client credentials). At most {take_readings.MOST_ROWS} rows with "
            f"{take_readings.MOST_VALUES} values and 2 MiB in all. Rows that are right are stored by one transaction, "
            "the others rejected, and `rows` says which is which. What is known already changes nothing; a changed "
            "value is a new version. A retry with the same Idempotency-Key has the same answer."
        ),
        parameters=[IDEMPOTENCY],
        request=Input,
        responses={200: Output},
        examples=[
            schema.OpenApiExample("An hour", request_only=True, value=EXAMPLE),
            schema.OpenApiExample("One of two", response_only=True, value=REPORT),
        ],
    )
    def post(self, request: drf_request.Request) -> response.Response:
        utility_id = imports.utility_of(request)
        asked = self.Input(data=request.data)
        asked.is_valid(raise_exception=True)
        rows = [
            take_readings.Row(
                service_point=row["service_point"],
                starts_at=row["starts_at"],
                interval_seconds=row["interval_seconds"],
                values=row["values"],
                unit=row["unit"],
                flow=units.Flow(row["flow"]),
                quality=units.Quality[row["quality"].upper()],
                signature=_signature(row.get("signature")),
            )
            for row in asked.validated_data["readings"]
        ]
        key = f"{request.auth.application_id} {request.headers.get('Idempotency-Key', '')}"  # type: ignore[union-attr] # HasScopes saw the token

        def act() -> tuple[int, Any]:
            taken = take_readings.take(utility_id=utility_id, rows=rows, key=key, now=clock.get_now())
            return 200, {"batch": taken.batch.pk if taken.batch else None} | _report(taken.verdicts)

        return api.act_once(request, act)


class TakeRegisterReads(views.APIView):
    """What dials stood at."""

    required_scopes = ["usage:write"]

    class Input(serializers.Serializer[Any]):
        class ReadInput(serializers.Serializer[Any]):
            service_point = serializers.CharField(max_length=64, help_text="Its number.")
            serial = serializers.CharField(max_length=64, help_text="Of the meter.")
            read_at = serializers.DateTimeField()
            value_kwh = serializers.DecimalField(
                max_digits=18, decimal_places=6, min_value=decimal.Decimal(0), help_text="As the dial says."
            )
            flow = serializers.ChoiceField(choices=["delivered", "received"], default="delivered")
            quality = serializers.ChoiceField(choices=QUALITIES, default="raw")

        reads = serializers.ListField(child=ReadInput(), min_length=1, max_length=take_register_reads.MOST_READS)

    class Output(Report):
        class ReadReport(RowReport):
            counted_kwh = serializers.CharField(
                allow_null=True, help_text="Since the read before, not multiplied; null for a first read."
            )

        rows = ReadReport(many=True)

    @schema.extend_schema(
        operation_id="meter_register_reads_push",
        tags=["Utility systems"],
        summary="Push register reads",
        description=(
            "For head-ends (client credentials). What a dial counted since its last read becomes consumption. A lower "
            "read counts as a rollover only if that little can have been used; else it is rejected as `lower_read`, "
            "kept, asked about and never billed. Registers with their dials are set up by staff."
        ),
        parameters=[IDEMPOTENCY],
        request=Input,
        responses={200: Output},
        examples=[
            schema.OpenApiExample(
                "A read",
                request_only=True,
                value={
                    "reads": [
                        {
                            "service_point": "SP-000005",
                            "serial": "M-7781",
                            "read_at": "2026-07-01T09:30:00-04:00",
                            "value_kwh": "48211",
                        }
                    ]
                },
            )
        ],
    )
    def post(self, request: drf_request.Request) -> response.Response:
        utility_id = imports.utility_of(request)
        asked = self.Input(data=request.data)
        asked.is_valid(raise_exception=True)
        reads = [
            take_register_reads.Read(
                service_point=read["service_point"],
                serial=read["serial"],
                read_at=read["read_at"],
                milli_units=int(read["value_kwh"] * 10**6),
                flow=units.Flow(read["flow"]),
                quality=units.Quality[read["quality"].upper()],
            )
            for read in asked.validated_data["reads"]
        ]

        def act() -> tuple[int, Any]:
            verdicts = take_register_reads.take(utility_id=utility_id, reads=reads, now=clock.get_now())
            report = _report(verdicts)
            for row, verdict in zip(report["rows"], verdicts, strict=True):
                counted = verdict.counted_milli_units
                row["counted_kwh"] = None if counted is None else f"{decimal.Decimal(counted).scaleb(-6).normalize():f}"
            return 200, report

        return api.act_once(request, act)


def _report(verdicts: Sequence[take_readings.Verdict | take_register_reads.Verdict]) -> dict[str, Any]:
    rejected = sum(bool(verdict.code) for verdict in verdicts)
    return {
        "accepted": len(verdicts) - rejected,
        "rejected": rejected,
        "rows": [
            {
                "row": verdict.place,
                "status": "rejected" if verdict.code else "accepted",
                "code": verdict.code,
                "detail": verdict.detail,
            }
            for verdict in verdicts
        ],
    }


def _signature(sent: Any) -> operations.Signature | None:
    if sent is None:
        return None
    return operations.Signature(key=sent["key"], counter=sent["counter"], signature=bytes.fromhex(sent["signature"]))
