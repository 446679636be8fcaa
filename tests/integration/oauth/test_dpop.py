"""Proofs of possession: a stolen token without its key is nothing."""

import base64
import json
import time
from typing import Any

import pytest
import redis
from django import test
from django.core import cache
from jwcrypto import jwk, jws

from openvpp.core import cache as redis_cache
from tests.factories import wallets
from tests.integration.oauth import flow
from wallets import models

pytestmark = pytest.mark.django_db(transaction=True)

ME = "/api/v1/me/"
OTHER = jwk.JWK.generate(kty="EC", crv="P-256")
ED25519 = jwk.JWK.generate(kty="OKP", crv="Ed25519")


def call(token: str, proof: str | None, *, scheme: str = "DPoP", path: str = ME) -> Any:
    headers = {"Authorization": f"{scheme} {token}"} | ({"DPoP": proof} if proof is not None else {})
    return test.Client().get(path, headers=headers)


def unsigned(token: str) -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    header = {"typ": "dpop+jwt", "alg": "none", "jwk": flow.KEY.export_public(as_dict=True)}
    return f"{part(header)}.{part({'jti': 'x', 'htm': 'GET', 'iat': int(time.time())})}."


def symmetric() -> str:
    key = jwk.JWK.generate(kty="oct", size=256)
    proof = jws.JWS(json.dumps({"jti": "x", "htm": "GET", "iat": int(time.time())}))
    proof.add_signature(key, None, json.dumps({"typ": "dpop+jwt", "alg": "HS256", "jwk": json.loads(key.export())}))
    return str(proof.serialize(compact=True))


def no_keys() -> dict[str, dict[str, Any]]:
    """Return what looks like the phone's public key and is none."""
    public = flow.KEY.export_public(as_dict=True)
    other = OTHER.export_public(as_dict=True)
    return {
        "off the curve": public | {"y": other["y"]},
        "of another curve": public | {"crv": "P-384"},
        "of another kind of key": public | {"kty": "OKP"},
        "without y": {name: public[name] for name in ("kty", "crv", "x")},
        "with a short x": public | {"x": public["x"][:-2]},
        "with a long x": public | {"x": "A" + public["x"]},
        "with a padded x": public | {"x": public["x"] + "="},
        "with a number for x": public | {"x": 1},
        "with another alphabet": public | {"x": "+" + public["x"][1:]},
        "at infinity": public | {"x": "A" * 43, "y": "A" * 43},
    }


def test_a_token_is_bound_to_the_key_that_its_code_was_bound_to(app: flow.MobileApp) -> None:
    tokens = app.get_tokens()
    assert tokens["token_type"] == "DPoP"
    assert models.AccessToken.objects.get().dpop_jkt == flow.KEY.thumbprint()
    assert models.RefreshToken.objects.get().dpop_jkt == flow.KEY.thumbprint()
    assert (
        call(tokens["access_token"], flow.proof(flow.KEY, "GET", ME, token=tokens["access_token"])).status_code == 200
    )


