"""A server in a few threads, over real sockets."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest

from openvpp.core import listening

pytestmark = pytest.mark.enable_socket
MOST_BYTES = 1000


def echo(environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer with what was asked; `/wait` says so and waits to be told to go on, `/break` fails."""
    if environ["PATH_INFO"] == "/break":
        raise RuntimeError
    if environ["PATH_INFO"] == "/wait":
        sys.stdout.write("begun\n")
        sys.stdout.flush()
        sys.stdin.readline()
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    said = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} {environ['HTTP_AUTHORIZATION']} ".encode() + body
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(said)))])
    return [said]


@pytest.fixture
def server() -> Iterator[listening.Server]:
    made = listening.Server(echo, host="127.0.0.1", port=0, threads=2, most_bytes=MOST_BYTES)
    made.start()
    yield made
    made.stop()


def connect(server: listening.Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=5)


def ask(server: listening.Server, path: str = "/", body: bytes = b"") -> tuple[int, bytes]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)) as connection:
        connection.request("POST", path, body, {"Authorization": "Bearer x"})
        answer = connection.getresponse()
        return answer.status, answer.read()


def test_requests_follow_each_other_on_one_connection(server: listening.Server) -> None:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)) as connection:
        said = []
        for number in range(3):
            connection.request("POST", f"/a%20b?{number}", f"{number}", {"authorization": f"Bearer {number}"})
            said.append(connection.getresponse().read())
        connection.request("GET", "/health")
        said.append(connection.getresponse().read())
        connection.request("HEAD", "/health")
        said.append(connection.getresponse().read())
    assert said == [*[f"POST /a b Bearer {number} {number}".encode() for number in range(3)], b"GET /health  ", b""]


def test_a_request_may_come_in_any_parts(server: listening.Server) -> None:
    with connect(server) as one:
        for byte in b"POST /parts HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n":
            one.send(bytes([byte]))
        assert one.recv(1000).endswith(b"POST /parts  abcde")


def test_who_is_slow_holds_nobody_up(server: listening.Server) -> None:
    with contextlib.ExitStack() as slow:
        for _ in range(20):
            slow.enter_context(connect(server)).send(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc")
        assert ask(server, "/quick") == (200, b"POST /quick Bearer x ")


def test_a_body_that_is_too_long_is_handed_on_cut_off(server: listening.Server) -> None:
    assert len(ask(server, "/", b"x" * MOST_BYTES)[1]) == len(b"POST / Bearer x ") + MOST_BYTES
    assert len(ask(server, "/", b"x" * MOST_BYTES * 1000)[1]) == len(b"POST / Bearer x ") + MOST_BYTES + 1


@pytest.mark.parametrize(
    "sent",
    [
        b"what?\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"CONNECT there:80 HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nLong: " + b"x" * listening.MOST_AROUND_BODY * 2,
        b"POST /break HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_what_is_no_request_is_hung_up_on(server: listening.Server, sent: bytes) -> None:
    with connect(server) as one, contextlib.suppress(ConnectionError):
        one.sendall(sent)
        assert one.recv(1000) == b""
    assert ask(server)[0] == 200


def test_a_connection_ends_when_the_client_says_so(server: listening.Server) -> None:
    with connect(server) as one:
        one.send(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        said = b""
        while part := one.recv(1000):
            said += part
    assert b"\r\nConnection: close\r\n" in said


def test_of_too_many_the_one_that_was_quiet_for_longest_goes(
    server: listening.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "MOST_CONNECTIONS", 2)
    with connect(server) as first, connect(server) as second, connect(server) as third:
        assert first.recv(1) == b""
        for each in (second, third):
            each.send(b"GET / HTTP/1.1\r\n\r\n")
            assert each.recv(1000).startswith(b"HTTP/1.1 200 OK")


def test_many_at_once_each_get_their_own_answer(server: listening.Server) -> None:
    said: dict[int, bytes] = {}

    def one(number: int) -> None:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as connection:
            for _ in range(20):
                connection.request("POST", f"/{number}", str(number))
                said[number] = said.get(number, b"") + connection.getresponse().read()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == {number: f"POST /{number}  {number}".encode() * 20 for number in range(12)}


PROCESS = """
from openvpp.core import listening
from tests.unit.core import test_listening
server = listening.Server(test_listening.echo, host="127.0.0.1", port=0, threads=2, most_bytes=1000)
print(server.port, flush=True)
server.run()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_answer_under_way_is_finished_at_the_end(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROCESS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": "."},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with socket.create_connection(("127.0.0.1", port), timeout=5) as one:
            one.send(b"GET /wait HTTP/1.1\r\n\r\n")
            assert process.stdout.readline() == "begun\n"
            process.send_signal(number)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=0.1)  # it has heard, and does not leave
            process.stdin.write("go on\n")
            process.stdin.flush()
            assert one.recv(1000).endswith(b"GET /wait  ")
        assert process.wait(timeout=5) == 0
