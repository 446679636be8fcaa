"""A mobile app that walks through sign-in, consent and the token endpoint."""

import base64
import dataclasses
import hashlib
import re
import secrets
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from django import test

from tests.factories import wallets
from wallets import models

SPENDING = "openid account:read wallet:read bills:read payments:write"
READING = "openid account:read bills:read"


@dataclasses.dataclass
class MobileApp:
    """One application on one person's phone."""

    application: models.Application
    user: Any
    redirect_uri: str = wallets.REDIRECT_URI
    secret: str = ""
    verifier: str = dataclasses.field(default_factory=lambda: secrets.token_urlsafe(48))
    browser: test.Client = dataclasses.field(default_factory=lambda: test.Client(enforce_csrf_checks=False))

    def __post_init__(self) -> None:
        if self.user is not None:
            self.browser.force_login(self.user)

    @property
    def challenge(self) -> str:
        return base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()

    def open_consent(self, scope: str = SPENDING, **changes: Any) -> Any:
        """Ask for consent; a change of None leaves the parameter out."""
        query = {
            "response_type": "code",
            "client_id": self.application.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": scope,
            "state": "xyz",
            "code_challenge": self.challenge,
            "code_challenge_method": "S256",
        } | changes
        kept = {name: value for name, value in query.items() if value is not None}
        return self.browser.get(f"/oauth/authorize/?{urlencode(kept)}")

    def answer(self, page: Any, decision: str = "allow", **fields: Any) -> Any:
        """Press a button of the page."""
        return self.browser.post("/oauth/authorize/", {"consent": consent_id(page), "decision": decision, **fields})

    def get_code(self, scope: str = SPENDING, **changes: Any) -> str:
        """Ask, allow, and return the code."""
        answer = self.answer(self.open_consent(scope, **changes))
        assert answer.status_code == 302, answer.content
        return parameters(answer)["code"]

    def redeem(self, code: str, **changes: Any) -> Any:
        """Redeem a code at the token endpoint."""
        return self.token(
            grant_type="authorization_code",
            code=code,
            redirect_uri=self.redirect_uri,
            code_verifier=self.verifier,
            **changes,
        )

    def refresh(self, refresh_token: str, **changes: Any) -> Any:
        return self.token(grant_type="refresh_token", refresh_token=refresh_token, **changes)

    def token(self, **body: Any) -> Any:
        """Call the token endpoint as this application."""
        body = {"client_id": self.application.client_id} | body
        if self.secret:
            body["client_secret"] = self.secret
        kept = {name: value for name, value in body.items() if value is not None}
        return test.Client().post("/oauth/token/", kept)

    def get_tokens(self, scope: str = SPENDING) -> dict[str, Any]:
        """Walk the whole way and return what the token endpoint said."""
        answer = self.redeem(self.get_code(scope))
        assert answer.status_code == 200, answer.content
        found: dict[str, Any] = answer.json()
        return found

    def revoke(self, token: str) -> Any:
        return test.Client().post("/oauth/revoke_token/", {"client_id": self.application.client_id, "token": token})


def consent_id(page: Any) -> str:
    """Return the id that the page carries."""
    found = re.search(r'name="consent" value="([0-9a-f-]+)"', page.content.decode())
    assert found, page.content.decode()
    return found[1]


def parameters(answer: Any) -> dict[str, str]:
    """Return what a redirect tells the application."""
    return {name: values[0] for name, values in parse_qs(urlsplit(answer["Location"]).query).items()}


def call(path: str, access_token: str) -> Any:
    """Call the API with a token."""
    return test.Client().get(path, headers={"Authorization": f"Bearer {access_token}"})
