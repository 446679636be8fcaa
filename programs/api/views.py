"""Programs, a person's part in them, and what their devices earned."""

import uuid
from typing import Any

from drf_spectacular import utils as schema
from rest_framework import generics, response, serializers, views
from rest_framework import request as drf_request

from openvpp.core import clock, money, pages, scopes
from programs import models, queries
from programs.usecases import enroll

TAGS = ["Programs"]
PROGRAM_EXAMPLE = schema.OpenApiExample(
    "Evening batteries",
    value={
        "id": "5b1f6f2e-55a1-4a0b-9d50-3f0b2a6ffb0e",
        "name": "Evening batteries",
        "kind": "battery_dispatch",
        "description": "Your battery helps on hot evenings.",
        "terms": "We may discharge your battery on up to 30 evenings a year.",
        "terms_version": 1,
        "eligibility": {"device_kinds": ["battery"], "min_power_kw": "1"},
        "payout_usd_per_kwh": "2.000000",
        "payout_token": "USDX",
        "is_open": True,
    },
    response_only=True,
)
ENROLLMENT_EXAMPLE = schema.OpenApiExample(
    "Waiting for the program manager",
    value={
        "id": "e6f1e1de-61a8-4b2e-9d3c-2f1f4c6f7a51",
        "program_id": "5b1f6f2e-55a1-4a0b-9d50-3f0b2a6ffb0e",
        "program": "Evening batteries",
        "device_ids": ["0d0c9b56-8a3e-4cf3-bb4a-f70c4ff7ae29"],
        "state": "applied",
        "terms_version": 1,
        "applied_at": "2026-07-01T16:25:00Z",
        "decided_at": None,
        "reason": "",
        "left_at": None,
    },
    response_only=True,
)
APPLY_EXAMPLE = schema.OpenApiExample(
    "Apply with one device",
    value={
        "program_id": "5b1f6f2e-55a1-4a0b-9d50-3f0b2a6ffb0e",
        "device_ids": ["0d0c9b56-8a3e-4cf3-bb4a-f70c4ff7ae29"],
        "terms_version": 1,
    },
    request_only=True,
)
EVENT_EXAMPLE = schema.OpenApiExample(
    "A battery's part in an event",
    value={
        "event_id": "c2b1a6de-0c35-4f0e-9e55-1d8f6b7c9a10",
        "name": "Hot Thursday",
        "program_id": "5b1f6f2e-55a1-4a0b-9d50-3f0b2a6ffb0e",
        "device_id": "0d0c9b56-8a3e-4cf3-bb4a-f70c4ff7ae29",
        "starts_at": "2026-07-16T21:00:00Z",
        "ends_at": "2026-07-16T22:00:00Z",
        "state": "settled",
        "share_kw": "2.500",
        "acknowledged_at": "2026-07-16T20:55:03Z",
    },
    response_only=True,
)
PAYOUT_EXAMPLE = schema.OpenApiExample(
    "A battery was paid",
    value={
        "id": "9a3c1f8e-1c59-4a86-9b7a-0f8a6f1d2e33",
        "event_id": "c2b1a6de-0c35-4f0e-9e55-1d8f6b7c9a10",
        "event": "Hot Thursday",
        "device_id": "0d0c9b56-8a3e-4cf3-bb4a-f70c4ff7ae29",
        "baseline_wh": "100.000",
        "actual_wh": -2400,
        "performance_wh": "2500.000",
        "amount_units": "5000000",
        "amount": "5.000000",
        "token": "USDX",
        "decimals": 6,
        "state": "paid",
        "reason": "",
        "paid_at": "2026-07-16T22:05:09Z",
        "transaction_hash": "0x" + "5f" * 32,
        "block_number": 1288,
    },
    response_only=True,
)


