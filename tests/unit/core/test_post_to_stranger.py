"""What is sent to an address that somebody else chose reaches nothing of ours."""

import http.server
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from openvpp.core import errors
from openvpp.core import http as core_http


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::a00:1",
    ],
)
def test_private_addresses_are_known(address: str) -> None:
    assert not core_http.is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_public_addresses_are_known(address: str) -> None:
    assert core_http.is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/notices",
        "ftp://example.com/",
        "https://user@example.com/",
        "https://example.com:8443/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://2130706433/",
        "https:///nowhere",
    ],
)
def test_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises((errors.Refused, errors.Unreachable)):
        core_http.post_to_stranger(url=url, content=b"", headers={})


def test_one_private_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_args: object, **_kwargs: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 443)) for one in ("8.8.8.8", "169.254.169.254")]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    with pytest.raises(errors.Refused, match="not a public address"):
        core_http.post_to_stranger(url="https://rebind.example/", content=b"", headers={})


def test_reading_keeps_the_same_rules(listener: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _Handler.status = 200
    with pytest.raises(errors.Refused):
        core_http.get_from_stranger(url=listener)
    assert core_http.get_from_stranger(url=listener, may_be_private=True) == "date,mean_c\n"

    monkeypatch.setattr(core_http, "MAX_BYTES", 5)
    with pytest.raises(errors.Unreachable, match="more than 5 bytes"):
        core_http.get_from_stranger(url=listener, may_be_private=True)


class _Handler(http.server.BaseHTTPRequestHandler):
    status = 200
    seen: list[tuple[str, str, bytes]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        _Handler.seen.append((self.path, self.headers["Host"], body))
        self.send_response(_Handler.status)
        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        body = b"\xef\xbb\xbfdate,mean_c\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def listener() -> Iterator[str]:
    server = http.server.HTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    _Handler.seen.clear()
    yield f"http://localhost:{server.server_port}/notices?x=1"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (200, None),
        (204, None),
        (302, errors.Refused),
        (404, errors.Refused),
        (429, errors.Unreachable),
        (503, errors.Unreachable),
    ],
)
def test_answers_are_told_apart_and_nothing_is_followed(
    listener: str, status: int, error: type[Exception] | None
) -> None:
    _Handler.status = status

    if error is None:
        core_http.post_to_stranger(url=listener, content=b"<x/>", headers={}, may_be_private=True)
    else:
        with pytest.raises(error):
            core_http.post_to_stranger(url=listener, content=b"<x/>", headers={}, may_be_private=True)

    assert [(path, body) for path, _, body in _Handler.seen] == [("/notices?x=1", b"<x/>")]
    assert _Handler.seen[0][1].startswith("localhost:")
