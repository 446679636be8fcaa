"""A person's devices, and what providers tell us."""

import decimal
import uuid
from typing import Any

from drf_spectacular import utils as schema
from rest_framework import exceptions, generics, permissions, response, serializers, views
from rest_framework import request as drf_request

from ders import models, queries
from ders.domain import signature
from ders.usecases import add_device, receive_webhook
from openvpp.core import clock, pages, scopes

TAGS = ["Devices"]
EXAMPLE = schema.OpenApiExample(
    "A battery",
    value={
        "id": "0d0c9b56-8a3e-4cf3-bb4a-f70c4ff7ae29",
        "provider": "harbor-devices",
        "provider_device_id": "PW-20417",
        "name": "Garage battery",
        "kind": "battery",
        "power_kw": "5.000",
        "energy_kwh": "13.500",
        "service_point_id": 12,
        "state": "connected",
        "detail": "",
        "created_at": "2026-07-01T16:20:00Z",
    },
    response_only=True,
)
INPUT_EXAMPLE = schema.OpenApiExample(
    "Add a battery",
    value={
        "provider": "harbor-devices",
        "provider_device_id": "PW-20417",
        "name": "Garage battery",
        "kind": "battery",
        "power_kw": "5",
        "energy_kwh": "13.5",
        "service_point_id": 12,
    },
    request_only=True,
)


@schema.extend_schema_serializer(component_name="Device")
class Output(serializers.Serializer[models.Device]):
    """One device."""

    id = serializers.UUIDField()
    provider = serializers.CharField(source="provider.slug")
    provider_device_id = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=models.Device.Kind.choices)
    power_kw = serializers.DecimalField(max_digits=9, decimal_places=3, help_text="Most it can reduce or discharge.")
    energy_kwh = serializers.DecimalField(
        max_digits=9, decimal_places=3, allow_null=True, help_text="Usable energy of a battery."
    )
    service_point_id = serializers.IntegerField(allow_null=True)
    state = serializers.ChoiceField(
        choices=models.Device.State.choices, help_text="connecting until the provider confirms it."
    )
    detail = serializers.CharField(help_text="Why the provider refused it.")
    created_at = serializers.DateTimeField()


class Pages(pages.CursorPagination):
    ordering = "-created_at"


class Devices(generics.GenericAPIView[models.Device]):
    """A person's own devices."""

    pagination_class = Pages
    serializer_class = Output

    @schema.extend_schema_serializer(component_name="DeviceWish")
    class Input(serializers.Serializer[object]):
        """What the customer says of the device; the provider's word on its capability holds afterwards."""

        provider = serializers.CharField(max_length=63, help_text="Slug of a provider of your utility.")
        provider_device_id = serializers.CharField(max_length=100)
        name = serializers.CharField(max_length=100)
        kind = serializers.ChoiceField(choices=models.Device.Kind.choices)
        power_kw = serializers.DecimalField(max_digits=9, decimal_places=3, min_value=decimal.Decimal("0.001"))
        energy_kwh = serializers.DecimalField(
            max_digits=9, decimal_places=3, min_value=decimal.Decimal("0.001"), allow_null=True, default=None
        )
        service_point_id = serializers.IntegerField(allow_null=True, default=None, min_value=1, max_value=2**63 - 1)

    @property
    def required_scopes(self) -> list[str]:
        return ["devices:write" if self.request.method == "POST" else "devices:read"]

    @schema.extend_schema(
        operation_id="devices_list", summary="List your devices", tags=TAGS, responses=Output, examples=[EXAMPLE]
    )
    def get(self, request: drf_request.Request) -> response.Response:
        page: Any = self.paginate_queryset(queries.get_devices(user=scopes.get_person(request)))
        return self.get_paginated_response(Output(page, many=True).data)

    @schema.extend_schema(
        operation_id="devices_add",
        summary="Add a device",
        tags=TAGS,
        request=Input,
        responses={201: Output},
        examples=[EXAMPLE, INPUT_EXAMPLE],
    )
    def post(self, request: drf_request.Request) -> response.Response:
        asked = self.Input(data=request.data)
        asked.is_valid(raise_exception=True)
        wish = asked.validated_data
        device = add_device.add(
            user=scopes.get_person(request),
            provider_slug=wish["provider"],
            provider_device_id=wish["provider_device_id"],
            name=wish["name"],
            kind=models.Device.Kind(wish["kind"]),
            power_kw=wish["power_kw"],
            energy_kwh=wish["energy_kwh"],
            service_point_id=wish["service_point_id"],
            now=clock.get_now(),
        )
        return response.Response(Output(device).data, status=201)


class Device(views.APIView):
    """One of a person's own devices."""

    @property
    def required_scopes(self) -> list[str]:
        return ["devices:write" if self.request.method == "DELETE" else "devices:read"]

    @schema.extend_schema(
        operation_id="devices_get", summary="Read a device", tags=TAGS, responses=Output, examples=[EXAMPLE]
    )
    def get(self, request: drf_request.Request, device_id: uuid.UUID) -> response.Response:
        device = queries.get_device(user=scopes.get_person(request), device_id=device_id)
        return response.Response(Output(device).data)

    @schema.extend_schema(
        operation_id="devices_remove", summary="Remove a device", tags=TAGS, request=None, responses={204: None}
    )
    def delete(self, request: drf_request.Request, device_id: uuid.UUID) -> response.Response:
        add_device.remove(user=scopes.get_person(request), device_id=device_id, now=clock.get_now())
        return response.Response(status=204)


class Webhook(views.APIView):
    """What a provider tells us, signed with the shared secret; no OAuth."""

    authentication_classes = ()
    permission_classes = (permissions.AllowAny,)

    @schema.extend_schema_serializer(component_name="WebhookAnswer")
    class Output(serializers.Serializer[object]):
        status = serializers.ChoiceField(choices=[("accepted", "accepted"), ("duplicate", "duplicate")])

    @schema.extend_schema(
        operation_id="provider_webhooks_receive",
        summary="Receive a provider's message",
        description=(
            "`command.acknowledged`, `command.refused` or `telemetry`. The header is "
            "`t=<seconds since 1970>,v1=<HMAC-SHA256 over t.body>`; a message older than five minutes is refused, an "
            "`event_id` is acted on once."
        ),
        tags=["Providers"],
        parameters=[schema.OpenApiParameter(signature.HEADER, str, schema.OpenApiParameter.HEADER, required=True)],
        request=schema.OpenApiRequest(
            request={"type": "object"},
            examples=[
                schema.OpenApiExample(
                    "Telemetry",
                    value={
                        "event_id": "tm-88213",
                        "kind": "telemetry",
                        "device_id": "PW-20417",
                        "intervals": [
                            {
                                "starts_at": "2026-07-16T21:00:00+00:00",
                                "seconds": 900,
                                "delivered_wh": 0,
                                "received_wh": 640,
                            }
                        ],
                    },
                )
            ],
        ),
        responses=Output,
        auth=[],
    )
    def post(self, request: drf_request.Request, slug: str) -> response.Response:
        if request.content_type.partition(";")[0].strip() != "application/json":
            raise exceptions.UnsupportedMediaType(request.content_type)
        fresh = receive_webhook.receive(
            slug=slug,
            header=request.headers.get(signature.HEADER, ""),
            body=request._request.body,  # noqa: SLF001 - what was signed is the body as it came
            now=clock.get_now(),
        )
        return response.Response({"status": "accepted" if fresh else "duplicate"})
