"""The applications that may spend from a person's wallet, and ending that."""

import uuid
from typing import Any

from drf_spectacular import utils as schema
from rest_framework import generics, response, serializers, views
from rest_framework import request as drf_request

from openvpp.core import clock, db, pages, scopes
from wallets import models, queries
from wallets.usecases import revoke_session_key

TAGS = ["Wallet"]
EXAMPLE = schema.OpenApiExample(
    "An app that pays",
    value={
        "id": "0d9f6f0e-8e8b-4d3c-9d3a-4c6b3d1f1f10",
        "application": "Harbor mobile app",
        "wallet": "0x9A3bC3F4dD0b3f2cA3f8a5B1a6f1cB0F3c9D8e77",
        "payee": "0x00000000000000000000000000000000000007A5",
        "payee_name": "Harbor Light & Power",
        "token": "0x00000000000000000000000000000000000070cE",
        "limit_per_payment_units": "500000000",
        "limit_per_period_units": "1000000000",
        "period_seconds": 2592000,
        "limit_total_units": "6000000000",
        "fee_cap_units": "1000000",
        "fee_token": None,
        "fee_token_cap_units": "0",
        "spent_in_period_units": "84120000",
        "spent_total_units": "84120000",
        "period_started_at": "2026-11-01T15:00:00Z",
        "starts_at": "2026-11-01T15:00:00Z",
        "ends_at": "2027-04-30T15:00:00Z",
        "state": "active",
        "shown_text": "Harbor mobile app may pay Harbor Light & Power ...",
        "created_at": "2026-11-01T15:00:04Z",
        "ended_at": None,
    },
    response_only=True,
)


class Output(serializers.Serializer[models.SessionKeyGrant]):
    """One grant. Units are base units of `token`; what is spent counts what is under way."""

    id = serializers.UUIDField()
    application = serializers.CharField(source="application.name")
    wallet = serializers.CharField(source="wallet.address")
    payee = serializers.CharField()
    payee_name = serializers.CharField()
    token = serializers.CharField()
    limit_per_payment_units = serializers.CharField()
    limit_per_period_units = serializers.CharField()
    period_seconds = serializers.IntegerField()
    limit_total_units = serializers.CharField()
    fee_cap_units = serializers.CharField()
    fee_token = serializers.CharField(allow_null=True)
    fee_token_cap_units = serializers.CharField()
    spent_in_period_units = serializers.CharField(source="reserved_in_period_units")
    spent_total_units = serializers.CharField(source="reserved_total_units")
    period_started_at = serializers.DateTimeField(help_text="Start of the period that was last spent in.")
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    state = serializers.ChoiceField(choices=models.SessionKeyGrant.State.choices)
    shown_text = serializers.CharField(help_text="The words that you agreed to.")
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class Pages(pages.CursorPagination):
    ordering = ("-created_at", "-pk")


class ListGrants(generics.GenericAPIView[Any]):
    """The applications that may spend, and those that could."""

    required_scopes = ["wallet:read"]
    pagination_class = Pages
    serializer_class = Output
    queryset = models.SessionKeyGrant.objects.none()

    @schema.extend_schema(
        tags=TAGS, summary="Apps that may pay", responses={200: Output(many=True)}, examples=[EXAMPLE]
    )
    def get(self, request: drf_request.Request) -> response.Response:
        rows = queries.get_grants(user=scopes.get_person(request))
        page: Any = self.paginate_queryset(rows)
        return self.get_paginated_response(Output(page, many=True).data)


class Grant(views.APIView):
    """One grant; DELETE ends it."""

    @property
    def required_scopes(self) -> list[str]:
        """Return what a token needs: to end a grant, the leave to spend."""
        return ["payments:write"] if self.request.method == "DELETE" else ["wallet:read"]

    @schema.extend_schema(tags=TAGS, summary="One app that may pay", responses={200: Output}, examples=[EXAMPLE])
    def get(self, request: drf_request.Request, grant_id: uuid.UUID) -> response.Response:
        grant = queries.get_grant(user=scopes.get_person(request), grant_id=grant_id)
        return response.Response(Output(grant).data)

    @schema.extend_schema(
        tags=TAGS,
        summary="Stop an app from paying",
        description=(
            "Its tokens and its key stop working at once; the key is taken off the chain right after, which `state` "
            "follows from `revoking` to `revoked`. Doing it again changes nothing."
        ),
        responses={200: Output},
        examples=[EXAMPLE],
    )
    def delete(self, request: drf_request.Request, grant_id: uuid.UUID) -> response.Response:
        person = scopes.get_person(request)
        with db.transaction():
            grant = queries.get_grant(user=person, grant_id=grant_id)
            revoke_session_key.revoke(grant_id=grant.pk, now=clock.get_now())
        return response.Response(Output(queries.get_grant(user=person, grant_id=grant_id)).data)
