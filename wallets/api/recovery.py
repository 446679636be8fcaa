"""Getting a wallet back whose key was lost: to ask for it, to prove the new key, to see it, to call it off."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from drf_spectacular import utils as schema
from rest_framework import request as drf_request
from rest_framework import response, serializers, views

from openvpp.core import clock, errors, scopes
from wallets import models, queries
from wallets.api import leaving, step_up
from wallets.domain import assertions
from wallets.usecases import recover_wallet

TAGS = ["Wallet"]
SIGNATURE = r"^0x([0-9a-fA-F]{130}|[0-9a-fA-F]{256})$"
BASE64URL = r"^[A-Za-z0-9_-]+={0,2}$"
SIGNATURE_HELP = "Hexadecimal: r, s, v of an address (65 bytes) or x, y, r, s of a P-256 key (128), with the lower s."
_MESSAGE = (
    "I hold the key 0x8ba1f109551bD432803012645Ac136ddd64DBA72 and want it to own the wallet "
    "0x5FbDB2315678afecb367f032d93F642f64180aa3 on chain 31337. Recovery 2f0c8a34-5b52-4f2e-8d7a-0c5a9b1e7f10. "
    "This pays nothing."
)
EXAMPLE = schema.OpenApiExample(
    "Announced",
    value={
        "id": "2f0c8a34-5b52-4f2e-8d7a-0c5a9b1e7f10",
        "wallet": "0x5FbDB2315678afecb367f032d93F642f64180aa3",
        "new_owner": "0x8ba1f109551bD432803012645Ac136ddd64DBA72",
        "passkey": None,
        "message": _MESSAGE,
        "digest": "0x" + "5c" * 32,
        "state": "announced",
        "ready_at": "2026-11-03T15:04:12Z",
        "failure": "",
        "created_at": "2026-11-01T15:04:05Z",
        "ended_at": None,
    },
    response_only=True,
)


class Output(serializers.Serializer[models.WalletRecovery]):
    """One recovery."""

    id = serializers.UUIDField()
    wallet = serializers.CharField(source="wallet.address")
    new_owner = serializers.CharField(help_text="Owner afterwards: an address, or the name of a P-256 key.")
    passkey = serializers.JSONField(allow_null=True)
    message = serializers.SerializerMethodField(help_text="What the new key signs (ERC-191) to prove that you hold it.")
    digest = serializers.SerializerMethodField(
        help_text="The message's 32 bytes: what a P-256 key signs as they are, and a passkey as its challenge."
    )
    state = serializers.ChoiceField(choices=models.WalletRecovery.State.choices)
    ready_at = serializers.DateTimeField(allow_null=True, help_text="From here on the new key owns the wallet.")
    failure = serializers.CharField()
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)

    def get_message(self, row: models.WalletRecovery) -> str:
        return recover_wallet.get_message(row)

    def get_digest(self, row: models.WalletRecovery) -> str:
        return "0x" + recover_wallet.get_digest(row).hex()


class AssertionInput(serializers.Serializer[Any]):
    """A passkey's assertion, each part in base64url as `PublicKeyCredential.toJSON()` writes it."""

    authenticator_data = serializers.RegexField(BASE64URL, max_length=2_000)
    client_data_json = serializers.RegexField(BASE64URL, max_length=3_000, help_text="As it was signed.")
    signature = serializers.RegexField(BASE64URL, max_length=200, help_text="DER, as authenticators give it.")


class Recovery(views.APIView):
    """The recovery of the person's wallet, the latest one."""

    @property
    def required_scopes(self) -> list[str]:
        """Return what a token needs."""
        return ["wallet:read"] if self.request.method == "GET" else ["account:write"]

    class Input(serializers.Serializer[Any]):
        new_owner = serializers.CharField(
            max_length=42, required=False, help_text="Address of a key that you hold, with its checksum (EIP-55)."
        )
        passkey = leaving.PasskeyInput(required=False, help_text="A P-256 key that you hold, instead.")

    @schema.extend_schema(
        operation_id="wallet_recovery_show",
        summary="Where my recovery stands",
        tags=TAGS,
        responses=Output,
        examples=[EXAMPLE],
    )
    def get(self, request: drf_request.Request) -> response.Response:
        return response.Response(Output(recover_wallet.get_latest(user=scopes.get_person(request))).data)

    @schema.extend_schema(
        operation_id="wallet_recovery_ask",
        summary="Recover my wallet",
        description=(
            "For a wallet that you own yourself and whose guardian your utility stayed. Name a key that you hold, and "
            "have it sign `message`. Then two people at your utility decide, and 48 hours after that the key owns the "
            "wallet. Who holds the lost key can say no until then. Send the session of a sign-in that was confirmed a "
            "moment ago (`X-Session-Token`, or the cookie). Asking again begins anew until it is decided."
        ),
        tags=TAGS,
        request=Input,
        parameters=[schema.OpenApiParameter(step_up.HEADER, str, schema.OpenApiParameter.HEADER)],
        responses={201: Output},
        examples=[EXAMPLE],
    )
    def post(self, request: drf_request.Request) -> response.Response:
        given = self.Input(data=request.data)
        given.is_valid(raise_exception=True)
        person, now = scopes.get_person(request), clock.get_now()
        wallet, owner = queries.get_wallet(user=person), leaving.read_owner(given.validated_data)
        step_up.require_fresh(request=request, user=person, now=now)
        row = recover_wallet.ask(wallet=wallet, owner=owner, user=person, now=now)
        return response.Response(Output(row).data, status=201)


