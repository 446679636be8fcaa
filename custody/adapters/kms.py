"""Keys in AWS KMS: operator keys that sign there (`ECC_SECG_P256K1`), and a key that wraps data keys.

`KMS_ENDPOINT` (`https://kms.<region>.amazonaws.com` if left out), `AWS_REGION`, and the credentials of the process
(`aws_credentials`). Requests are signed by Signature Version 4.
"""

import base64
import functools
import hashlib
import hmac
import json
import os
import urllib.parse
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from custody.adapters import aws_credentials
from custody.domain import keys
from openvpp.core import clock, errors, http

SCHEME = "kms:"
TIMEOUT_SECONDS = 3.0
_TYPE = "application/x-amz-json-1.1"
_PASSING = frozenset(
    {
        "ThrottlingException",
        "KMSInternalException",
        "DependencyTimeoutException",
        "KeyUnavailableException",
        "ExpiredTokenException",
    }
)


class UnableToUseKms(errors.Unreachable):
    """KMS does not answer now; try again."""


class RefusedByKms(errors.UnableTo):
    """KMS answered no: the key is disabled, is to be deleted, or is not ours."""

    status = 403


class Key:
    """A secp256k1 key in KMS."""

    __slots__ = ("_key_id", "address")

    def __init__(self, *, key_id: str, address: str) -> None:
        self._key_id = key_id
        self.address = address

    def __repr__(self) -> str:
        return f"kms.Key({self.address})"

    @classmethod
    def generate(cls, *, label: str) -> "Key":
        """Make a key in KMS.

        :raises UnableToUseKms: no answer.
        :raises RefusedByKms: a final no.
        """
        made = ask(
            "CreateKey", {"KeySpec": "ECC_SECG_P256K1", "KeyUsage": "SIGN_VERIFY", "Description": f"openvpp {label}"}
        )
        key_id = str(made["KeyMetadata"]["KeyId"])
        public = serialization.load_der_public_key(
            base64.b64decode(ask("GetPublicKey", {"KeyId": key_id})["PublicKey"])
        )
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise UnableToUseKms("KMS made a key of another kind.")
        point = public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        return cls(key_id=key_id, address=keys.address_of(public_key=point))

    @property
    def reference(self) -> str:
        """Return what names the key."""
        return SCHEME + self._key_id

    def sign(self, *, digest: bytes) -> bytes:
        """Sign a 32-byte digest as is: r, s in the lower half, v 27 or 28.

        :raises UnableToUseKms: no answer, or one by another key.
        :raises RefusedByKms: a final no.
        """
        answer = ask(
            "Sign",
            {
                "KeyId": self._key_id,
                "Message": base64.b64encode(digest).decode(),
                "MessageType": "DIGEST",
                "SigningAlgorithm": "ECDSA_SHA_256",
            },
        )
        try:
            r, s = utils.decode_dss_signature(base64.b64decode(answer["Signature"]))
            return keys.complete(r=r, s=s, digest=digest, address=self.address)
        except ValueError as error:
            raise UnableToUseKms(f"KMS signed something else: {error}") from None


class Wrapper:
    """A symmetric key of KMS that wraps data keys; what they belong to is their encryption context."""

    __slots__ = ("_key_id", "id")

    def __init__(self, *, key_id: str) -> None:
        self._key_id = key_id
        self.id = hashlib.sha256(f"{SCHEME}{key_id}".encode()).hexdigest()[:32]

    def __repr__(self) -> str:
        return f"kms.Wrapper({self._key_id})"

    def wrap(self, *, data_key: keys.Secret, nonce: bytes, associated_data: bytes) -> bytes:
        answer = ask(
            "Encrypt",
            {
                "KeyId": self._key_id,
                "Plaintext": base64.b64encode(data_key.reveal()).decode(),
                "EncryptionContext": _context(nonce, associated_data),
            },
        )
        return base64.b64decode(answer["CiphertextBlob"])

    def unwrap(self, *, wrapped: bytes, nonce: bytes, associated_data: bytes) -> keys.Secret | None:
        """Return the data key, or None when it was not wrapped by this key for this binding."""
        try:
            answer = ask(
                "Decrypt",
                {
                    "KeyId": self._key_id,
                    "CiphertextBlob": base64.b64encode(wrapped).decode(),
                    "EncryptionContext": _context(nonce, associated_data),
                },
            )
        except RefusedByKms as refusal:
            if refusal.code == "InvalidCiphertextException":
                return None
            raise
        return keys.Secret(base64.b64decode(answer["Plaintext"]))


def ask(action: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Send one request to KMS.

    :raises UnableToUseKms: no answer, or none now.
    :raises RefusedByKms: a final no.
    """
    endpoint, content = _endpoint(), json.dumps(body).encode()
    try:
        answer = _client(endpoint).post(path="/", content=content, headers=_signed(endpoint, action, content))
    except errors.Refused as refusal:
        name = _name_of(refusal.body)
        if name in _PASSING:
            raise UnableToUseKms(f"KMS: {name}") from None
        raise RefusedByKms(f"KMS refused: {name}.", code=name) from None
    if not isinstance(answer, dict):
        raise UnableToUseKms("KMS did not send a JSON object.")
    return answer


def _endpoint() -> str:
    return os.environ.get("KMS_ENDPOINT") or f"https://kms.{os.environ.get('AWS_REGION', 'us-east-1')}.amazonaws.com"


def _context(nonce: bytes, associated_data: bytes) -> dict[str, str]:
    return {"binding": hashlib.sha256(nonce + associated_data).hexdigest()}


def _name_of(body: bytes) -> str:
    try:
        return str(json.loads(body)["__type"]).rpartition("#")[2]
    except (ValueError, KeyError, TypeError):
        return "refused"


def _signed(endpoint: str, action: str, content: bytes) -> dict[str, str]:
    """Return the headers of a request, with its signature (AWS Signature Version 4)."""
    now, region = clock.get_now(), os.environ.get("AWS_REGION", "us-east-1")
    own = aws_credentials.find(now=now)
    headers = {
        "content-type": _TYPE,
        "host": urllib.parse.urlsplit(endpoint).netloc,
        "x-amz-date": now.strftime("%Y%m%dT%H%M%SZ"),
        "x-amz-target": f"TrentService.{action}",
    }
    if own.token:
        headers["x-amz-security-token"] = own.token
    names = ";".join(sorted(headers))
    listed = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    canonical = f"POST\n/\n\n{listed}\n{names}\n{hashlib.sha256(content).hexdigest()}"
    scope = f"{now:%Y%m%d}/{region}/kms/aws4_request"
    wish = f"AWS4-HMAC-SHA256\n{headers['x-amz-date']}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{own.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, wish.encode(), "sha256").hex()
    credential = f"{own.access_key}/{scope}"
    authorization = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return headers | {"authorization": authorization}


@functools.lru_cache(maxsize=2)
def _client(endpoint: str) -> http.Client:
    return http.Client(base_url=endpoint, timeout=TIMEOUT_SECONDS)
