"""What goes out to a party that we chose, and the two ways in which it fails us."""

import http.server
import json
import threading
from collections.abc import Iterator

import pytest

from openvpp.core import errors
from openvpp.core import http as core_http


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    status = 200
    retry_after = ""
    answer = b'{"said": "yes"}'
    seen: list[tuple[str, str, dict[str, str], bytes]] = []
    connections: set[tuple[str, int]] = set()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        _Handler.seen.append(
            (self.command, self.path, {name.title(): value for name, value in self.headers.items()}, body)
        )
        _Handler.connections.add(self.client_address)
        self.send_response(_Handler.status)
        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        if _Handler.retry_after:
            self.send_header("Retry-After", _Handler.retry_after)
        self.send_header("Content-Length", str(len(_Handler.answer)))
        self.end_headers()
        self.wfile.write(_Handler.answer)

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    _Handler.status, _Handler.answer, _Handler.retry_after = 200, b'{"said": "yes"}', ""
    _Handler.seen.clear()
    _Handler.connections.clear()
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    running.daemon_threads = True
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()


def test_json_goes_out_and_comes_back_over_one_connection(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    client = core_http.Client(base_url=f"http://some:body@{server}/rpc/key", headers={"X-Own": "1"})

    assert client.post(path="", body={"a": 1}) == {"said": "yes"}
    assert client.post(path="/deep", content=b"raw", headers={"Content-Type": "text/plain"}) == {"said": "yes"}
    assert client.get(path="list", params={"after": "2 3"}) == {"said": "yes"}

    assert [(command, path, body) for command, path, _, body in _Handler.seen] == [
        ("POST", "/rpc/key", b'{"a":1}'),
        ("POST", "/rpc/key/deep", b"raw"),
        ("GET", "/rpc/key/list?after=2+3", b""),
    ]
    first, second, _ = (headers for _, _, headers, _ in _Handler.seen)
    assert (first["X-Own"], first["Content-Type"], first["Authorization"]) == (
        "1",
        "application/json",
        "Basic c29tZTpib2R5",
    )
    assert second["Content-Type"] == "text/plain"
    assert len(_Handler.connections) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [(302, errors.Refused), (404, errors.Refused), (429, errors.Unreachable), (500, errors.Unreachable)],
)
def test_answers_are_told_apart_and_nothing_is_followed(server: str, status: int, error: type[Exception]) -> None:
    _Handler.status = status

    with pytest.raises(error, match=str(status)) as raised:
        core_http.Client(base_url=f"http://{server}").post(path="/", body=None)

    assert len(_Handler.seen) == 1
    if isinstance(raised.value, errors.Refused):
        assert json.loads(raised.value.body) == {"said": "yes"}


@pytest.mark.parametrize(("said", "seconds"), [("7", 7), ("", 1), ("Wed, 21 Oct 2015 07:28:00 GMT", 1)])
def test_one_that_is_asked_too_much_says_for_how_long_to_wait(server: str, said: str, seconds: int) -> None:
    _Handler.status, _Handler.retry_after = 429, said

    with pytest.raises(errors.Unreachable) as raised:
        core_http.Client(base_url=f"http://{server}").post(path="/", body=None)

    assert raised.value.retry_after_seconds == seconds


@pytest.mark.parametrize(("answer", "why"), [(b"no json", "did not send JSON"), (b"1" * 65, "more than 64 bytes")])
def test_what_cannot_be_read_is_no_answer(
    server: str, answer: bytes, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core_http, "MAX_BYTES", 64)
    client, _Handler.answer = core_http.Client(base_url=f"http://{server}"), answer

    with pytest.raises(errors.Unreachable, match=why):
        client.get(path="/")

    _Handler.answer = b""
    assert client.get(path="/") is None


def test_nobody_there_is_unreachable() -> None:
    with pytest.raises(errors.Unreachable, match=r"127\.0\.0\.1: "):
        core_http.Client(base_url="http://127.0.0.1:1").get(path="/")
