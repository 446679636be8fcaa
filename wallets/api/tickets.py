"""Tickets for websockets: a browser cannot send a header with one, and a token has no place in an address."""

from typing import Any

from drf_spectacular import utils as schema
from rest_framework import request as drf_request
from rest_framework import response, serializers, views

from openvpp.core import clock, scopes
from wallets.usecases import open_socket


class MakeTicket(views.APIView):
    """POST makes a ticket that opens one websocket, once, within thirty seconds."""

    required_scopes = ["notices:read"]

    class Output(serializers.Serializer[Any]):
        ticket = serializers.CharField(help_text="Send it as `ticket` in the address of the websocket.")
        expires_in = serializers.IntegerField(help_text="Seconds.")

    @schema.extend_schema(
        tags=["Notices"],
        summary="A ticket for the websocket",
        description=(
            "Open `/ws/v1/notifications/?ticket=...&after=...` with it. The socket stays open as long as the access "
            "token that the ticket was made with is good."
        ),
        request=None,
        responses={201: Output},
        examples=[
            schema.OpenApiExample(
                "A ticket", value={"ticket": "kQ3v0m0s9eJx2h6n1b7c5d8f4g", "expires_in": 30}, response_only=True
            )
        ],
    )
    def post(self, request: drf_request.Request) -> response.Response:
        scopes.get_person(request)
        token: Any = request.auth
        ticket = open_socket.make_ticket(token=token, now=clock.get_now())
        told = {"ticket": ticket, "expires_in": int(open_socket.LIFETIME.total_seconds())}
        return response.Response(told, status=201, headers={"Cache-Control": "no-store"})