class Prove(views.APIView):
    """Proof that the person holds the new key."""

    required_scopes = ["account:write"]

    class Input(serializers.Serializer[Any]):
        signature = serializers.RegexField(SIGNATURE, required=False, help_text=SIGNATURE_HELP)
        assertion = AssertionInput(required=False, help_text="Of a passkey, instead; its challenge is `digest`.")

    @schema.extend_schema(
        operation_id="wallet_recovery_prove",
        summary="Prove that I hold the new key",
        description="By its signature of `message`, or a passkey's assertion. A second time changes nothing.",
        tags=TAGS,
        request=Input,
        responses=Output,
        examples=[EXAMPLE],
    )
    def post(self, request: drf_request.Request) -> response.Response:
        given = self.Input(data=request.data)
        given.is_valid(raise_exception=True)
        wallet = queries.get_wallet(user=scopes.get_person(request))
        proof = _read_proof(given.validated_data)
        if proof is None:
            raise errors.Invalid("Send either signature or assertion.", code="one_proof_wanted")
        row = recover_wallet.prove(wallet=wallet, proof=proof, now=clock.get_now())
        return response.Response(Output(row).data)


class Cancel(views.APIView):
    """Calling a recovery off."""

    @property
    def required_scopes(self) -> list[str]:
        """Return what a token needs."""
        return ["wallet:read"] if self.request.method == "GET" else ["account:write"]

    class Input(serializers.Serializer[Any]):
        signature = serializers.RegexField(
            SIGNATURE,
            required=False,
            help_text=f"Of your enrolled key over `digest`, once it is announced. {SIGNATURE_HELP}",
        )
        assertion = AssertionInput(required=False, help_text="Of your enrolled passkey instead, by the same challenge.")

    class DigestOutput(serializers.Serializer[Any]):
        digest = serializers.CharField(help_text="32 bytes, to be signed as they are.")

    @schema.extend_schema(
        operation_id="wallet_recovery_cancel_show",
        summary="What my key signs to call the recovery off",
        description="For one that stands announced on the chain. Good until the key signs something else.",
        tags=TAGS,
        responses=DigestOutput,
        examples=[schema.OpenApiExample("A digest", response_only=True, value={"digest": "0x" + "5c" * 32})],
    )
    def get(self, request: drf_request.Request) -> response.Response:
        row = recover_wallet.get_latest(user=scopes.get_person(request))
        return response.Response({"digest": "0x" + recover_wallet.get_cancel_digest(row=row).hex()})

    @schema.extend_schema(
        operation_id="wallet_recovery_cancel",
        summary="Call the recovery off",
        description=(
            "With the signature of your own key once it is announced; we bring it to the chain and pay for that. "
            "Before, nothing is to be signed. Doing it again changes nothing."
        ),
        tags=TAGS,
        request=Input,
        responses={202: Output},
        examples=[EXAMPLE],
    )
    def post(self, request: drf_request.Request) -> response.Response:
        given = self.Input(data=request.data)
        given.is_valid(raise_exception=True)
        wallet = queries.get_wallet(user=scopes.get_person(request))
        proof = _read_proof(given.validated_data)
        row = recover_wallet.cancel(wallet=wallet, proof=proof or b"", now=clock.get_now())
        return response.Response(Output(row).data, status=202)


def _read_proof(given: Mapping[str, Any]) -> assertions.Proof | None:
    """Return the signature or the assertion that was sent, or None without.

    :raises errors.Invalid: both were sent, or what is no base64url.
    """
    if "signature" in given and "assertion" in given:
        raise errors.Invalid("Send either signature or assertion.", code="one_proof_wanted")
    if "signature" in given:
        return bytes.fromhex(given["signature"][2:])
    if "assertion" not in given:
        return None
    try:
        parts = {
            name: base64.urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))
            for name, text in given["assertion"].items()
        }
    except binascii.Error:
        raise errors.Invalid("That is no base64url.", code="malformed") from None
    return assertions.Assertion(**parts)
