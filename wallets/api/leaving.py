"""Leaving custody: to ask for it, to see where it stands, to call it off."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular import utils as schema
from rest_framework import request as drf_request
from rest_framework import response, serializers, views

from openvpp.core import api, clock, errors, scopes
from wallets import models, queries
from wallets.api import step_up
from wallets.domain import new_owners
from wallets.usecases import leave_custody

TAGS = ["Wallet"]
EXAMPLE = schema.OpenApiExample(
    "Announced",
    value={
        "id": "2f0c8a34-5b52-4f2e-8d7a-0c5a9b1e7f10",
        "wallet": "0x5FbDB2315678afecb367f032d93F642f64180aa3",
        "new_owner": "0x8ba1f109551bD432803012645Ac136ddd64DBA72",
        "passkey": None,
        "keeps_guardian": False,
        "state": "announced",
        "ready_at": "2026-11-03T15:04:12Z",
        "failure": "",
        "created_at": "2026-11-01T15:04:05Z",
        "ended_at": None,
    },
    response_only=True,
)


class Output(serializers.Serializer[models.CustodyExit]):
    """One exit."""

    id = serializers.UUIDField()
    wallet = serializers.CharField(source="wallet.address")
    new_owner = serializers.CharField(help_text="Owner afterwards: an address, or the name of a passkey.")
    passkey = serializers.JSONField(allow_null=True)
    keeps_guardian = serializers.BooleanField(help_text="Whether the utility stays the account's guardian.")
    state = serializers.ChoiceField(choices=models.CustodyExit.State.choices)
    ready_at = serializers.DateTimeField(allow_null=True, help_text="From here on anybody may carry it out.")
    failure = serializers.CharField()
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class PasskeyInput(serializers.Serializer[Any]):
    """A P-256 key by its coordinates."""

    x = serializers.RegexField(r"^0x[0-9a-fA-F]{64}$")
    y = serializers.RegexField(r"^0x[0-9a-fA-F]{64}$")


class Exit(views.APIView):
    """The exit of the person's wallet from custody, the latest one."""

    @property
    def required_scopes(self) -> list[str]:
        """Return what a token needs: to change something, the leave to spend."""
        return ["wallet:read"] if self.request.method == "GET" else ["payments:write"]

    class Input(serializers.Serializer[Any]):
        new_owner = serializers.CharField(
            max_length=42, required=False, help_text="Address of a key that you hold, with its checksum (EIP-55)."
        )
        passkey = PasskeyInput(required=False, help_text="A P-256 key that you hold, by its coordinates, instead.")
        keeps_guardian = serializers.BooleanField(
            default=False,
            help_text=(
                "Your utility stays guardian: should you lose your key, it can propose another one, and you have 48 "
                "hours to say no. It can stop and end apps that pay. It can never move your money. Takes two days more."
            ),
        )

    @schema.extend_schema(
        operation_id="wallet_exit_show",
        summary="Where my exit stands",
        tags=TAGS,
        responses=Output,
        examples=[EXAMPLE],
    )
    def get(self, request: drf_request.Request) -> response.Response:
        return response.Response(Output(queries.get_exit(user=scopes.get_person(request))).data)

    @schema.extend_schema(
        operation_id="wallet_exit_ask",
        summary="Leave custody",
        description=(
            "Announces on the chain that the account goes to a key that you hold. 48 hours later it does, unless you "
            "call it off: our key to it, every app that pays from it and every session on it end in one step. Nobody "
            "can undo that, and nobody can recover your key unless your utility stays guardian, which by default it "
            "does not. Send the session of a sign-in that was confirmed a moment "
            "ago (`X-Session-Token`, or the cookie)."
        ),
        tags=TAGS,
        request=Input,
        parameters=[
            schema.OpenApiParameter("Idempotency-Key", str, schema.OpenApiParameter.HEADER, required=True),
            schema.OpenApiParameter(step_up.HEADER, str, schema.OpenApiParameter.HEADER),
        ],
        responses={202: Output},
        examples=[EXAMPLE],
    )
    def post(self, request: drf_request.Request) -> response.Response:
        given = self.Input(data=request.data)
        given.is_valid(raise_exception=True)
        person, now = scopes.get_person(request), clock.get_now()
        wallet = queries.get_wallet(user=person)
        owner, kept = read_owner(given.validated_data), bool(given.validated_data["keeps_guardian"])
        step_up.require_fresh(request=request, user=person, now=now)

        def act() -> tuple[int, Any]:
            row = leave_custody.ask(wallet=wallet, owner=owner, user=person, keeps_guardian=kept, now=now)
            return 202, _tell(row)

        def resume() -> tuple[int, Any] | None:
            row = models.CustodyExit.objects.filter(
                wallet=wallet, new_owner=owner.address, state__in=models.CustodyExit.OPEN_STATES
            ).first()
            return None if row is None else (202, _tell(row))

        return api.act_once(request, act, resume)

    @schema.extend_schema(
        operation_id="wallet_exit_cancel",
        summary="Call my exit off",
        description="Until it is carried out. Doing it again changes nothing.",
        tags=TAGS,
        responses={202: Output},
        examples=[EXAMPLE],
    )
    def delete(self, request: drf_request.Request) -> response.Response:
        wallet = queries.get_wallet(user=scopes.get_person(request))
        return response.Response(_tell(leave_custody.cancel(wallet=wallet, now=clock.get_now())), status=202)


def read_owner(given: Mapping[str, Any]) -> new_owners.NewOwner:
    """Return the key that a customer names.

    :raises errors.Invalid: `no_such_key`, or `one_key_wanted`.
    """
    try:
        if "passkey" in given and "new_owner" not in given:
            return new_owners.of_passkey(**given["passkey"])
        if "new_owner" in given and "passkey" not in given:
            return new_owners.of_address(given["new_owner"])
    except new_owners.UnableToReadNewOwner as error:
        raise errors.Invalid(str(error), code="no_such_key") from None
    raise errors.Invalid("Send either new_owner or passkey.", code="one_key_wanted")


def _tell(row: models.CustodyExit) -> Any:
    """Return the exit as JSON values, which the idempotency row keeps."""
    return {name: str(value) if name == "id" else value for name, value in Output(row).data.items()}