def test_dpop_theft_is_refused_whatever_is_wrong_with_the_proof(app: flow.MobileApp) -> None:
    token = app.get_tokens()["access_token"]
    now = int(time.time())
    wrong: dict[str, str | None] = {
        "no proof": None,
        "empty": "",
        "garbage": "a.b.c",
        "another key": flow.proof(OTHER, "GET", ME, token=token),
        "another method": flow.proof(flow.KEY, "POST", ME, token=token),
        "another address": flow.proof(flow.KEY, "GET", "/api/v1/accounts/", token=token),
        "another host": flow.proof(flow.KEY, "GET", ME, token=token, htu=f"https://evil.example{ME}"),
        "another token": flow.proof(flow.KEY, "GET", ME, token="another"),
        "no token": flow.proof(flow.KEY, "GET", ME),
        "old": flow.proof(flow.KEY, "GET", ME, token=token, iat=now - 75),
        "of the future": flow.proof(flow.KEY, "GET", ME, token=token, iat=now + 60),
        "undated": flow.proof(flow.KEY, "GET", ME, token=token, iat=None),
        "dated true": flow.proof(flow.KEY, "GET", ME, token=token, iat=True),
        "nameless": flow.proof(flow.KEY, "GET", ME, token=token, jti=None),
        "named at length": flow.proof(flow.KEY, "GET", ME, token=token, jti="x" * 257),
        "of another kind": flow.proof(flow.KEY, "GET", ME, token=token, header={"typ": "JWT"}),
        "with another key in its header": flow.proof(
            OTHER, "GET", ME, token=token, header={"jwk": flow.KEY.export_public(as_dict=True)}
        ),
        "with a private key in its header": flow.proof(
            flow.KEY, "GET", ME, token=token, header={"jwk": json.loads(flow.KEY.export_private())}
        ),
        "unsigned": unsigned(token),
        **{name: flow.proof(flow.KEY, "GET", ME, token=token, header={"jwk": key}) for name, key in no_keys().items()},
        "symmetric": symmetric(),
    }
    for name, proof in wrong.items():
        refused = call(token, proof)
        assert refused.status_code == 401, name
        assert refused["WWW-Authenticate"].startswith("DPoP "), name
        assert 'algs="ES256 EdDSA"' in refused["WWW-Authenticate"], name
        assert refused.json()["code"] == "invalid_dpop_proof", name


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_proof_is_good_once(app: flow.MobileApp, method: str) -> None:
    token, path = app.get_tokens("openid account:read notices:read payments:write")["access_token"], ME
    if method == "POST":
        path = "/api/v1/notices/ticket/"
    one = flow.proof(flow.KEY, method, path, token=token)
    headers = {"Authorization": f"DPoP {token}", "DPoP": one}
    assert test.Client().generic(method, path, headers=headers).status_code in {200, 201}
    if method == "POST":
        cache.cache.clear()  # what writes is remembered by the database, whatever Redis forgets
    refused = test.Client().generic(method, path, headers=headers)
    assert (refused.status_code, refused.json()["detail"]) == (401, "This proof was used before.")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_proof_is_good_once_while_redis_is_away(
    app: flow.MobileApp, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = app.get_tokens("openid account:read notices:read payments:write")["access_token"]
    path = ME if method == "GET" else "/api/v1/notices/ticket/"
    headers = {"Authorization": f"DPoP {token}", "DPoP": flow.proof(flow.KEY, method, path, token=token)}
    asked: list[str] = []

    def refuse(_cache: object, key: str, *_: object, **__: object) -> bool:
        asked.append(key)
        raise redis.ConnectionError

    monkeypatch.setattr(redis_cache.RedisCache, "add", refuse)

    answers = [test.Client().generic(method, path, headers=headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200 if method == "GET" else 201, 401]
    assert answers[1].json()["detail"] == "This proof was used before."
    assert len([key for key in asked if key.startswith("dpop:")]) == (2 if method == "GET" else 0)


def test_a_bound_token_as_bearer_and_a_bearer_token_as_bound_are_refused(app: flow.MobileApp) -> None:
    token = app.get_tokens()["access_token"]
    refused = call(token, None, scheme="Bearer")
    assert (refused.status_code, refused.json()["code"]) == (401, "invalid_token")
    assert call(token, flow.proof(flow.KEY, "GET", ME, token=token), scheme="Bearer").status_code == 401
    plain = str(wallets.AccessToken.create(user=app.user).token)
    assert call(plain, None, scheme="Bearer").status_code == 200
    assert call(plain, flow.proof(flow.KEY, "GET", ME, token=plain)).status_code == 401


def test_userinfo_asks_for_the_proof_too(app: flow.MobileApp) -> None:
    token = app.get_tokens("openid payments:write")["access_token"]
    assert call(token, None, scheme="Bearer", path="/oauth/userinfo/").status_code == 401
    assert flow.call("/oauth/userinfo/", token).json()["sub"] == str(app.user.pk)


def test_both_schemes_are_named_to_whoever_sends_none() -> None:
    challenge = test.Client().get(ME)["WWW-Authenticate"]
    assert challenge == 'Bearer realm="openvpp", DPoP realm="openvpp", algs="ES256 EdDSA"'


def test_a_phone_may_keep_an_ed25519_key(app: flow.MobileApp) -> None:
    app.key = None
    jkt = ED25519.thumbprint()
    pushed = app.push(**app.query(dpop_jkt=jkt))
    code = flow.parameters(app.answer(app.open_pushed(pushed.json()["request_uri"])))["code"]
    tokens = app.redeem(code, proof=flow.proof(ED25519, "POST", "/oauth/token/", alg="EdDSA")).json()
    token = tokens["access_token"]
    assert models.AccessToken.objects.get().dpop_jkt == jkt
    assert call(token, flow.proof(ED25519, "GET", ME, token=token, alg="EdDSA")).status_code == 200


def test_a_code_bound_to_a_key_is_redeemed_with_no_other(app: flow.MobileApp) -> None:
    code = app.get_code()
    thief = flow.MobileApp(application=app.application, user=None, verifier=app.verifier, key=OTHER)
    assert thief.redeem(code).json()["error"] == "invalid_grant"
    thief.key = None
    assert thief.redeem(code).json()["error"] == "invalid_grant"
    assert not models.AccessToken.objects.exists()
    assert app.redeem(code).status_code == 200


def test_leave_to_spend_without_a_key_is_asked_for_by_no_client(app: flow.MobileApp) -> None:
    app.key = None
    confidential = flow.MobileApp(
        application=wallets.ConfidentialApplication.create(utility=app.application.utility),
        user=app.user,
        redirect_uri="https://app.example.com/callback",
        secret="very secret",
        key=None,
    )
    for client in (app, confidential):
        refused = client.push(**client.query())
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
        assert "bound to a key" in refused.json()["error_description"]
    assert not models.PushedRequest.objects.exists()


def test_a_bad_proof_at_the_token_endpoint_redeems_nothing(app: flow.MobileApp) -> None:
    code = app.get_code()
    for proof in ("x", "", flow.proof(flow.KEY, "GET", "/oauth/token/"), flow.proof(flow.KEY, "POST", "/oauth/par/")):
        refused = app.redeem(code, proof=proof)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_dpop_proof")
    assert not models.AccessToken.objects.exists()
    assert app.redeem(code).status_code == 200


def test_a_stolen_refresh_token_with_another_key_ends_the_family_and_the_grant(app: flow.MobileApp) -> None:
    tokens = app.get_tokens()
    thief = flow.MobileApp(application=app.application, user=None, key=None)
    assert thief.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert flow.call(ME, tokens["access_token"]).status_code == 200
    thief.key = OTHER
    assert thief.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert flow.call(ME, tokens["access_token"]).status_code == 401
    assert app.refresh(tokens["refresh_token"]).status_code == 400
    grant = models.SessionKeyGrant.objects.get()
    assert (grant.state, grant.key.disabled_at is not None) == ("revoked", True)


def test_the_same_refresh_within_ten_seconds_is_the_same_answer_and_nobody_elses_to_read(app: flow.MobileApp) -> None:
    tokens = app.get_tokens()
    first, again = app.refresh(tokens["refresh_token"]), app.refresh(tokens["refresh_token"])
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    assert models.RefreshToken.objects.count() == 2
    sealed = bytes(models.RefreshToken.objects.get(revoked__isnull=False).sealed_answer)
    assert first.json()["access_token"].encode() not in sealed


@pytest.mark.parametrize("scope", [flow.SPENDING, flow.READING])
@pytest.mark.parametrize("end", ["revocation", "connected apps", "sign-out everywhere", "the person is disabled"])
def test_an_end_also_ends_the_answer_that_could_be_given_again(app: flow.MobileApp, scope: str, end: str) -> None:
    tokens = app.get_tokens(scope)
    second = app.refresh(tokens["refresh_token"]).json()
    if end == "revocation":
        assert app.revoke(second["refresh_token"]).status_code == 200
    elif end == "the person is disabled":
        type(app.user).objects.update(is_active=False)
    else:
        grant, refresh = models.SessionKeyGrant.objects.first(), models.RefreshToken.objects.first()
        assert refresh is not None
        named = {"family": refresh.token_family} if grant is None else {"grant": grant.pk}
        pressed = named if end == "connected apps" else {"everywhere": "yes"}
        assert app.browser.post("/accounts/apps/", pressed).status_code == 302
    refused = app.refresh(tokens["refresh_token"])
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


def test_introspection_says_what_a_token_is_bound_to_and_may_spend(app: flow.MobileApp) -> None:
    web = wallets.ConfidentialApplication.create(utility=app.application.utility)
    mine = flow.MobileApp(
        application=web, user=app.user, redirect_uri="https://app.example.com/callback", secret="very secret"
    )
    tokens = mine.get_tokens()
    body = {"client_id": web.client_id, "client_secret": "very secret", "token": tokens["access_token"]}
    about = test.Client().post("/oauth/introspect/", body).json()
    assert (about["token_type"], about["cnf"]) == ("DPoP", {"jkt": flow.KEY.thumbprint()})
    assert about["authorization_details"] == tokens["authorization_details"]
    assert about["authorization_details"] == models.SessionKeyGrant.objects.get().authorization_details
