"""The devices on which a person is signed in, by the API and by a page without scripts."""

import uuid
from typing import Any

from django import http, shortcuts
from django.contrib.auth import mixins
from django.utils.cache import add_never_cache_headers
from django.views import generic
from drf_spectacular import utils as schema
from rest_framework import request as drf_request
from rest_framework import response, serializers, views

from customers import models, operations, queries
from customers.domain import places
from customers.usecases import keep_sign_ins
from openvpp.core import clock, errors, scopes

EXAMPLE = schema.OpenApiExample(
    "A phone",
    response_only=True,
    value={
        "id": "0d9f6f0e-8e8b-4d3c-9d3a-4c6b3d1f1f10",
        "device": "Safari, iPhone",
        "user_agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 Safari/605.1",
        "network": "203.0.113.0/24",
        "signed_in_at": "2026-11-01T15:04:05Z",
        "last_seen_at": "2026-11-22T09:12:44Z",
        "is_this_one": True,
    },
)


class Output(serializers.Serializer[Any]):
    """One device or browser."""

    id = serializers.UUIDField()
    device = serializers.SerializerMethodField(help_text="Browser and system, as far as the device says.")
    user_agent = serializers.CharField()
    network = serializers.CharField(help_text="Where it was seen last: its address without its last part.")
    signed_in_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField(help_text="To within five minutes.")
    is_this_one = serializers.SerializerMethodField(help_text="The one from which the calling app was let in.")

    def get_device(self, row: models.SignIn) -> str:
        return places.device(row.user_agent)

    def get_is_this_one(self, row: models.SignIn) -> bool:
        return bool(row.pk == self.context.get("this"))


class SignIns(views.APIView):
    """Where I am signed in."""

    required_scopes = ["account:read"]

    @schema.extend_schema(
        operation_id="me_sign_ins",
        summary="Devices on which I am signed in",
        description="The one seen last first.",
        tags=["Account"],
        responses={200: Output(many=True)},
        examples=[EXAMPLE],
    )
    def get(self, request: drf_request.Request) -> response.Response:
        rows = queries.get_sign_ins(user=scopes.get_person(request), now=clock.get_now())
        this = getattr(request.auth, "sign_in_id", None)
        return response.Response(Output(rows, many=True, context={"this": this}).data)


class SignIn(views.APIView):
    """One of them."""

    required_scopes = ["account:write"]

    @schema.extend_schema(
        operation_id="me_sign_in_end",
        summary="Sign a device out",
        description=(
            "Ends its session, and in the same transaction every token and permission to pay that an app was given "
            "there. `me/sign-out-everywhere/` ends all of them."
        ),
        tags=["Account"],
        request=None,
        responses={204: None},
    )
    def delete(self, request: drf_request.Request, sign_in_id: uuid.UUID) -> response.Response:
        keep_sign_ins.end(user=scopes.get_person(request), sign_in_id=sign_in_id, now=clock.get_now())
        return response.Response(status=204)


class Page(mixins.LoginRequiredMixin, generic.View):
    """GET shows; POST ends one, or all."""

    http_method_names = ["get", "head", "post"]

    def dispatch(self, request: http.HttpRequest, *args: Any, **kwargs: Any) -> http.HttpResponseBase:
        """Keep the page out of every cache."""
        answer = super().dispatch(request, *args, **kwargs)
        add_never_cache_headers(answer)
        return answer

    def get(self, request: http.HttpRequest) -> http.HttpResponse:
        this = queries.get_sign_in_of(session=request.session)
        rows = [
            {"row": row, "device": places.device(row.user_agent), "is_this_one": this is not None and row.pk == this.pk}
            for row in queries.get_sign_ins(user=self._person, now=clock.get_now())
        ]
        return shortcuts.render(request, "customers/sign_ins.html", {"sign_ins": rows})

    def post(self, request: http.HttpRequest) -> http.HttpResponse:
        """End the device that a button names, or sign out everywhere."""
        person, now = self._person, clock.get_now()
        if "everywhere" in request.POST:
            operations.sign_out_everywhere(user=person, now=now)
            return shortcuts.redirect("account_login")
        try:
            keep_sign_ins.end(user=person, sign_in_id=uuid.UUID(request.POST.get("sign_in", "")), now=now)
        except (ValueError, errors.NotFound):
            raise http.Http404 from None
        return shortcuts.redirect("sign-ins")

    @property
    def _person(self) -> models.User:
        if not isinstance(self.request.user, models.User):
            raise TypeError("Nobody is signed in.")
        return self.request.user
