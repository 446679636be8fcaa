"""Closing an account: to ask for it, to see where it stands, to call it off; by the API and by a page."""

from typing import Any
from urllib.parse import urlencode

from allauth.account.internal.flows import reauthentication
from django import http, shortcuts
from django.contrib.auth import mixins
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.views import generic
from drf_spectacular import utils as schema
from rest_framework import request as drf_request
from rest_framework import response, serializers, views

from customers import models as customer_models
from openvpp.core import clock, errors, scopes
from wallets.api import step_up
from wallets.usecases import close_account

TAGS = ["Account"]
EXAMPLE = schema.OpenApiExample(
    "Announced",
    value={
        "id": "2f0c8a34-5b52-4f2e-8d7a-0c5a9b1e7f10",
        "utility": "harbor",
        "state": "announced",
        "send_to": "0x8ba1f109551bD432803012645Ac136ddd64DBA72",
        "closes_at": "2026-11-08T15:04:05Z",
        "waits_for": [],
        "created_at": "2026-11-01T15:04:05Z",
        "ended_at": None,
    },
    response_only=True,
)
UTILITY = schema.OpenApiParameter(
    "utility", str, description="Slug; needed only by an application that serves several utilities."
)


class Output(serializers.Serializer[customer_models.Closing]):
    """One closing."""

    class ObstacleOutput(serializers.Serializer[Any]):
        code = serializers.CharField()
        detail = serializers.CharField()

    id = serializers.UUIDField()
    utility = serializers.CharField(source="customer.utility.slug")
    state = serializers.ChoiceField(choices=customer_models.Closing.State.choices)
    send_to = serializers.CharField(allow_null=True)
    closes_at = serializers.DateTimeField(help_text="Until then it can be called off.")
    waits_for = ObstacleOutput(many=True, help_text="What stood against it when it was looked at last.")
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class Closing(views.APIView):
    """The closing of the person's account at a utility, the latest one."""

    @property
    def required_scopes(self) -> list[str]:
        """Return what a token needs."""
        return ["account:read"] if self.request.method == "GET" else ["account:write"]

    class Input(serializers.Serializer[Any]):
        send_to = serializers.CharField(
            max_length=42,
            required=False,
            default="",
            allow_blank=True,
            help_text="Where what is left in the wallet goes: an address with its checksum (EIP-55).",
        )

    @schema.extend_schema(
        operation_id="me_closing_show",
        summary="Where the closing of my account stands",
        tags=TAGS,
        parameters=[UTILITY],
        responses=Output,
        examples=[EXAMPLE],
    )
    def get(self, request: drf_request.Request) -> response.Response:
        found = _latest(_customer(request))
        if found is None:
            raise errors.NotFound("Your account is not being closed.", code="not_found")
        return response.Response(Output(found).data)

    @schema.extend_schema(
        operation_id="me_closing_ask",
        summary="Close my account",
        description=(
            "In a week, until when it can be called off: every app's leave ends, what is left in the wallet is sent "
            "to `send_to`, and your sign-in and personal data are removed; bills and books stay under the account's "
            "number. 409 `not_yet` with `obstacles` while bills are open, payouts unsettled, or money is in the "
            "wallet and nobody said where it goes. Send the session of a sign-in that was confirmed a moment ago."
        ),
        tags=TAGS,
        parameters=[
            UTILITY,
            schema.OpenApiParameter(step_up.HEADER, str, schema.OpenApiParameter.HEADER),
        ],
        request=Input,
        responses={202: Output},
        examples=[EXAMPLE],
    )
    def post(self, request: drf_request.Request) -> response.Response:
        given = self.Input(data=request.data)
        given.is_valid(raise_exception=True)
        person, now = scopes.get_person(request), clock.get_now()
        customer = _customer(request)
        step_up.require_fresh(request=request, user=person, now=now)
        row = close_account.ask(customer=customer, by=person, send_to=given.validated_data["send_to"], now=now)
        return response.Response(Output(row).data, status=202)

    @schema.extend_schema(
        operation_id="me_closing_cancel",
        summary="Keep my account",
        tags=TAGS,
        parameters=[UTILITY],
        responses={200: Output},
        examples=[EXAMPLE],
    )
    def delete(self, request: drf_request.Request) -> response.Response:
        row = close_account.cancel(customer=_customer(request), now=clock.get_now())
        return response.Response(Output(row).data)


class Page(mixins.LoginRequiredMixin, generic.View):
    """GET shows what stands against it and where it stands; POST asks, or calls off."""

    http_method_names = ["get", "head", "post"]

    def dispatch(self, request: http.HttpRequest, *args: Any, **kwargs: Any) -> http.HttpResponseBase:
        """Keep the page out of every cache."""
        answer = super().dispatch(request, *args, **kwargs)
        add_never_cache_headers(answer)
        return answer

    def get(self, request: http.HttpRequest) -> http.HttpResponse:
        return self._show()

    def post(self, request: http.HttpRequest) -> http.HttpResponse:
        """Do what the button says, for the customer whom it names."""
        customer = shortcuts.get_object_or_404(_customers(self._person), pk=_number(request.POST.get("customer", "")))
        try:
            if request.POST.get("do") == "keep":
                close_account.cancel(customer=customer, now=clock.get_now())
            elif not reauthentication.did_recently_reauthenticate(request):
                query = urlencode({"next": request.path})
                return shortcuts.redirect(f"{shortcuts.resolve_url('account_reauthenticate')}?{query}")
            else:
                send_to = request.POST.get("send_to", "").strip()
                close_account.ask(customer=customer, by=self._person, send_to=send_to, now=clock.get_now())
        except errors.UnableTo as error:
            return self._show(problem=error.detail, status=409)
        except errors.Unreachable:
            return self._show(problem=_("The network cannot be reached just now. Try again in a moment."), status=503)
        return shortcuts.redirect("closing")

    @property
    def _person(self) -> customer_models.User:
        if not isinstance(self.request.user, customer_models.User):
            raise TypeError("Nobody is signed in.")
        return self.request.user

    def _show(self, *, problem: str = "", status: int = 200) -> http.HttpResponse:
        rows = [{"customer": each, "closing": _latest(each)} for each in _customers(self._person)]
        return shortcuts.render(self.request, "wallets/closing.html", {"rows": rows, "problem": problem}, status=status)


def _customers(person: customer_models.User) -> Any:
    return customer_models.Customer.objects.for_customer(person).select_related("utility").order_by("pk")


def _customer(request: drf_request.Request) -> customer_models.Customer:
    token: Any = request.auth
    rows = _customers(scopes.get_person(request))
    if token.application.utility_id is not None:
        rows = rows.filter(utility_id=token.application.utility_id)
    if slug := request.query_params.get("utility"):
        rows = rows.filter(utility__slug=slug)
    found = list(rows[:2])
    if len(found) > 1:
        raise errors.Invalid("Say at which utility.", code="utility_required")
    if not found:
        raise errors.NotFound("You have no account there.", code="not_found")
    customer: customer_models.Customer = found[0]
    return customer


def _latest(customer: customer_models.Customer) -> customer_models.Closing | None:
    found: customer_models.Closing | None = (
        customer.closings.select_related("customer__utility").order_by("-created_at").first()
    )
    return found


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0  # noqa: PLR2004 - of a bigint
