"""Proof of possession (RFC 9449): a request is signed with the key that its token or code is bound to.

A proof is good for one request, for a minute. What it was used for decides where its use is kept: a proof that changes
something has a row, one that only reads is remembered by Redis, and by a row where Redis does not answer.
"""

import base64
import datetime
import hashlib
import json
import logging
import re
from typing import Any

import redis
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from django import http
from django.conf import settings
from django.core.cache import cache

from openvpp.core import errors
from wallets import models

logger = logging.getLogger(__name__)

SCHEME = "DPoP"
ALGORITHMS = ("ES256", "EdDSA")
LIFETIME = datetime.timedelta(seconds=60)
CLOCK_SKEW = datetime.timedelta(seconds=10)
MOST_CHARACTERS = 4096
MOST_JTI_CHARACTERS = 256
# Where the endpoints leave the thumbprint of a proven key for the validator: no client can set a name without `HTTP_`.
PROVEN_KEY = "openvpp.dpop_jkt"
_CURVES = {"ES256": ("EC", "P-256"), "EdDSA": ("OKP", "Ed25519")}
_P256 = ec.SECP256R1()
_ES256 = ec.ECDSA(hashes.SHA256())
_ES256_BYTES = 64
# Base64url of 32 bytes: what each coordinate must be (RFC 7518, section 6.2.1.2; RFC 8037, section 2).
_COORDINATE = re.compile("[A-Za-z0-9_-]{43}")
_KEPT_FOR = LIFETIME + 2 * CLOCK_SKEW
_READS = frozenset({"GET", "HEAD", "OPTIONS"})


class UnableToTrustProof(errors.UnableTo):
    """The proof is not one of this request, or was used before."""

    status = 400


def read_request(*, request: http.HttpRequest, now: datetime.datetime) -> str:
    """Return the thumbprint (RFC 7638) of the key that signed a request without an access token; "" without a proof.

    :raises UnableToTrustProof: there is a proof, and it is not good.
    """
    proof = request.headers.get("DPoP")
    if proof is None:
        return ""
    return check(proof=proof, method=request.method or "", path=request.path, now=now)


def check(*, proof: str, method: str, path: str, now: datetime.datetime, access_token: str | None = None) -> str:
    """Return the thumbprint of the key that signed a request, and use the proof up.

    :raises UnableToTrustProof: not signed by the key in its header, for another method, address or token, of another
        time, or used before.
    """
    jkt, claims = _open(proof)
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= MOST_JTI_CHARACTERS:
        raise UnableToTrustProof("jti is missing or too long.", code="invalid_dpop_proof")
    if claims.get("htm") != method:
        raise UnableToTrustProof("htm is not the method of this request.", code="invalid_dpop_proof")
    htu = claims.get("htu")
    if not isinstance(htu, str) or htu.partition("#")[0].partition("?")[0] != f"{settings.ISSUER}{path}":
        raise UnableToTrustProof("htu is not the address of this request.", code="invalid_dpop_proof")
    issued_at = claims.get("iat")
    if not isinstance(issued_at, int | float) or isinstance(issued_at, bool):
        raise UnableToTrustProof("iat is missing.", code="invalid_dpop_proof")
    if not now.timestamp() - LIFETIME.total_seconds() <= issued_at <= now.timestamp() + CLOCK_SKEW.total_seconds():
        raise UnableToTrustProof("iat is too long ago, or in the future.", code="invalid_dpop_proof")
    if access_token is not None and claims.get("ath") != thumb(access_token):
        raise UnableToTrustProof("ath is not the hash of this access token.", code="invalid_dpop_proof")
    if not _use_once(name=f"{jkt}.{jti}", is_reading=method in _READS, now=now):
        raise UnableToTrustProof("This proof was used before.", code="invalid_dpop_proof")
    return jkt


def thumb(text: str, /) -> str:
    """Return SHA-256 of ASCII text in base64url."""
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def _open(proof: str) -> tuple[str, dict[str, Any]]:
    """Return the thumbprint of the key in a proof's header, and its claims, once the signature is known to be good.

    RFC 7515, section 5.2.
    """
    parts = proof.split(".")
    if len(proof) > MOST_CHARACTERS or len(parts) != 3:  # noqa: PLR2004 - header, claims, signature
        raise UnableToTrustProof("The proof must be one compact JWT.", code="invalid_dpop_proof")
    try:
        header, claims = (json.loads(_decode(part)) for part in parts[:2])
        named, algorithm = header.get("jwk"), header.get("alg")
        if header.get("typ") != "dpop+jwt" or algorithm not in ALGORITHMS or not isinstance(named, dict):
            raise UnableToTrustProof(
                "Its header must say typ dpop+jwt, alg ES256 or EdDSA, and a jwk.", code="invalid_dpop_proof"
            )
        if "crit" in header or "b64" in header:
            raise UnableToTrustProof("Its header asks for an extension of JWS.", code="invalid_dpop_proof")
        if "d" in named or (named.get("kty"), named.get("crv")) != _CURVES[algorithm]:
            raise UnableToTrustProof("Its jwk must be a public key of P-256 or Ed25519.", code="invalid_dpop_proof")
        verify = _verify_es256 if algorithm == "ES256" else _verify_eddsa
        jkt = verify(named, signature=_decode(parts[2]), signed=proof.rpartition(".")[0].encode())
    except (InvalidSignature, ValueError, TypeError, KeyError, AttributeError, RecursionError) as bad:
        raise UnableToTrustProof("The proof's signature is not good.", code="invalid_dpop_proof") from bad
    if not isinstance(claims, dict):
        raise UnableToTrustProof("The proof has no claims.", code="invalid_dpop_proof")
    return jkt, claims


def _verify_es256(jwk: dict[str, Any], /, *, signature: bytes, signed: bytes) -> str:
    """Check a signature of RFC 7518, section 3.4; return the thumbprint of its key (RFC 7638).

    :raises InvalidSignature, KeyError, TypeError, ValueError: it is not the key's over this, or there is no such key.
    """
    x, y = jwk["x"], jwk["y"]
    public = ec.EllipticCurvePublicKey.from_encoded_point(_P256, b"\x04" + _coordinate(x) + _coordinate(y))
    if len(signature) != _ES256_BYTES:
        raise ValueError("r and s are 32 bytes each.")
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    public.verify(utils.encode_dss_signature(r, s), signed, _ES256)
    return thumb(f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}')


def _verify_eddsa(jwk: dict[str, Any], /, *, signature: bytes, signed: bytes) -> str:
    """Do the same for a signature of RFC 8037, section 3.1."""
    x = jwk["x"]
    ed25519.Ed25519PublicKey.from_public_bytes(_coordinate(x)).verify(signature, signed)
    return thumb(f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}')


def _coordinate(text: str, /) -> bytes:
    if _COORDINATE.fullmatch(text) is None:
        raise ValueError("A coordinate is 32 bytes in base64url.")
    return _decode(text)


def _decode(text: str, /) -> bytes:
    """Return the bytes of base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64decode(text + "==")


def _use_once(*, name: str, is_reading: bool, now: datetime.datetime) -> bool:
    """Say whether a proof is used for the first time."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    if is_reading:
        try:
            return cache.add(f"dpop:{digest}", 1, timeout=_KEPT_FOR.total_seconds())
        except redis.RedisError:
            logger.warning("Redis does not answer: a proof's use is kept in the database alone")
    return models.ProofUse.use(digest=digest, expires_at=now + _KEPT_FOR)
