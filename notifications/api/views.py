"""What a person was told, as a list, and that they read it."""

from typing import Any

from drf_spectacular import utils as schema
from rest_framework import generics, response, serializers, views
from rest_framework import request as drf_request

from notifications import models, operations, queries
from openvpp.core import clock, pages, scopes

TAGS = ["Notices"]
EXAMPLE = schema.OpenApiExample(
    "A bill was issued",
    value={
        "sequence": 7,
        "kind": "bill.issued",
        "title": "Your bill for 1 to 31 October is here",
        "body": "$84.12 is due on 21 November.",
        "data": {"bill_id": 12},
        "created_at": "2026-11-01T05:00:02Z",
        "read_at": None,
    },
    response_only=True,
)


class Output(serializers.Serializer[models.Notice]):
    """One notice."""

    sequence = serializers.IntegerField(
        help_text="Counts from 1 without gaps; the last one seen is what to resume after."
    )
    kind = serializers.ChoiceField(choices=models.Notice.Kind.choices)
    title = serializers.CharField()
    body = serializers.CharField()
    data = serializers.JSONField(  # type: ignore[assignment] # a declared field is not an attribute
        help_text="Identifiers to follow, such as bill_id or operation_id."
    )
    created_at = serializers.DateTimeField()
    read_at = serializers.DateTimeField(allow_null=True)


class Pages(pages.CursorPagination):
    """Oldest first, so that the last one of a page is where the next begins."""

    ordering = "sequence"


class ListNotices(generics.GenericAPIView[models.Notice]):
    """The same notices as on the socket, for a phone that was away."""

    required_scopes = ["notices:read"]
    pagination_class = Pages
    serializer_class = Output

    class Input(serializers.Serializer[object]):
        after = serializers.IntegerField(min_value=0, max_value=2**63 - 1, default=0)

    @schema.extend_schema(
        operation_id="notices_list",
        summary="List notices",
        tags=TAGS,
        parameters=[
            schema.OpenApiParameter("after", int, description="Only notices with a higher sequence.", default=0)
        ],
        examples=[EXAMPLE],
    )
    def get(self, request: drf_request.Request) -> response.Response:
        asked = self.Input(data={"after": request.query_params.get("after", 0)})
        asked.is_valid(raise_exception=True)
        notices = queries.get_notices_after(user=scopes.get_person(request), after=asked.validated_data["after"])
        page: Any = self.paginate_queryset(notices)
        return self.get_paginated_response(Output(page, many=True).data)


class ReadNotice(views.APIView):
    """A person read a notice."""

    required_scopes = ["notices:read"]

    @schema.extend_schema(
        operation_id="notices_read",
        summary="Mark a notice read",
        tags=TAGS,
        request=None,
        responses=Output,
        examples=[EXAMPLE],
    )
    def post(self, request: drf_request.Request, sequence: int) -> response.Response:
        notice = operations.mark_read(user=scopes.get_person(request), sequence=sequence, now=clock.get_now())
        return response.Response(Output(notice).data)
