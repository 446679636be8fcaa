"""ID tokens by ES256, keys that rotate, one resource, metadata that tells all of it."""

from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django import test
from django.core import exceptions
from jwcrypto import jwk, jwt

from tests.integration.oauth import flow
from wallets import models
from wallets.oauth import id_tokens

pytestmark = pytest.mark.django_db(transaction=True)


def pem(key: Any) -> str:
    return str(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
    )


def published() -> jwk.JWKSet:
    return jwk.JWKSet.from_json(test.Client().get("/.well-known/jwks.json").content.decode())


def test_an_id_token_is_checked_with_the_published_key_by_es256_alone(app: flow.MobileApp) -> None:
    tokens = app.get_tokens("openid account:read")
    checked = jwt.JWT(jwt=tokens["id_token"], key=published(), algs=["ES256"])
    assert checked.token.jose_header["alg"] == "ES256"
    told = test.Client().get("/.well-known/jwks.json").json()["keys"]
    assert all("d" not in key and key["use"] == "sig" for key in told)


def test_keys_rotate_without_breaking_what_was_signed_before(app: flow.MobileApp, settings: Any) -> None:
    before = app.get_tokens("openid")["id_token"]
    settings.OIDC_PRIVATE_KEY = pem(ec.generate_private_key(ec.SECP256R1())) + settings.OIDC_PRIVATE_KEY
    after = app.get_tokens("openid")["id_token"]
    keys = published()
    assert len(keys["keys"]) == 2
    headers = [jwt.JWT(jwt=token, key=keys, algs=["ES256"]).token.jose_header for token in (before, after)]
    assert headers[0]["kid"] != headers[1]["kid"]


def test_a_key_of_another_kind_is_refused_with_words(settings: Any) -> None:
    settings.OIDC_PRIVATE_KEY = pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    with pytest.raises(exceptions.ImproperlyConfigured, match=r"P-256"):
        id_tokens.keys()


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_one_resource_may_be_named(app: flow.MobileApp, slash: str) -> None:
    code = app.get_code(flow.READING, resource=f"http://127.0.0.1:8000{slash}")
    tokens = app.redeem(code, resource=f"http://127.0.0.1:8000{slash}").json()
    assert models.AccessToken.objects.get().resource == ["http://127.0.0.1:8000"]
    assert flow.call("/api/v1/me/", tokens["access_token"]).status_code == 200
    models.AccessToken.objects.update(resource=["https://other.example.com"])
    assert flow.call("/api/v1/me/", tokens["access_token"]).status_code == 401


def test_another_resource_is_refused_wherever_it_is_named(app: flow.MobileApp) -> None:
    other = "https://other.example.com"
    assert flow.parameters(app.open_consent(flow.READING, resource=other))["error"] == "invalid_target"
    code = app.get_code(flow.READING)
    refused = app.redeem(code, resource=other)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target")
    assert not models.AccessToken.objects.exists()


def test_metadata_names_what_there_is() -> None:
    told = test.Client().get("/.well-known/oauth-authorization-server").json()
    assert told["pushed_authorization_request_endpoint"] == "http://127.0.0.1:8000/oauth/par/"
    assert told["authorization_details_types_supported"] == ["ovpp_session_key"]
    assert told["dpop_signing_alg_values_supported"] == ["ES256", "EdDSA"]
    assert told["id_token_signing_alg_values_supported"] == ["ES256"]
    resource = test.Client().get("/.well-known/oauth-protected-resource").json()
    assert resource["dpop_signing_alg_values_supported"] == ["ES256", "EdDSA"]
