"""A person's wallet, what it holds and what it did."""

import datetime
from typing import Any

from drf_spectacular import utils as schema
from rest_framework import generics, response, serializers, views
from rest_framework import request as drf_request

from openvpp.core import money, pages, scopes
from wallets import models, queries
from wallets.api import operations as operation_views

TAGS = ["Wallet"]
WALLET_EXAMPLE = {
    "id": "7f1c0c5e-3c1b-4a53-9a8c-1f0e5a1f7c11",
    "address": "0x5FbDB2315678afecb367f032d93F642f64180aa3",
    "chain_id": 31337,
    "utility": "harbor",
    "is_deployed": False,
    "custody": "custodial",
    "exit_ready_at": None,
    "created_at": "2026-11-01T15:04:05Z",
}
BALANCES_EXAMPLE = {
    "address": "0x5FbDB2315678afecb367f032d93F642f64180aa3",
    "native_wei": "0",
    "tokens": [
        {
            "token": "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512",
            "symbol": "USDX",
            "decimals": 6,
            "amount_units": "250000000",
            "amount": "250.000000",
            "pays_bills": True,
            "pays_fees": True,
        }
    ],
}


class ShowWallet(views.APIView):
    """The wallet behind the sign-in."""

    required_scopes = ["wallet:read"]

    class Output(serializers.Serializer[models.Wallet]):
        id = serializers.UUIDField()
        address = serializers.CharField(help_text="Known at once; deployed with the first operation.")
        chain_id = serializers.IntegerField()
        utility = serializers.CharField(source="utility.slug")
        is_deployed = serializers.SerializerMethodField()
        custody = serializers.SerializerMethodField(
            help_text="`custodial`, `leaving` while an exit is announced, or `self` once you own it yourself."
        )
        exit_ready_at = serializers.SerializerMethodField(help_text="When an announced exit may be carried out.")
        created_at = serializers.DateTimeField()

        def get_is_deployed(self, wallet: models.Wallet) -> bool:
            return wallet.deployed_at is not None

        def get_custody(self, wallet: models.Wallet) -> str:
            if wallet.left_custody_at is not None:
                return "self"
            return "custodial" if queries.get_open_exit(wallet=wallet) is None else "leaving"

        def get_exit_ready_at(self, wallet: models.Wallet) -> datetime.datetime | None:
            leaving = queries.get_open_exit(wallet=wallet)
            return leaving.ready_at if leaving is not None else None

    @schema.extend_schema(
        operation_id="wallet_show",
        summary="My wallet",
        tags=TAGS,
        responses=Output,
        examples=[schema.OpenApiExample("A new wallet", response_only=True, value=WALLET_EXAMPLE)],
    )
    def get(self, request: drf_request.Request) -> response.Response:
        return response.Response(self.Output(queries.get_wallet(user=scopes.get_person(request))).data)


class ShowBalances(views.APIView):
    """What the chain says the wallet holds now."""

    required_scopes = ["wallet:read"]

    class Output(serializers.Serializer[Any]):
        class TokenOutput(serializers.Serializer[Any]):
            token = serializers.CharField(help_text="Address.")
            symbol = serializers.CharField()
            decimals = serializers.IntegerField()
            amount_units = serializers.CharField(help_text="Base units.")
            amount = serializers.CharField(help_text="Whole tokens.")
            pays_bills = serializers.BooleanField()
            pays_fees = serializers.BooleanField()

        address = serializers.CharField()
        native_wei = serializers.CharField(help_text="The chain's own coin, which you never need.")
        tokens = TokenOutput(many=True)

    @schema.extend_schema(
        operation_id="wallet_balances",
        summary="My balances",
        tags=TAGS,
        responses=Output,
        examples=[schema.OpenApiExample("Some stablecoin", response_only=True, value=BALANCES_EXAMPLE)],
    )
    def get(self, request: drf_request.Request) -> response.Response:
        wallet = queries.get_wallet(user=scopes.get_person(request))
        balances = queries.get_balances(wallet=wallet)
        return response.Response(
            {
                "address": wallet.address,
                "native_wei": str(balances.native_wei),
                "tokens": [_to_token(balance) for balance in balances.tokens],
            }
        )


def _to_token(balance: queries.Balance) -> dict[str, Any]:
    amount = money.from_units(units=balance.units, decimals=balance.token.decimals)
    return {
        "token": balance.token.address,
        "symbol": balance.token.symbol,
        "decimals": balance.token.decimals,
        "amount_units": str(balance.units),
        "amount": f"{amount:f}",
        "pays_bills": balance.token.pays_bills,
        "pays_fees": balance.token.pays_fees,
    }


class Pages(pages.CursorPagination):
    """Newest first."""

    ordering = ("-created_at", "-id")


class ListActivity(generics.GenericAPIView[models.Operation]):
    """What the wallet did and is doing."""

    required_scopes = ["wallet:read"]
    pagination_class = Pages
    serializer_class = operation_views.Output
    queryset = models.Operation.objects.none()

    @schema.extend_schema(
        operation_id="wallet_activity",
        summary="My wallet's activity",
        tags=TAGS,
        responses={200: operation_views.Output(many=True)},
        examples=[schema.OpenApiExample("A payment", response_only=True, value=operation_views.EXAMPLE)],
    )
    def get(self, request: drf_request.Request) -> response.Response:
        page: Any = self.paginate_queryset(queries.get_activity(user=scopes.get_person(request)))
        return self.get_paginated_response(operation_views.Output(page, many=True).data)
