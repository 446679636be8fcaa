"""What a customer holds in the hand: the system browser for signing in (RFC 8252), then the API with a token."""

import base64
import hashlib
import json
import secrets
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

import httpx  # noqa: TID251 - the demo stands where an outside client stands
from jwcrypto import jwk, jws

from openvpp.core import errors
from openvpp.demo.adapters import forms

TIMEOUT_SECONDS = 30.0
MOST_PAGES = 12
ALLOW = ("decision", "allow")


class UnableToPlay(errors.UnableTo):
    """The stack did not do what a customer may expect of it."""


class Key:
    """The key in a phone's keystore: what its tokens are bound to (RFC 9449)."""

    def __init__(self) -> None:
        self._key = jwk.JWK.generate(kty="EC", crv="P-256")

    def proof(self, *, method: str, url: str, token: str = "") -> str:
        """Return the DPoP header of one request."""
        claims = {"jti": secrets.token_urlsafe(16), "htm": method, "htu": url, "iat": int(time.time())}
        if token:
            claims["ath"] = _hash(token)
        proof = jws.JWS(json.dumps(claims))
        header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": self._key.export_public(as_dict=True)}
        proof.add_signature(self._key, None, json.dumps(header), None)
        return str(proof.serialize(compact=True))


class _Bound(httpx.Auth):
    """Presents a token with a fresh proof for each request."""

    def __init__(self, *, token: str, key: Key) -> None:
        self._token, self._key = token, key

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override] # yields alone
        url = str(request.url.copy_with(query=None, fragment=None))
        request.headers["Authorization"] = f"DPoP {self._token}"
        request.headers["DPoP"] = self._key.proof(method=request.method, url=url, token=self._token)
        yield request


class Api:
    """The REST API with an access token, bound to the phone's key or not."""

    def __init__(self, *, base_url: str, token: str, key: Key | None = None) -> None:
        self.token = token
        self._client = httpx.Client(
            base_url=f"{base_url}/api/v1/",
            headers={"Accept": "application/json"} | ({} if key else {"Authorization": f"Bearer {token}"}),
            auth=_Bound(token=token, key=key) if key else None,
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
        )

    def get(self, path: str, **query: Any) -> Any:
        """GET an address under `/api/v1/`.

        :raises UnableToPlay: it answered no.
        """
        return self._read(self._client.get(path, params=query))

    def post(self, path: str, body: Any = None, *, key: str = "") -> Any:
        """POST JSON, under an Idempotency-Key if one is given.

        :raises UnableToPlay: it answered no.
        """
        headers = {"Idempotency-Key": key} if key else {}
        return self._read(self._client.post(path, json=body if body is not None else {}, headers=headers))

    def upload(self, path: str, *, name: str, content: bytes, media_type: str, fields: Mapping[str, str]) -> Any:
        """POST a file with form fields.

        :raises UnableToPlay: it answered no.
        """
        return self._read(self._client.post(path, files={"file": (name, content, media_type)}, data=dict(fields)))

    def _read(self, response: httpx.Response) -> Any:
        if not response.is_success:
            raise UnableToPlay(_refusal(response), code="refused")
        return response.json() if response.content else None


