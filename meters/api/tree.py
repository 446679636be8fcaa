"""Which meters stand behind a service point's."""

import zoneinfo
from typing import Any

from drf_spectacular import utils as schema
from rest_framework import request as drf_request
from rest_framework import response, serializers, views

from customers import models as customers_models
from meters import queries
from meters.api import spans
from openvpp.core import clock, scopes

EXAMPLE = {
    "service_point": 5,
    "number": "HLP-1001",
    "kind": "",
    "starts_on": None,
    "ends_on": None,
    "is_visible": True,
    "children": [
        {
            "service_point": 6,
            "number": "HLP-1001-EV",
            "kind": "charger",
            "starts_on": "2026-05-01",
            "ends_on": None,
            "is_visible": False,
            "children": [],
        }
    ],
}


class Tree(views.APIView):
    """A service point and what stands behind it."""

    required_scopes = ["usage:read"]

    class Input(spans.Point):
        on = serializers.DateField(required=False)

    class Output(serializers.Serializer[queries.Node]):
        service_point = serializers.IntegerField(source="point.pk")
        number = serializers.CharField(source="point.number")
        kind = serializers.CharField(help_text="charger, generation, battery, tenant or other; empty for the first.")
        starts_on = serializers.DateField(allow_null=True, help_text="First local day behind its parent.")
        ends_on = serializers.DateField(allow_null=True, help_text="First local day no longer behind it.")
        is_visible = serializers.BooleanField(help_text="Whether you may see its usage.")
        children = serializers.SerializerMethodField()

        @schema.extend_schema_field({"type": "array", "items": {"type": "object", "additionalProperties": True}})
        def get_children(self, node: queries.Node) -> list[Any]:
            return [type(self)(child).data for child in node.children]

    @schema.extend_schema(
        operation_id="usage_tree_retrieve",
        tags=["Usage"],
        summary="Show which meters stand behind a service point",
        description=(
            "Each is billed to its own account, and what it uses or gives is taken off its parent's usage everywhere: "
            "intervals in which one of them was not read are gaps of the parent. `on` is a local day, else today."
        ),
        parameters=[
            schema.OpenApiParameter("service_point", int, required=True),
            schema.OpenApiParameter("on", str, description="YYYY-MM-DD."),
        ],
        responses={200: Output},
        examples=[schema.OpenApiExample("A house with a charger", response_only=True, value=EXAMPLE)],
    )
    def get(self, request: drf_request.Request) -> response.Response:
        person: customers_models.User = scopes.get_person(request)
        asked = self.Input(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        point = queries.get_visible_service_point(user=person, service_point_id=asked.validated_data["service_point"])
        zone = zoneinfo.ZoneInfo(point.premise.utility.time_zone)
        day = asked.validated_data.get("on") or clock.get_now().astimezone(zone).date()
        tree = queries.get_submeter_tree(user=person, service_point_id=point.pk, day=day)
        return response.Response(self.Output(tree).data)
