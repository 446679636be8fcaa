"""Connected apps: a person sees which applications they let in, and ends it; by a page, without scripts."""

import dataclasses
import uuid
from typing import Any

from django import http, shortcuts
from django.contrib.auth import mixins
from django.core import exceptions
from django.utils.cache import add_never_cache_headers
from django.views import generic

from customers import models as customer_models
from customers import operations as customer_operations
from openvpp.core import clock, db, errors
from wallets import models, queries
from wallets.oauth import consent, validator
from wallets.usecases import revoke_session_key


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PayingApp:
    """An application with leave to spend, in the words that were agreed to."""

    grant: models.SessionKeyGrant
    rows: tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReadingApp:
    """An application that was let in without leave to spend."""

    family: uuid.UUID
    application: models.Application
    words: tuple[str, ...]


class ConnectedApps(mixins.LoginRequiredMixin, generic.View):
    """GET shows; POST ends one, or everything."""

    http_method_names = ["get", "head", "post"]

    def dispatch(self, request: http.HttpRequest, *args: Any, **kwargs: Any) -> http.HttpResponseBase:
        """Keep the page out of every cache."""
        response = super().dispatch(request, *args, **kwargs)
        add_never_cache_headers(response)
        return response

    def get(self, request: http.HttpRequest) -> http.HttpResponse:
        return self._show(request)

    def post(self, request: http.HttpRequest) -> http.HttpResponse:
        """End the grant or the family of tokens that a button names, or sign out everywhere."""
        person, now = self._person, clock.get_now()
        if "everywhere" in request.POST:
            customer_operations.sign_out_everywhere(user=person, now=now)
            return shortcuts.redirect("account_login")
        try:
            if "grant" in request.POST:
                with db.transaction():
                    grant = queries.get_grant(user=person, grant_id=uuid.UUID(request.POST["grant"]))
                    revoke_session_key.revoke(grant_id=grant.pk, now=now)
            else:
                with db.transaction():
                    token = shortcuts.get_object_or_404(_living(person), token_family=request.POST.get("family"))
                    validator.end_family(family=token.token_family, spending_grant_id=None, now=now)
        except (ValueError, errors.NotFound, exceptions.ValidationError):
            raise http.Http404 from None
        return shortcuts.redirect("connected-apps")

    @property
    def _person(self) -> customer_models.User:
        if not isinstance(self.request.user, customer_models.User):
            raise TypeError("Nobody is signed in.")
        return self.request.user

    def _show(self, request: http.HttpRequest) -> http.HttpResponse:
        live = queries.get_grants(user=self._person).filter(state__in=models.SessionKeyGrant.LIVE_STATES)
        paying = [PayingApp(grant=grant, rows=_rows(grant.shown_text)) for grant in live]
        reading = [
            ReadingApp(family=token.token_family, application=token.application, words=_words(token))
            for token in _living(self._person)
        ]
        return shortcuts.render(request, "oauth/connected_apps.html", {"paying": paying, "reading": reading})


def _living(person: customer_models.User) -> Any:
    return (
        models.RefreshToken.objects.filter(user=person, revoked__isnull=True, session_key_grant__isnull=True)
        .select_related("application", "access_token")
        .order_by("-created")
    )


def _rows(shown_text: str) -> tuple[tuple[str, str], ...]:
    lines = (line.partition(": ") for line in shown_text.splitlines())
    return tuple((label, text) for label, _colon, text in lines)


def _words(token: models.RefreshToken) -> tuple[str, ...]:
    scope = token.access_token.scope if token.access_token is not None else ""
    return tuple(str(consent.SCOPE_WORDS[name]) for name in scope.split() if name in consent.SCOPE_WORDS)
