"""AWS KMS as far as we use it, over HTTP, as the real one behaves.

It signs a digest as it is given, answers DER with either half of s, refuses with a disabled key, checks the request's
Signature Version 4, and binds ciphertexts to their encryption context.
"""

import base64
import hashlib
import hmac
import http.server
import json
import os
import secrets
import threading
from collections.abc import Iterator
from typing import Any

from cryptography import exceptions as crypto_exceptions
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers import aead

ACCESS_KEY, SECRET_KEY, REGION = "AKIDTESTS", "tests-only", "eu-central-1"
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


class Refusal(Exception):
    """An error as KMS names it."""


class Kms:
    """The keys of one account."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {}
        self.disabled: set[str] = set()
        self.requests: list[str] = []
        self.tokens: set[str] = set()

    def add_wrapping_key(self) -> str:
        """Return the id of a new symmetric key."""
        key_id = secrets.token_hex(8)
        self.keys[key_id] = aead.AESGCM(aead.AESGCM.generate_key(bit_length=256))
        return key_id

    def answer(self, action: str, body: dict[str, Any]) -> dict[str, Any]:
        self.requests.append(action)
        if action == "CreateKey":
            assert (body["KeySpec"], body["KeyUsage"]) == ("ECC_SECG_P256K1", "SIGN_VERIFY")
            key_id = secrets.token_hex(8)
            self.keys[key_id] = ec.generate_private_key(ec.SECP256K1())
            return {"KeyMetadata": {"KeyId": key_id}}
        key = self.keys.get(body["KeyId"])
        if key is None:
            raise Refusal("NotFoundException")
        if body["KeyId"] in self.disabled:
            raise Refusal("DisabledException")
        answers = {"GetPublicKey": _public, "Sign": _sign, "Encrypt": _encrypt, "Decrypt": _decrypt}
        return answers[action](key, body)


def _public(key: Any, body: dict[str, Any]) -> dict[str, Any]:
    raw = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return {"KeyId": body["KeyId"], "PublicKey": base64.b64encode(raw).decode()}


def _sign(key: Any, body: dict[str, Any]) -> dict[str, Any]:
    digest = base64.b64decode(body["Message"])
    assert (body["MessageType"], body["SigningAlgorithm"], len(digest)) == ("DIGEST", "ECDSA_SHA_256", 32)
    r, s = utils.decode_dss_signature(key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256()))))
    either = secrets.choice((s, _ORDER - s))
    return {"Signature": base64.b64encode(utils.encode_dss_signature(r, either)).decode()}


def _encrypt(key: Any, body: dict[str, Any]) -> dict[str, Any]:
    nonce, context = os.urandom(12), json.dumps(body["EncryptionContext"], sort_keys=True).encode()
    sealed = nonce + key.encrypt(nonce, base64.b64decode(body["Plaintext"]), context)
    return {"CiphertextBlob": base64.b64encode(sealed).decode()}


def _decrypt(key: Any, body: dict[str, Any]) -> dict[str, Any]:
    raw, context = base64.b64decode(body["CiphertextBlob"]), json.dumps(body["EncryptionContext"], sort_keys=True)
    try:
        return {"Plaintext": base64.b64encode(key.decrypt(raw[:12], raw[12:], context.encode())).decode()}
    except crypto_exceptions.InvalidTag:
        raise Refusal("InvalidCiphertextException") from None


def serve(kms: Kms) -> Iterator[str]:
    """Serve it on loopback; gives its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["content-length"]))
            status, answer = 200, {}
            try:
                _require_signed(self.headers, content)
                kms.tokens.add(self.headers.get("x-amz-security-token", ""))
                answer = kms.answer(self.headers["x-amz-target"].removeprefix("TrentService."), json.loads(content))
            except Refusal as refusal:
                status, answer = 400, {"__type": f"com.amazonaws.kms#{refusal}", "message": "no"}
            raw = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _require_signed(headers: Any, content: bytes) -> None:
    """Check Signature Version 4, as its specification puts it together."""
    kind, _, rest = headers["authorization"].partition(" ")
    parts = dict(part.split("=", 1) for part in rest.split(", "))
    access_key, day, region, service, end = parts["Credential"].split("/")
    if (kind, access_key, region, service, end) != ("AWS4-HMAC-SHA256", ACCESS_KEY, REGION, "kms", "aws4_request"):
        raise Refusal("UnrecognizedClientException")
    names = parts["SignedHeaders"]
    listed = "".join(f"{name}:{headers[name].strip()}\n" for name in names.split(";"))
    canonical = f"POST\n/\n\n{listed}\n{names}\n{hashlib.sha256(content).hexdigest()}"
    scope = f"{day}/{region}/kms/aws4_request"
    wish = "\n".join((kind, headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = b"AWS4" + SECRET_KEY.encode()
    for part in (day, region, "kms", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    if not hmac.compare_digest(hmac.digest(key, wish.encode(), "sha256").hex(), parts["Signature"]):
        raise Refusal("InvalidSignatureException")