class Program(serializers.Serializer[models.Program]):
    """What a utility offers."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=models.Program.Kind.choices)
    description = serializers.CharField()
    terms = serializers.CharField()
    terms_version = serializers.IntegerField()
    eligibility = serializers.JSONField()
    payout_usd_per_kwh = serializers.DecimalField(max_digits=12, decimal_places=6)
    payout_token = serializers.CharField(source="payout_token.symbol")
    is_open = serializers.BooleanField()


class Enrollment(serializers.Serializer[models.Enrollment]):
    """A person's part in a program."""

    id = serializers.UUIDField()
    program_id = serializers.UUIDField()
    program = serializers.CharField(source="program.name")
    device_ids = serializers.SerializerMethodField()
    state = serializers.ChoiceField(choices=models.Enrollment.State.choices)
    terms_version = serializers.IntegerField()
    applied_at = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField()
    left_at = serializers.DateTimeField(allow_null=True)

    def get_device_ids(self, enrollment: models.Enrollment) -> list[uuid.UUID]:
        return [part.device_id for part in enrollment.devices.all()]


class Event(serializers.Serializer[models.EventDevice]):
    """A device's part in an event."""

    event_id = serializers.UUIDField()
    name = serializers.CharField(source="event.name")
    program_id = serializers.UUIDField(source="event.program_id")
    device_id = serializers.UUIDField()
    starts_at = serializers.DateTimeField(source="event.starts_at")
    ends_at = serializers.DateTimeField(source="event.ends_at")
    state = serializers.ChoiceField(source="event.state", choices=models.Event.State.choices)
    share_kw = serializers.DecimalField(max_digits=9, decimal_places=3, help_text="How much less it was asked to use.")
    acknowledged_at = serializers.DateTimeField(allow_null=True)


class Payout(serializers.Serializer[models.Payout]):
    """What a device earned in an event. Energy is net consumption; a discharge is negative."""

    id = serializers.UUIDField()
    event_id = serializers.UUIDField(source="settlement.event_id")
    event = serializers.CharField(source="settlement.event.name")
    device_id = serializers.UUIDField(source="event_device.device_id")
    baseline_wh = serializers.DecimalField(max_digits=15, decimal_places=3, allow_null=True)
    actual_wh = serializers.IntegerField(allow_null=True)
    performance_wh = serializers.DecimalField(max_digits=15, decimal_places=3)
    amount_units = serializers.CharField()
    amount = serializers.SerializerMethodField()
    token = serializers.CharField(source="settlement.token_symbol")
    decimals = serializers.IntegerField(source="settlement.token_decimals")
    state = serializers.ChoiceField(choices=models.Payout.State.choices)
    reason = serializers.CharField(help_text="Why nothing is due.")
    paid_at = serializers.DateTimeField(allow_null=True)
    transaction_hash = serializers.CharField(source="settlement.transaction_hash", allow_null=True)
    block_number = serializers.IntegerField(source="settlement.block_number", allow_null=True)

    def get_amount(self, payout: models.Payout) -> str:
        return format(money.from_units(units=payout.amount_units, decimals=payout.settlement.token_decimals), "f")


class ByCreation(pages.CursorPagination):
    ordering = ("-created_at", "id")


class ByApplication(pages.CursorPagination):
    ordering = ("-applied_at", "id")


class ByWindow(pages.CursorPagination):
    ordering = ("-event__starts_at", "id")


class BySettlement(pages.CursorPagination):
    ordering = ("-settlement__computed_at", "id")


class Programs(generics.GenericAPIView[models.Program]):
    """What the utilities of this person offer."""

    required_scopes = ["programs:read"]
    pagination_class = ByCreation
    serializer_class = Program

    @schema.extend_schema(operation_id="programs_list", summary="List programs", tags=TAGS, examples=[PROGRAM_EXAMPLE])
    def get(self, request: drf_request.Request) -> response.Response:
        page: Any = self.paginate_queryset(queries.get_programs(user=scopes.get_person(request)))
        return self.get_paginated_response(Program(page, many=True).data)


class OneProgram(views.APIView):
    """A program with its terms."""

    required_scopes = ["programs:read"]

    @schema.extend_schema(
        operation_id="programs_get", summary="Read a program", tags=TAGS, responses=Program, examples=[PROGRAM_EXAMPLE]
    )
    def get(self, request: drf_request.Request, program_id: uuid.UUID) -> response.Response:
        rows = queries.get_programs(user=scopes.get_person(request))
        return response.Response(Program(queries.get_one(rows=rows, row_id=program_id)).data)