class Browser:
    """A phone's system browser: pages, cookies and forms, and no scripts."""

    def __init__(self, *, base_url: str) -> None:
        self._base_url = base_url
        self._client = httpx.Client(
            base_url=base_url, timeout=TIMEOUT_SECONDS, trust_env=False, headers={"Accept": "text/html"}
        )
        self.consent_words: list[str] = []
        self.key = Key()

    def authorize(self, *, client: Mapping[str, Any], email: str, password: str) -> "Tokens":
        """Sign in, allow what is asked on the consent page, and return the tokens.

        :raises UnableToPlay: a page is not what a browser expects, or access was refused.
        """
        verifier = secrets.token_urlsafe(48)
        state = secrets.token_urlsafe(16)
        asked = {
            "response_type": "code",
            "client_id": client["client_id"],
            "redirect_uri": client["redirect_uri"],
            "scope": " ".join(client["scopes"]),
            "state": state,
            "code_challenge": _hash(verifier),
            "code_challenge_method": "S256",
        }
        pushed = self._post_with_proof("/oauth/par/", asked)
        if not pushed.is_success:
            raise UnableToPlay(_refusal(pushed), code="sign_in_refused")
        named = {"client_id": client["client_id"], "request_uri": pushed.json()["request_uri"]}
        response = self._client.get("/oauth/authorize/", params=named)
        for _ in range(MOST_PAGES):
            if response.is_redirect:
                target = urllib.parse.urljoin(str(response.request.url), response.headers["Location"])
                if target.startswith(client["redirect_uri"]):
                    return self._redeem(target, client=client, state=state, verifier=verifier)
                response = self._client.get(target)
            elif response.is_success:
                response = self._fill_in(response, email=email, password=password)
            else:
                raise UnableToPlay(_refusal(response), code="sign_in_refused")
        raise UnableToPlay("Signing in went round in circles.", code="sign_in_refused")

    def _fill_in(self, page: httpx.Response, *, email: str, password: str) -> httpx.Response:
        found = forms.read(page.text)
        form = next((form for form in found.forms if form.method == "post" and _is_known(form)), None)
        words = " ".join(found.words)[:300]
        if form is None:
            raise UnableToPlay(f"{page.url.path} shows no form to go on with: {words}", code="no_form")
        fields = dict(form.fields)
        if "login" in fields or "password" in fields:
            if "login" in fields and fields["login"] == email:
                raise UnableToPlay(f"The sign-in page refuses: {words}", code="sign_in_refused")
            fields |= {"login": email, "password": password}
        else:
            self.consent_words = [f"{term}: {text}" for term, text in found.terms]
            fields |= dict([ALLOW])
        target = urllib.parse.urljoin(str(page.url), form.action or str(page.url))
        return self._client.post(target, data=fields, headers={"Referer": str(page.url), "Origin": self._base_url})

    def _redeem(self, target: str, *, client: Mapping[str, Any], state: str, verifier: str) -> "Tokens":
        answer = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(target).query))
        if "code" not in answer or answer.get("state") != state:
            raise UnableToPlay(f"Access was refused: {answer.get('error', 'no code')}", code="access_refused")
        response = self._post_with_proof(
            "/oauth/token/",
            {
                "grant_type": "authorization_code",
                "code": answer["code"],
                "redirect_uri": client["redirect_uri"],
                "client_id": client["client_id"],
                "code_verifier": verifier,
            },
        )
        return _tokens(response)

    def _post_with_proof(self, path: str, data: Mapping[str, str]) -> httpx.Response:
        headers = {"Accept": "application/json", "DPoP": self.key.proof(method="POST", url=f"{self._base_url}{path}")}
        return self._client.post(path, data=dict(data), headers=headers)


class Tokens(dict[str, Any]):
    """The token endpoint's answer."""

    @property
    def access(self) -> str:
        return str(self["access_token"])


def system_token(*, base_url: str, client: Mapping[str, Any]) -> Tokens:
    """Return a token for one of the utility's systems (client credentials).

    :raises UnableToPlay: refused.
    """
    response = httpx.post(
        f"{base_url}/oauth/token/",
        data={"grant_type": "client_credentials", "scope": " ".join(client["scopes"])},
        auth=(client["client_id"], client["client_secret"]),
        timeout=TIMEOUT_SECONDS,
        trust_env=False,
    )
    return _tokens(response)


def is_ready(*, base_url: str) -> str:
    """Return nothing when the stack is ready, else what stands against it."""
    try:
        response = httpx.get(f"{base_url}/health/ready", timeout=TIMEOUT_SECONDS, trust_env=False)
        checks = response.json()["checks"]
    except (httpx.HTTPError, ValueError, KeyError):
        return f"nothing answers at {base_url}"
    return "; ".join(f"{name} {check['problem']}" for name, check in checks.items() if not check["ok"])


def _is_known(form: forms.Form) -> bool:
    return "login" in form.fields or "password" in form.fields or ALLOW in form.buttons


def _hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def _tokens(response: httpx.Response) -> Tokens:
    if not response.is_success:
        raise UnableToPlay(_refusal(response), code="token_refused")
    return Tokens(response.json())


def _refusal(response: httpx.Response) -> str:
    asked = f"{response.request.method} {response.request.url.path} answered {response.status_code}"
    try:
        body = response.json()
    except ValueError:
        return asked
    detail = body.get("detail") or body.get("error_description") or body.get("error") or body
    return f"{asked}: {detail} {body.get('errors', '')}".strip()
