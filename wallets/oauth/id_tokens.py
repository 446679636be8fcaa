"""The keys that sign ID tokens (ES256), and those that signed them before.

`OIDC_PRIVATE_KEY` holds one or more EC private keys (P-256, PEM). The first signs; all are published. To rotate, put
the new key second, wait until the published keys are no longer cached (five minutes), move it to the front, and take
the old one away when its last ID token has expired (ten minutes).
"""

import functools
import json
import re
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from django.core import exceptions
from jwcrypto import jwk, jwt

ALGORITHM = "ES256"
_BLOCK = re.compile(r"-----BEGIN [A-Z ]+-----.+?-----END [A-Z ]+-----", re.DOTALL)


def keys() -> tuple[jwk.JWK, ...]:
    """Return the configured keys, the one that signs first; none when nobody gets an ID token.

    :raises ImproperlyConfigured: one of them is no private key of P-256.
    """
    return _read(settings.OIDC_PRIVATE_KEY)


def public_keys() -> list[dict[str, Any]]:
    """Return what a client checks an ID token with, as RFC 7517 writes it."""
    return [
        {**json.loads(key.export_public()), "use": "sig", "alg": ALGORITHM, "kid": key.thumbprint()} for key in keys()
    ]


def sign(claims: dict[str, Any], /) -> str:
    """Return an ID token with these claims."""
    key = keys()[0]
    token = jwt.JWT(
        header=json.dumps({"typ": "JWT", "alg": ALGORITHM, "kid": key.thumbprint()}),
        claims=json.dumps(claims, default=str),
        algs=[ALGORITHM],
    )
    token.make_signed_token(key)
    return str(token.serialize())


@functools.lru_cache(maxsize=8)
def _read(text: str) -> tuple[jwk.JWK, ...]:
    found = []
    for block in _BLOCK.findall(text):
        try:
            key = serialization.load_pem_private_key(block.encode(), password=None)
        except ValueError as error:
            raise exceptions.ImproperlyConfigured("OIDC_PRIVATE_KEY holds something that is no key.") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise exceptions.ImproperlyConfigured(
                "OIDC_PRIVATE_KEY must hold EC keys of P-256: openssl genpkey -algorithm EC -pkeyopt "
                "ec_paramgen_curve:P-256"
            )
        found.append(jwk.JWK.from_pyca(key))
    return tuple(found)
