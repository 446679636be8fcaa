"""Whom a person lets see their data, and ending that."""

import uuid
from typing import Any

from drf_spectacular import utils as schema
from rest_framework import generics, response, serializers, views
from rest_framework import request as drf_request

from openvpp.core import clock, db, errors, pages, scopes
from sharing import models, queries
from sharing.usecases import share_data

TAGS = ["Data sharing"]
EXAMPLE = schema.OpenApiExample(
    "An app that sees usage",
    value={
        "id": "0d9f6f0e-8e8b-4d3c-9d3a-4c6b3d1f1f10",
        "third_party": "Watt Advisor",
        "website": "https://watt-advisor.example",
        "utility": "Harbor Light & Power",
        "service_points": ["12 Quay Street, Harbor Bay"],
        "shown_text": "Who sees it: Watt Advisor, not your utility's own app\n…",
        "history_starts_at": "2025-10-23T15:00:00Z",
        "starts_at": "2026-11-22T15:00:00Z",
        "ends_at": "2027-11-22T15:00:00Z",
        "ended_at": None,
        "ended_by": "",
        "is_live": True,
    },
    response_only=True,
)


class Output(serializers.Serializer[models.Authorization]):
    """One third party that may see data, or could."""

    id = serializers.UUIDField()
    third_party = serializers.CharField(source="third_party.name")
    website = serializers.CharField(source="third_party.website")
    utility = serializers.CharField(source="third_party.utility.name")
    service_points = serializers.SerializerMethodField()
    shown_text = serializers.CharField(help_text="The words that you agreed to.")
    history_starts_at = serializers.DateTimeField(help_text="Nothing older is told.")
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    ended_by = serializers.CharField(help_text="customer, third_party or utility; empty while it lasts.")
    is_live = serializers.SerializerMethodField()

    def get_service_points(self, authorization: models.Authorization) -> list[str]:
        return [str(point.service_point.premise) for point in authorization.points.all()]

    def get_is_live(self, authorization: models.Authorization) -> bool:
        return authorization.is_live(now=clock.get_now())


class Pages(pages.CursorPagination):
    ordering = ("-starts_at", "-pk")


class ListAuthorizations(generics.GenericAPIView[Any]):
    """Whom a person lets see their data, ended ones too."""

    required_scopes = ["sharing:read"]
    pagination_class = Pages
    serializer_class = Output

    @schema.extend_schema(
        operation_id="data_sharing_list", tags=TAGS, summary="List whom you share data with", examples=[EXAMPLE]
    )
    def get(self, request: drf_request.Request) -> response.Response:
        rows = queries.get_authorizations_for_customer(user=scopes.get_person(request))
        page: Any = self.paginate_queryset(rows)
        return self.get_paginated_response(Output(page, many=True).data)


class Authorization(views.APIView):
    """One of them."""

    required_scopes = ["sharing:write"]

    @schema.extend_schema(
        operation_id="data_sharing_destroy",
        tags=TAGS,
        summary="Stop sharing",
        description="At once: the third party's tokens end, and every address of the data is gone for it.",
        responses={204: None},
    )
    def delete(self, request: drf_request.Request, authorization_id: uuid.UUID) -> response.Response:
        end_own(user=scopes.get_person(request), authorization_id=authorization_id)
        return response.Response(status=204)


def end_own(*, user: Any, authorization_id: uuid.UUID) -> None:
    """End one of a person's own authorizations.

    :raises errors.NotFound: there is none, or it is not theirs.
    """
    if not queries.get_authorizations_for_customer(user=user).filter(pk=authorization_id).exists():
        raise errors.NotFound("There is no such authorization.", code="not_found")
    with db.transaction():
        share_data.end(
            authorization_id=authorization_id,
            ended_by=models.Authorization.EndedBy.CUSTOMER,
            now=clock.get_now(),
        )