class Enrollments(generics.GenericAPIView[models.Enrollment]):
    """A person's part in programs."""

    pagination_class = ByApplication
    serializer_class = Enrollment

    @schema.extend_schema_serializer(component_name="EnrollmentWish")
    class Input(serializers.Serializer[object]):
        program_id = serializers.UUIDField()
        device_ids = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=50)
        terms_version = serializers.IntegerField(min_value=1, help_text="The version of the terms that was read.")

    @property
    def required_scopes(self) -> list[str]:
        return ["programs:write" if self.request.method == "POST" else "programs:read"]

    @schema.extend_schema(
        operation_id="enrollments_list", summary="List your enrollments", tags=TAGS, examples=[ENROLLMENT_EXAMPLE]
    )
    def get(self, request: drf_request.Request) -> response.Response:
        page: Any = self.paginate_queryset(queries.get_enrollments(user=scopes.get_person(request)))
        return self.get_paginated_response(Enrollment(page, many=True).data)

    @schema.extend_schema(
        operation_id="enrollments_apply",
        summary="Apply to a program",
        tags=TAGS,
        request=Input,
        responses={201: Enrollment},
        examples=[ENROLLMENT_EXAMPLE, APPLY_EXAMPLE],
    )
    def post(self, request: drf_request.Request) -> response.Response:
        asked = self.Input(data=request.data)
        asked.is_valid(raise_exception=True)
        enrollment = enroll.apply(
            user=scopes.get_person(request),
            program_id=asked.validated_data["program_id"],
            device_ids=asked.validated_data["device_ids"],
            terms_version=asked.validated_data["terms_version"],
            now=clock.get_now(),
        )
        return response.Response(Enrollment(enrollment).data, status=201)


class OneEnrollment(views.APIView):
    """One of a person's enrollments."""

    @property
    def required_scopes(self) -> list[str]:
        return ["programs:write" if self.request.method == "DELETE" else "programs:read"]

    @schema.extend_schema(
        operation_id="enrollments_get",
        summary="Read an enrollment",
        tags=TAGS,
        responses=Enrollment,
        examples=[ENROLLMENT_EXAMPLE],
    )
    def get(self, request: drf_request.Request, enrollment_id: uuid.UUID) -> response.Response:
        rows = queries.get_enrollments(user=scopes.get_person(request))
        return response.Response(Enrollment(queries.get_one(rows=rows, row_id=enrollment_id)).data)

    @schema.extend_schema(
        operation_id="enrollments_leave", summary="Leave a program", tags=TAGS, request=None, responses={204: None}
    )
    def delete(self, request: drf_request.Request, enrollment_id: uuid.UUID) -> response.Response:
        enroll.leave(user=scopes.get_person(request), enrollment_id=enrollment_id, now=clock.get_now())
        return response.Response(status=204)


class Events(generics.GenericAPIView[models.EventDevice]):
    """The events that a person's devices were asked to."""

    required_scopes = ["programs:read"]
    pagination_class = ByWindow
    serializer_class = Event

    @schema.extend_schema(
        operation_id="events_list", summary="List your devices' events", tags=TAGS, examples=[EVENT_EXAMPLE]
    )
    def get(self, request: drf_request.Request) -> response.Response:
        page: Any = self.paginate_queryset(queries.get_event_devices(user=scopes.get_person(request)))
        return self.get_paginated_response(Event(page, many=True).data)


class Payouts(generics.GenericAPIView[models.Payout]):
    """What a person's devices earned."""

    required_scopes = ["programs:read"]
    pagination_class = BySettlement
    serializer_class = Payout

    @schema.extend_schema(
        operation_id="payouts_list", summary="List your payouts", tags=TAGS, examples=[PAYOUT_EXAMPLE]
    )
    def get(self, request: drf_request.Request) -> response.Response:
        page: Any = self.paginate_queryset(queries.get_payouts(user=scopes.get_person(request)))
        return self.get_paginated_response(Payout(page, many=True).data)
