"""A mobile app that walks through sign-in, consent and the token endpoint."""

import base64
import dataclasses
import hashlib
import json
import re
import secrets
import time
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from django import test
from django.conf import settings
from jwcrypto import jwk, jws

from tests.factories import wallets
from wallets import models

SPENDING = "openid account:read wallet:read bills:read payments:write"
READING = "openid account:read bills:read"
# The key that phones have unless a test gives one another.
KEY = jwk.JWK.generate(kty="EC", crv="P-256")


@dataclasses.dataclass
class MobileApp:
    """One application on one person's phone."""

    application: models.Application
    user: Any
    redirect_uri: str = wallets.REDIRECT_URI
    secret: str = ""
    key: jwk.JWK | None = KEY
    verifier: str = dataclasses.field(default_factory=lambda: secrets.token_urlsafe(48))
    browser: test.Client = dataclasses.field(default_factory=lambda: test.Client(enforce_csrf_checks=False))

    def __post_init__(self) -> None:
        if self.user is not None:
            self.browser.force_login(self.user)

    @property
    def challenge(self) -> str:
        return base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()

    def query(self, scope: str = SPENDING, **changes: Any) -> dict[str, Any]:
        """Return an authorization request; a change of None leaves the parameter out."""
        query = {
            "response_type": "code",
            "client_id": self.application.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": scope,
            "state": "xyz",
            "code_challenge": self.challenge,
            "code_challenge_method": "S256",
        } | changes
        return {name: value for name, value in query.items() if value is not None}

    def open_consent(self, scope: str = SPENDING, **changes: Any) -> Any:
        """Ask for consent, by a pushed request where it is for leave to spend; else return why that was refused."""
        query = self.query(scope, **changes)
        if "payments:write" not in scope:
            return self.browser.get(f"/oauth/authorize/?{urlencode(query)}")
        pushed = self.push(**query)
        return self.open_pushed(pushed.json()["request_uri"]) if pushed.status_code == 201 else pushed

    def push(self, **query: Any) -> Any:
        """Push an authorization request ahead."""
        if self.secret:
            query["client_secret"] = self.secret
        return test.Client().post("/oauth/par/", query, headers=self.proof("POST", "/oauth/par/"))

    def open_pushed(self, request_uri: str, client_id: str | None = None) -> Any:
        query = {"client_id": client_id or self.application.client_id, "request_uri": request_uri}
        return self.browser.get(f"/oauth/authorize/?{urlencode(query)}")

    def proof(self, method: str, path: str, **changes: Any) -> dict[str, str]:
        """Return the header with a fresh proof of this phone's key."""
        return {} if self.key is None else {"DPoP": proof(self.key, method, path, **changes)}

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

    def token(self, *, proof: str | None = None, **body: Any) -> Any:
        """Call the token endpoint as this application, with a fresh proof or the one given."""
        body = {"client_id": self.application.client_id} | body
        if self.secret:
            body["client_secret"] = self.secret
        kept = {name: value for name, value in body.items() if value is not None}
        headers = self.proof("POST", "/oauth/token/") if proof is None else {"DPoP": proof}
        return test.Client().post("/oauth/token/", kept, headers=headers)

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
    """Call the API with a token, and with a proof if it is bound to the key of phones."""
    return test.Client().get(path, headers=authorization("GET", path, access_token))


def authorization(method: str, path: str, access_token: str, key: jwk.JWK = KEY) -> dict[str, str]:
    """Return the headers that present a token in the way that it is bound to."""
    digest = hashlib.sha256(access_token.encode()).hexdigest()
    if not models.AccessToken.objects.filter(token_checksum=digest).exclude(dpop_jkt="").exists():
        return {"Authorization": f"Bearer {access_token}"}
    return {"Authorization": f"DPoP {access_token}", "DPoP": proof(key, method, path, token=access_token)}


def proof(
    key: jwk.JWK,
    method: str,
    path: str,
    *,
    token: str | None = None,
    header: dict[str, Any] | None = None,
    alg: str = "ES256",
    **claims: Any,
) -> str:
    """Return a DPoP proof; what is given in `claims` or `header` replaces what would be right, None leaves it out."""
    said = {"jti": secrets.token_urlsafe(16), "htm": method, "htu": settings.ISSUER + path, "iat": int(time.time())}
    if token is not None:
        said["ath"] = base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()
    said = {name: value for name, value in (said | claims).items() if value is not None}
    signed = jws.JWS(json.dumps(said))
    heading = {"typ": "dpop+jwt", "alg": alg, "jwk": key.export_public(as_dict=True)} | (header or {})
    signed.add_signature(key, None, json.dumps(heading), None)
    return str(signed.serialize(compact=True))
