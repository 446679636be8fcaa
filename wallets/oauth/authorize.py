"""The authorization endpoint: sign in, read what is asked, allow or refuse it."""

import logging
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from allauth.account import app_settings as account_settings
from allauth.account.internal.flows import login, reauthentication
from allauth.headless.internal import sessionkit
from django import http, shortcuts
from django.conf import settings
from django.db import DataError, IntegrityError
from django.utils import translation
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from oauth2_provider import exceptions as toolkit_errors
from oauth2_provider.views import base
from oauthlib.oauth2.rfc6749 import errors as oauth_errors

from customers import models as customer_models
from customers import queries as customer_queries
from openvpp.core import clock, db, errors
from wallets import models
from wallets.domain import authorization_details
from wallets.oauth import consent as consents
from wallets.oauth import data_access, forms, offers, pushed, requests
from wallets.usecases import grant_session_key, revoke_session_key

logger = logging.getLogger(__name__)

TEMPLATE = "oauth/authorize.html"
MOST_LANGUAGES = 10


class Authorize(base.BaseAuthorizationView):
    """GET asks, POST answers. Nothing that the client sends skips the question."""

    http_method_names = ["get", "head", "post", "options"]

    def dispatch(self, request: http.HttpRequest, *args: Any, **kwargs: Any) -> http.HttpResponseBase:
        """Let the mobile app in by its session token as well as by the browser's cookie, and shut every frame."""
        _sign_in_by_session_token(request)
        self.nonce, self.language = secrets.token_urlsafe(16), ""
        response: http.HttpResponseBase = super().dispatch(request, *args, **kwargs)
        add_never_cache_headers(response)
        if self.language and isinstance(response, http.HttpResponse):
            # The page of signing in, which may come first, and the answers to this one speak it too.
            response.set_cookie(
                settings.LANGUAGE_COOKIE_NAME,
                self.language,
                httponly=True,
                samesite="Lax",
                secure=settings.SESSION_COOKIE_SECURE,
            )
        # Not `no-referrer`: a browser would then post the form with `Origin: null`.
        response["Referrer-Policy"] = "same-origin"
        if "Content-Security-Policy" not in response:
            response["Content-Security-Policy"] = self._content_security_policy(redirect_uri="")
        return response

    def handle_no_permission(self) -> http.HttpResponseBase:
        """Send a stranger to sign in, once the request itself is known to be good."""
        try:
            self._read_request()
        except toolkit_errors.OAuthToolkitError as error:
            return self.error_response(error, application=None)
        return super(base.BaseAuthorizationView, self).handle_no_permission()  # type: ignore[no-any-return]

    def get(self, request: http.HttpRequest) -> http.HttpResponseBase:
        """Show what is asked, and keep it; or show again what was asked."""
        if "consent" in request.GET:
            return self._show_again(request)
        try:
            asked = self._read_request()
        except toolkit_errors.OAuthToolkitError as error:
            return self.error_response(error, application=None)
        if "login" in self.prompt.split() and not self._has_proven:
            return self._prove_again(then=request.get_full_path())
        try:
            consent = consents.ask(
                user=self._person,
                asked=asked,
                return_path=request.get_full_path(),
                now=clock.get_now(),
                pushed=pushed.digest_of(request),
            )
        except (consents.UnableToAskForConsent, data_access.UnableToAskForData) as error:
            return self._show_problem(
                error.detail, status=409, application=asked.application, credentials=asked.credentials
            )
        except authorization_details.UnableToReadDetails as error:
            refusal = requests.invalid_details(error)
            refusal.redirect_uri, refusal.state = asked.credentials["redirect_uri"], asked.credentials.get("state")
            return self.error_response(toolkit_errors.OAuthToolkitError(error=refusal), asked.application)
        consents.remember(request=request, consent=consent)
        return self._show(consent=consent, application=asked.application)

    def post(self, request: http.HttpRequest) -> http.HttpResponseBase:
        """Answer a question that was shown to this person in this session."""
        consent = self._recall(request.POST.get("consent", ""))
        if consent is None:
            return self._show_too_old()
        application = models.Application.objects.select_related("utility").get(pk=consent.application_id)
        decision = request.POST.get("decision", "")
        if decision == "allow" and consent.steps_up and not self._has_proven:
            return self._prove_again(then=f"{request.path}?{urlencode({'consent': consent.id})}")
        if decision == "allow":
            return self._allow(consent=consent, application=application)
        if decision == "change" and consent.limits is not None:
            return self._change(consent=consent, application=application)
        if decision == "deny":
            consents.forget(request=request, consent=consent)
            denied = oauth_errors.AccessDeniedError(state=consent.credentials.get("state"))
            denied.redirect_uri = consent.credentials["redirect_uri"]
            return self.error_response(toolkit_errors.OAuthToolkitError(error=denied), application=application)
        return self._show(consent=consent, application=application, status=400)

    def error_response(
        self, error: Any, application: models.Application | None, **kwargs: Any
    ) -> http.HttpResponseBase:
        """Tell the client, naming ourselves (RFC 9207); or the person, where the client cannot be trusted."""
        oauth_error = error.oauthlib_error
        if isinstance(error, toolkit_errors.FatalClientError) or not oauth_error.redirect_uri:
            return self._show_problem(
                _("The app sent a request that we cannot trust: %(reason)s")
                % {"reason": oauth_error.description or oauth_error.error},
                status=400,
            )
        if application is None:
            application = models.Application.objects.filter(client_id=oauth_error.client_id).first()
        separator = "&" if "?" in oauth_error.redirect_uri else "?"
        told = f"{oauth_error.urlencoded}&{urlencode({'iss': settings.ISSUER})}"
        return self.redirect(f"{oauth_error.redirect_uri}{separator}{told}", application)  # type: ignore[no-any-return]

    @property
    def _person(self) -> customer_models.User:
        if not isinstance(self.request.user, customer_models.User):
            raise TypeError("Nobody is signed in.")
        return self.request.user

    def _read_request(self) -> requests.Asked:
        """Return what is asked: in the address, or by the pushed request that the address names.

        :raises OAuthToolkitError: the request is not one that we answer.
        """
        now = clock.get_now()
        parameters, dpop_jkt = self.request.GET, self.request.GET.get("dpop_jkt", "")
        is_pushed = "request_uri" in parameters
        if is_pushed:
            try:
                waiting = pushed.take(request=self.request, now=now)
            except (ValueError, DataError):
                waiting = None
            if waiting is None:
                raise toolkit_errors.FatalClientError(
                    error=oauth_errors.InvalidRequestFatalError(
                        description=_("its request_uri is unknown, used or too old. Go back to the app and try again.")
                    )
                )
            parameters, dpop_jkt = waiting
        self.prompt = parameters.get("prompt", "")
        self._speak(parameters.get("ui_locales", ""))
        return requests.read(view=self, parameters=parameters, dpop_jkt=dpop_jkt, is_pushed=is_pushed, now=now)

    def _speak(self, wanted: str) -> None:
        """Speak the first of the languages that an application named (OpenID Connect Core, 3.1.2.1) that is spoken."""
        for tag in wanted.split()[:MOST_LANGUAGES]:
            try:
                self.language = translation.get_supported_language_variant(tag)
            except LookupError:
                continue
            translation.activate(self.language)
            return

    def _recall(self, consent_id: str) -> consents.Consent | None:
        consent = consents.recall(request=self.request, consent_id=consent_id)
        return consent if consent is not None and consent.is_open(user=self._person, now=clock.get_now()) else None

    def _show_again(self, request: http.HttpRequest) -> http.HttpResponseBase:
        consent = self._recall(request.GET["consent"])
        if consent is None:
            return self._show_too_old()
        application = models.Application.objects.select_related("utility").get(pk=consent.application_id)
        return self._show(consent=consent, application=application)

    def _show_too_old(self) -> http.HttpResponseBase:
        return self._show_problem(
            _("This page is too old, or was answered already. Go back to the app and start again."), status=400
        )

    @property
    def _has_proven(self) -> bool:
        """Say whether the person proved a moment ago who they are; who has nothing to prove it with, by signing in."""
        if reauthentication.get_reauthentication_flows(self._person):
            return bool(reauthentication.did_recently_reauthenticate(self.request))
        last = max((each["at"] for each in login.get_authentication_records(self.request, self._person)), default=0.0)
        return clock.get_now().timestamp() - float(last) < float(account_settings.REAUTHENTICATION_TIMEOUT)

    def _prove_again(self, *, then: str) -> http.HttpResponseBase:
        """Ask for the password, a passkey or a second factor once more, and come back."""
        if not reauthentication.get_reauthentication_flows(self._person):
            return self._show_problem(
                _("To allow this, sign out and in again, and come back from the app within five minutes."), status=403
            )
        return shortcuts.redirect(f"{shortcuts.resolve_url('account_reauthenticate')}?{urlencode({'next': then})}")

    def _change(self, *, consent: consents.Consent, application: models.Application) -> http.HttpResponseBase:
        form = self._limits_form(consent=consent, application=application, data=self.request.POST)
        if not form.is_valid():
            return self._show(consent=consent, application=application, form=form, status=422)
        changed = consents.ask(
            user=self._person,
            asked=requests.Asked(
                application=application, scopes=consent.scopes, credentials=consent.credentials, details=None
            ),
            return_path=consent.return_path,
            now=clock.get_now(),
            pushed=consent.pushed,
            limits=form.chosen(),
        )
        consents.remember(request=self.request, consent=changed, instead_of=consent)
        return self._show(consent=changed, application=application)

    def _allow(self, *, consent: consents.Consent, application: models.Application) -> http.HttpResponseBase:
        credentials = dict(consent.credentials)
        sign_in = customer_queries.get_sign_in_of(session=self.request.session)
        credentials["sign_in_id"] = sign_in.pk if sign_in is not None else None
        try:
            if consent.terms is not None and consent.wallet_id is not None:
                credentials["session_key_grant"] = self._grant(consent=consent, application=application)
            with db.transaction():
                if sign_in is not None:
                    customer_queries.hold_sign_in(sign_in_id=sign_in.pk)
                if consent.data is not None:
                    credentials["data_scope"] = consent.data.scope
                    data_access.allow(
                        question=consent.data,
                        authorization_id=consent.id,
                        user=self._person,
                        application=application,
                        now=clock.get_now(),
                    )
                uri, _headers, _body, _status = self.create_authorization_response(
                    request=self.request, scopes=" ".join(consent.scopes), credentials=credentials, allow=True
                )
        except toolkit_errors.OAuthToolkitError as error:
            self._take_back(consent)
            return self.error_response(error, application)
        except IntegrityError:
            return self._show_problem(_("You have answered already. Go back to the app."), status=409)
        except errors.Unreachable:
            logger.warning("consent: the signer is unreachable")
            return self._show(
                consent=consent,
                application=application,
                problem=_("We could not prepare your wallet just now. Nothing was allowed. Try again in a moment."),
                status=503,
            )
        except errors.UnableTo as error:
            self._take_back(consent)
            return self._show_problem(error.detail, status=409, application=application, credentials=credentials)
        consents.forget(request=self.request, consent=consent)
        return self.redirect(uri, application)  # type: ignore[no-any-return]

    def _take_back(self, consent: consents.Consent) -> None:
        """End the leave to spend that was made for an answer which then gave no code."""
        with db.transaction():
            if models.SessionKeyGrant.objects.filter(pk=consent.id, authorization_code__isnull=True).exists():
                revoke_session_key.revoke(grant_id=consent.id, now=clock.get_now())

    def _grant(self, *, consent: consents.Consent, application: models.Application) -> models.SessionKeyGrant:
        if consent.terms is None:
            raise ValueError("Nothing to spend was asked for.")
        wallet = models.Wallet.objects.for_customer(self._person).get(pk=consent.wallet_id)
        return grant_session_key.grant(
            grant_id=consent.id,
            user=self._person,
            wallet=wallet,
            application=application,
            terms=consent.terms,
            now=clock.get_now(),
        )

    def _show(
        self,
        *,
        consent: consents.Consent,
        application: models.Application,
        form: forms.Limits | None = None,
        problem: str = "",
        status: int = 200,
    ) -> http.HttpResponseBase:
        if form is None and consent.limits is not None:
            form = self._limits_form(consent=consent, application=application)
        words = [consents.SCOPE_WORDS[scope] for scope in consent.scopes if scope in consents.SCOPE_WORDS]
        return self._page(
            {
                "consent": consent,
                "application": application,
                "utility": application.utility,
                "words": words,
                "form": form,
                "problem": problem,
            },
            status=status,
            redirect_uri=consent.credentials["redirect_uri"],
        )

    def _show_problem(
        self,
        problem: str,
        *,
        status: int,
        application: models.Application | None = None,
        credentials: Mapping[str, Any] | None = None,
    ) -> http.HttpResponseBase:
        context: dict[str, Any] = {"problem": problem, "application": application}
        if application is not None and credentials is not None:
            denied = oauth_errors.AccessDeniedError(description=problem, state=credentials.get("state"))
            separator = "&" if "?" in credentials["redirect_uri"] else "?"
            told = f"{denied.urlencoded}&{urlencode({'iss': settings.ISSUER})}"
            context |= {"utility": application.utility, "back": f"{credentials['redirect_uri']}{separator}{told}"}
        return self._page(context, status=status, redirect_uri="")

    def _page(self, context: dict[str, Any], *, status: int, redirect_uri: str) -> http.HttpResponseBase:
        response = shortcuts.render(self.request, TEMPLATE, {**context, "nonce": self.nonce}, status=status)
        response["Content-Security-Policy"] = self._content_security_policy(redirect_uri=redirect_uri)
        return response

    def _content_security_policy(self, *, redirect_uri: str) -> str:
        # A browser also holds the redirect that answers a form to `form-action`.
        target = ""
        if redirect_uri:
            parts = urlsplit(redirect_uri)
            target = f" {parts.scheme}://{parts.netloc}" if parts.scheme in {"http", "https"} else f" {parts.scheme}:"
        return (
            f"default-src 'none'; style-src 'self' 'nonce-{self.nonce}'; img-src 'self'; form-action 'self'{target}; "
            "base-uri 'none'; frame-ancestors 'none'"
        )

    def _limits_form(
        self, *, consent: consents.Consent, application: models.Application, data: Any = None
    ) -> forms.Limits:
        if consent.limits is None or application.utility is None:
            raise ValueError("Nothing to spend was asked for.")
        return forms.Limits(
            data,
            highest=offers.Limits.highest_of(application.utility),
            currency=application.utility.currency,
            current=consent.limits,
        )


def _sign_in_by_session_token(request: http.HttpRequest) -> None:
    token = request.headers.get("X-Session-Token")
    if not token or request.user.is_authenticated:
        return
    found = sessionkit.authenticate_by_x_session_token(token)
    if found is not None and found[0].is_active:
        request.user, request.session = found
        request.session.modified = True
