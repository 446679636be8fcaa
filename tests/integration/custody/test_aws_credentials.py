"""A container's credentials: asked for with its token, kept until they are nearly over, and sent with each request."""

import datetime
import http.server
import json
import pathlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from custody.adapters import aws_credentials, kms
from openvpp.core import clock
from tests.fakes import kms as fake_kms

HOUR = datetime.timedelta(hours=1)


class Place:
    """Where a container gets its credentials."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.status = 200
        self.lifetime = HOUR

    def answer(self, authorization: str) -> dict[str, Any]:
        self.asked.append(authorization)
        return {
            "AccessKeyId": fake_kms.ACCESS_KEY,
            "SecretAccessKey": fake_kms.SECRET_KEY,
            "Token": f"session-{len(self.asked)}",
            "Expiration": (clock.get_now() + self.lifetime).isoformat().replace("+00:00", "Z"),
        }


@pytest.fixture
def place(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    made = Place()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            raw = json.dumps(made.answer(self.headers.get("Authorization", ""))).encode()
            self.send_response(made.status)
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    token = tmp_path / "token"
    token.write_text("of the pod\n")
    aws_credentials._KEPT.clear()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        monkeypatch.setenv(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{server.server_port}/v1/credentials"
        )
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(token))
        yield made
        server.shutdown()
        thread.join()


def test_kms_is_asked_with_what_the_container_gets(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    account = fake_kms.Kms()
    served = fake_kms.serve(account)
    monkeypatch.setenv("KMS_ENDPOINT", next(served))
    monkeypatch.setenv("AWS_REGION", fake_kms.REGION)
    key = kms.Key.generate(label="relayer:1")
    key.sign(digest=bytes(32))
    assert account.requests == ["CreateKey", "GetPublicKey", "Sign"]
    assert account.tokens == {"session-1"}
    assert place.asked == ["of the pod"]
    next(served, None)


def test_they_are_renewed_before_they_are_over(place: Place) -> None:
    now = clock.get_now()
    assert aws_credentials.find(now=now).token == "session-1"
    assert aws_credentials.find(now=now + HOUR - datetime.timedelta(minutes=6)).token == "session-1"
    assert aws_credentials.find(now=now + HOUR - datetime.timedelta(minutes=4)).token == "session-2"
    assert "session" not in repr(aws_credentials.find(now=now))
    assert fake_kms.SECRET_KEY not in repr(aws_credentials.find(now=now))


def test_without_them_nothing_is_asked(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.status = 403
    with pytest.raises(aws_credentials.UnableToFindCredentials):
        aws_credentials.find(now=clock.get_now())
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://198.51.100.1/credentials")
    with pytest.raises(aws_credentials.UnableToFindCredentials, match="on this machine alone"):
        aws_credentials.find(now=clock.get_now())
    monkeypatch.delenv("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    with pytest.raises(aws_credentials.UnableToFindCredentials, match="no credentials"):
        aws_credentials.find(now=clock.get_now())
