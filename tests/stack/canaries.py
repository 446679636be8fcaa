"""Secrets of every kind that a stack hands out or is told, to be looked for afterwards where none may stand."""

import base64
import hmac
import secrets
import struct
import time
import urllib.parse
from collections.abc import Mapping
from typing import Any

import httpx

from openvpp.demo.adapters import phone

_TOTP_PERIOD_S = 30
_API = "/_allauth/app/v1"


class WatchedBrowser(phone.Browser):
    """A browser that remembers what nothing of ours may keep in clear."""

    def __init__(self, *, base_url: str) -> None:
        super().__init__(base_url=base_url)
        self.seen: dict[str, str] = {}

    def _redeem(self, target: str, *, client: Mapping[str, Any], state: str, verifier: str) -> phone.Tokens:
        self.seen["authorization code"] = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(target).query))["code"]
        self.seen["code verifier"] = verifier
        self.seen |= {f"cookie {cookie.name}": str(cookie.value) for cookie in self._client.cookies.jar}
        return super()._redeem(target, client=client, state=state, verifier=verifier)

    def _post_with_proof(self, path: str, data: Mapping[str, str]) -> httpx.Response:
        answer = super()._post_with_proof(path, data)
        if "request_uri" in (said := answer.json()):
            self.seen["request URI"] = said["request_uri"]
        return answer

    def tokens(self, *, client: Mapping[str, Any], email: str, password: str) -> phone.Tokens:
        """Sign in, and remember the tokens; the last refresh token is one that came of a rotation."""
        first = self.authorize(client=client, email=email, password=password)
        given = {"grant_type": "refresh_token", "client_id": client["client_id"]}
        answer = self._post_with_proof("/oauth/token/", {**given, "refresh_token": first["refresh_token"]})
        second = phone.Tokens(answer.json())
        for name, tokens in (("first", first), ("second", second)):
            kinds = ("access_token", "refresh_token", "id_token")
            self.seen |= {f"{name} {kind}": tokens[kind] for kind in kinds if kind in tokens}
        return second


def of_second_factors(*, base_url: str, email: str, password: str) -> dict[str, str]:
    """Sign in as an app does, mistyping first, and take a second factor; return every secret of that."""
    mistyped = "mistyped-" + secrets.token_urlsafe(16)
    with httpx.Client(base_url=base_url, trust_env=False, timeout=30) as client:
        assert client.post(f"{_API}/auth/login", json={"email": email, "password": mistyped}).status_code == 400
        signed_in = client.post(f"{_API}/auth/login", json={"email": email, "password": password})
        assert signed_in.status_code == 200, signed_in.text
        token = signed_in.json()["meta"]["session_token"]
        headers = {"X-Session-Token": token}
        proven = client.post(f"{_API}/auth/reauthenticate", headers=headers, json={"password": password})
        assert proven.status_code == 200, proven.text
        headers = {"X-Session-Token": proven.json()["meta"].get("session_token", token)}
        totp = f"{_API}/account/authenticators/totp"
        secret = client.get(totp, headers=headers).json()["meta"]["secret"]
        activated = client.post(totp, headers=headers, json={"code": _code(secret)})
        assert activated.status_code == 200, activated.text
        codes = client.get(f"{_API}/account/authenticators/recovery-codes", headers=headers).json()["data"]
    listed = {f"recovery code {number}": code for number, code in enumerate(codes["unused_codes"])}
    assert listed
    tokens = {"app's session token": token, "app's later session token": headers["X-Session-Token"]}
    return {"mistyped password": mistyped, "TOTP secret": secret} | tokens | listed


def _code(secret: str) -> str:
    """Return the code of now (RFC 6238)."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.digest(key, struct.pack(">Q", int(time.time()) // _TOTP_PERIOD_S), "sha1")
    (number,) = struct.unpack(">I", digest[(at := digest[-1] & 15) : at + 4])
    return f"{(number & 0x7FFFFFFF) % 10**6:06d}"
