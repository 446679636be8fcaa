"""A person's accounts, and claiming one."""

from typing import Any

from django.db.models import Prefetch
from drf_spectacular import utils as schema
from rest_framework import generics, response, serializers, views
from rest_framework import request as drf_request

from customers import models, queries
from customers.api import me
from customers.usecases import claim_account
from openvpp.core import clock, errors, pages, scopes

EXAMPLE = {
    "id": 31,
    "number": "HL-100001",
    "utility": {
        "slug": "harbor",
        "name": "Harbor Light & Power",
        "time_zone": "America/New_York",
        "currency": "USD",
        "brand_color": "#0b5fff",
    },
    "role": "holder",
    "opened_on": "2024-03-01",
    "closed_on": None,
    "service": [
        {
            "service_point_id": 5,
            "service_point": "SP-100001",
            "premise": {
                "street": "12 Quay Street",
                "city": "Harborview",
                "region": "ME",
                "postal_code": "04101",
                "country": "US",
            },
            "tariff_code": "RES-TOU",
            "starts_on": "2024-03-01",
            "ends_on": None,
        }
    ],
}


class AccountOutput(serializers.Serializer[Any]):
    class ServiceOutput(serializers.Serializer[Any]):
        class PremiseOutput(serializers.Serializer[Any]):
            street = serializers.CharField()
            city = serializers.CharField()
            region = serializers.CharField(allow_blank=True)
            postal_code = serializers.CharField()
            country = serializers.CharField()

        service_point_id = serializers.IntegerField()
        service_point = serializers.CharField(source="service_point.number")
        premise = PremiseOutput(source="service_point.premise")
        tariff_code = serializers.CharField()
        starts_on = serializers.DateField(help_text="First local day of service.")
        ends_on = serializers.DateField(allow_null=True, help_text="First local day no longer served.")

    id = serializers.IntegerField()
    number = serializers.CharField()
    utility = me.UtilityOutput()
    role = serializers.SerializerMethodField(help_text="What you may do with it: holder, payer or viewer.")
    opened_on = serializers.DateField()
    closed_on = serializers.DateField(allow_null=True)
    service = ServiceOutput(many=True, source="agreements")

    def get_role(self, account: models.CustomerAccount) -> str:
        """Return the role of the person in the serializer's context."""
        return str(account.own_accesses[0].role)  # type: ignore[attr-defined] # _for_output prefetched it


class Pages(pages.CursorPagination):
    ordering = "pk"


class Accounts(generics.GenericAPIView[models.CustomerAccount]):
    """The accounts that the person may open."""

    required_scopes = ["account:read"]
    pagination_class = Pages
    serializer_class = AccountOutput
    queryset = models.CustomerAccount.objects.none()

    @schema.extend_schema(
        tags=["Account"],
        summary="My accounts",
        responses={200: AccountOutput(many=True)},
        examples=[schema.OpenApiExample("One account", response_only=True, value=EXAMPLE)],
    )
    def get(self, request: drf_request.Request) -> response.Response:
        rows = _for_output(user=scopes.get_person(request))
        return self.get_paginated_response(AccountOutput(self.paginate_queryset(rows), many=True).data)


class ClaimAccount(views.APIView):
    """Link an account to the person by its number and the code that came with it."""

    required_scopes = ["account:write"]
    throttle_scope = "claim"

    class Input(serializers.Serializer[Any]):
        number = serializers.CharField(max_length=32, help_text="As printed on the bill.")
        proof = serializers.CharField(max_length=200, help_text="The claim code that the utility sent.")
        utility = serializers.SlugField(
            required=False, help_text="Needed only by an application that serves several utilities."
        )

    @schema.extend_schema(
        tags=["Account"],
        summary="Claim an account",
        description=(
            "200 when it was yours already, 201 when it is newly yours; a wallet is then made for you. A refusal "
            "does not tell which of the two was wrong. Five refusals an hour, then 429."
        ),
        request=Input,
        responses={200: AccountOutput, 201: AccountOutput},
        examples=[
            schema.OpenApiExample("Claim", request_only=True, value={"number": "HL-100001", "proof": "7K2M-QX4D"}),
            schema.OpenApiExample("Claimed", response_only=True, value=EXAMPLE),
        ],
    )
    def post(self, request: drf_request.Request) -> response.Response:
        person = scopes.get_person(request)
        data = self.Input(data=request.data)
        data.is_valid(raise_exception=True)
        claim = claim_account.claim(
            user=person,
            utility_id=_utility_id(request=request, slug=data.validated_data.get("utility")),
            number=data.validated_data["number"],
            proof=data.validated_data["proof"],
            now=clock.get_now(),
        )
        account = _for_output(user=person).get(pk=claim.account.pk)
        return response.Response(AccountOutput(account).data, status=201 if claim.is_new else 200)


def _for_output(*, user: models.User) -> Any:
    return (
        queries.get_user_accounts(user=user)
        .order_by("pk")
        .prefetch_related(
            Prefetch(
                "agreements", models.ServiceAgreement.objects.select_related("service_point__premise").order_by("pk")
            ),
            Prefetch("accesses", models.AccountAccess.objects.for_customer(user), to_attr="own_accesses"),
        )
    )


def _utility_id(*, request: drf_request.Request, slug: str | None) -> int:
    token: Any = request.auth
    own: int | None = token.application.utility_id
    if slug is None and own is None:
        raise errors.Invalid("Say at which utility.", code="utility_required")
    if slug is None:
        return int(own)  # type: ignore[arg-type] # not None, by the line above
    utility = queries.get_utility(slug=slug)
    if own is not None and utility.pk != own:
        raise errors.NotFound("There is no such utility.", code="not_found")
    return int(utility.pk)
