"""Proof of possession (RFC 9449): a request is signed with the key that its token or code is bound to.

A proof is good for one request, for a minute. What it was used for decides where its use is kept: a proof that changes
something has a row, one that only reads is remembered by Redis, and by a row where Redis does not answer.
"""

import base64
import datetime
import hashlib
import json
import logging
from typing import Any

import redis
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from django import http
from django.conf import settings
from django.core.cache import cache
from jwcrypto import common, jwk

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
_ES256_BYTES = 64
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
    key, claims = _open(proof)
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
    jkt: str = key.thumbprint()
    if not _use_once(name=f"{jkt}.{jti}", is_reading=method in _READS, now=now):
        raise UnableToTrustProof("This proof was used before.", code="invalid_dpop_proof")
    return jkt


def thumb(text: str, /) -> str:
    """Return SHA-256 of ASCII text in base64url."""
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def _open(proof: str) -> tuple[jwk.JWK, dict[str, Any]]:
    """Return the key in a proof's header and its claims, once the signature is known to be good (RFC 7515, 5.2)."""
    parts = proof.split(".")
    if len(proof) > MOST_CHARACTERS or len(parts) != 3:  # noqa: PLR2004 - header, claims, signature
        raise UnableToTrustProof("The proof must be one compact JWT.", code="invalid_dpop_proof")
    try:
        header, claims = (json.loads(common.base64url_decode(part)) for part in parts[:2])
        named, algorithm = header.get("jwk"), header.get("alg")
        if header.get("typ") != "dpop+jwt" or algorithm not in ALGORITHMS or not isinstance(named, dict):
            raise UnableToTrustProof(
                "Its header must say typ dpop+jwt, alg ES256 or EdDSA, and a jwk.", code="invalid_dpop_proof"
            )
        if "crit" in header or "b64" in header:
            raise UnableToTrustProof("Its header asks for an extension of JWS.", code="invalid_dpop_proof")
        if "d" in named or (named.get("kty"), named.get("crv")) != _CURVES[algorithm]:
            raise UnableToTrustProof("Its jwk must be a public key of P-256 or Ed25519.", code="invalid_dpop_proof")
        key = jwk.JWK(**{name: named[name] for name in ("kty", "crv", "x", "y") if name in named})
        _verify(key, signature=common.base64url_decode(parts[2]), signed=proof.rpartition(".")[0].encode())
    except (
        common.JWException,
        InvalidSignature,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
    ) as bad:
        raise UnableToTrustProof("The proof's signature is not good.", code="invalid_dpop_proof") from bad
    if not isinstance(claims, dict):
        raise UnableToTrustProof("The proof has no claims.", code="invalid_dpop_proof")
    return key, claims


def _verify(key: jwk.JWK, *, signature: bytes, signed: bytes) -> None:
    """Check a signature of RFC 7518, section 3.4, or RFC 8037, section 3.1.

    :raises InvalidSignature, ValueError: it is not the key's over this.
    """
    public = key.get_op_key("verify")
    if not isinstance(public, ec.EllipticCurvePublicKey):
        public.verify(signature, signed)
        return
    if len(signature) != _ES256_BYTES:
        raise ValueError("r and s are 32 bytes each.")
    r, s = (int.from_bytes(half) for half in (signature[:32], signature[32:]))
    public.verify(utils.encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))


def _use_once(*, name: str, is_reading: bool, now: datetime.datetime) -> bool:
    """Say whether a proof is used for the first time."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    kept_for = LIFETIME + 2 * CLOCK_SKEW
    try:
        is_new = cache.add(f"dpop:{digest}", 1, timeout=int(kept_for.total_seconds()))
        if not is_new or is_reading:
            return is_new
    except redis.RedisError:
        logger.warning("Redis does not answer: a proof's use is kept in the database alone")
    return models.ProofUse.use(digest=digest, expires_at=now + kept_for)
