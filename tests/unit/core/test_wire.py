"""What is written to a connection and read from it, byte by byte, when the other side does what it should not."""

import concurrent.futures
import datetime
import gzip
import ipaddress
import os
import pathlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from openvpp.core import errors, http, wire

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}'
CLOSE = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"


class Peer:
    """Answers one request after the other as its script says: each a list of pieces; None hangs up."""

    def __init__(self) -> None:
        self.script: list[list[bytes | None]] = []
        self.requests: list[bytes] = []
        self.connections = 0
        self.pause = 0.0
        self.tls: ssl.SSLContext | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def client(self, *, timeout: float = 2.0, path: str = "") -> http.Client:
        scheme = "https" if self.tls else "http"
        return http.Client(base_url=f"{scheme}://127.0.0.1:{self.port}{path}", timeout=timeout)

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                accepted = self._listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._speak, args=(accepted,), daemon=True).start()

    def _speak(self, accepted: socket.socket) -> None:
        try:
            with self.tls.wrap_socket(accepted, server_side=True) if self.tls else accepted as line:
                while (request := _read(line)) and self.script:
                    self.requests.append(request)
                    for piece in self.script.pop(0):
                        if piece is None:
                            return
                        time.sleep(self.pause)
                        line.sendall(piece)
        except OSError:
            return


def _read(line: socket.socket) -> bytes:
    """Return one request whose body has the length that it says."""
    got = b""
    while b"\r\n\r\n" not in got:
        more = line.recv(65536)
        if not more:
            return b""
        got += more
    head, _, body = got.partition(b"\r\n\r\n")
    said = [row for row in head.lower().split(b"\r\n") if row.startswith(b"content-length:")]
    length = int(said[0].partition(b":")[2]) if said else 0
    while len(body) < length:
        body += line.recv(65536)
    return head + b"\r\n\r\n" + body


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.close()


def _wait_until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + 5
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_a_request_is_written_at_once_and_names_its_host(peer: Peer) -> None:
    peer.script = [[OK], [OK]]
    client = peer.client(path="/rpc/")

    assert client.post(path="ü x?q=a%20b#c", body={"ü": [1]}) == {"a": 1}
    assert client.get(path="") == {"a": 1}

    host = f"host: 127.0.0.1:{peer.port}\r\n".encode()
    always = b"user-agent: OpenVPP\r\naccept-encoding: identity\r\n"
    assert peer.requests == [
        b"POST /rpc/%C3%BC%20x?q=a%20b%23c HTTP/1.1\r\n"
        + always
        + b"content-type: application/json\r\n"
        + host
        + b'Content-Length: 14\r\n\r\n{"\\u00fc":[1]}',
        b"GET /rpc/ HTTP/1.1\r\n" + always + host + b"\r\n",
    ]
    assert peer.connections == 1


def test_a_connection_that_was_closed_meanwhile_is_replaced_before_anything_is_sent(peer: Peer) -> None:
    peer.script = [[OK, None], [OK]]
    client = peer.client()

    client.post(path="", body=1)
    _wait_until(client._pool._idle[0].is_dropped)

    assert client.post(path="", body=2) == {"a": 1}
    assert (peer.connections, len(peer.requests)) == (2, 2)


def test_what_was_sent_is_not_sent_again(peer: Peer) -> None:
    peer.script = [[OK], [None], [OK]]
    client = peer.client()
    client.post(path="", body=1)

    with pytest.raises(errors.Unreachable, match=r"^127\.0\.0\.1: "):
        client.post(path="", body=2)

    assert [request[-1:] for request in peer.requests] == [b"1", b"2"]
    assert client.post(path="", body=3) == {"a": 1}


def test_time_is_counted_over_the_whole_answer(peer: Peer) -> None:
    peer.script, peer.pause = [[OK[at : at + 1] for at in range(len(OK))]], 0.05
    began = time.monotonic()

    with pytest.raises(errors.Unreachable, match="TimeoutError"):
        peer.client(timeout=0.3).post(path="", body=1)

    assert 0.25 < time.monotonic() - began < 1.0


def test_a_piece_that_comes_late_is_not_waited_for(peer: Peer) -> None:
    peer.script, peer.pause = [[OK[:20], OK[20:]]], 0.6
    began = time.monotonic()

    with pytest.raises(errors.Unreachable, match="TimeoutError"):
        peer.client(timeout=0.7).post(path="", body=1)

    assert time.monotonic() - began < 1.1


def test_pieces_are_put_together(peer: Peer) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    peer.script, peer.pause = (
        [[head, b'3\r\n{"a\r\n4;x=y\r', b'\n":1}\r\n0\r\nRetry-', b"After: 9\r\n\r\n"], [OK]],
        0.01,
    )
    client = peer.client()

    assert client.post(path="", body=1) == {"a": 1}
    assert client.post(path="", body=2) == {"a": 1}
    assert peer.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n" + b"1" * 65,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"8\r\n11111111\r\n" * 9,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"1" * 65,
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n" + gzip.compress(b"1" * 65),
    ],
)
def test_a_body_that_is_too_long_is_not_read_to_its_end(
    peer: Peer, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "MAX_BYTES", 64)
    peer.script = [[answer, None], [OK]]
    client = peer.client()

    with pytest.raises(errors.Unreachable, match="sent more than 64 bytes"):
        client.post(path="", body=1)

    assert client._pool._idle == []
    assert client.post(path="", body=1) == {"a": 1}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "HttpParser"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "HttpParser"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}", "HttpParser"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "HttpParser"),
        (b"HTTP/1.1 200 OK\r\nX: \x00\r\n\r\n", "HttpParser"),
        (b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", "HttpParser"),
        (OK + OK, "HttpParser"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}", "ConnectionAborted"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", "ConnectionAborted"),
        (b"HTTP/1.1 200 OK\r\nContent-", "ConnectionAborted"),
        (OK.replace(b"\r\n", b"\r\nX: " + b"x" * wire.MOST_AROUND_BODY + b"\r\n", 1), "ConnectionAborted"),
        (b"", "ConnectionAborted"),
    ],
)
def test_what_is_no_answer_is_not_taken_for_one(peer: Peer, answer: bytes, why: str) -> None:
    peer.script = [[answer, None], [OK]]
    client = peer.client()

    with pytest.raises(errors.Unreachable, match=rf"^127\.0\.0\.1: \w*{why}"):
        client.post(path="", body=1)

    assert client.post(path="", body=1) == {"a": 1}
    assert peer.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        b'HTTP/1.1 200 OK\r\n\r\n{"a":1}',
        b'HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}',
        b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 7\r\n\r\n{"a":1}',
    ],
)
def test_an_answer_that_ends_its_connection_is_read(peer: Peer, answer: bytes) -> None:
    peer.script = [[answer, None], [OK]]
    client = peer.client()

    assert client.post(path="", body=1) == {"a": 1}
    assert client._pool._idle == []
    assert client.post(path="", body=1) == {"a": 1}


def test_answers_on_the_way_to_the_answer_are_passed_over(peer: Peer) -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    peer.script, peer.pause = [[early + OK], [early, OK], [b"HTTP/1.1 204 No Content\r\n\r\n"]], 0.01
    client = peer.client()

    assert [client.post(path="", body=1) for _ in range(3)] == [{"a": 1}, {"a": 1}, None]
    assert peer.connections == 1


def test_a_packed_body_is_unpacked_though_none_was_asked_for(peer: Peer) -> None:
    packed = gzip.compress(b'{"a":1}')
    peer.script = [[b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed]]

    assert peer.client().get(path="") == {"a": 1}


def test_what_is_called_packed_and_is_not_is_no_answer(peer: Peer) -> None:
    peer.script = [[b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"]]

    with pytest.raises(errors.Unreachable, match=r"^127\.0\.0\.1: error$"):
        peer.client().get(path="")


def test_a_header_with_a_line_break_is_not_sent(peer: Peer) -> None:
    with pytest.raises(ValueError, match="cannot be sent"):
        peer.client().post(path="", content=b"", headers={"X": "1\r\nContent-Length: 9"})
    with pytest.raises(ValueError, match="cannot be sent"):
        http.Client(base_url=f"http://127.0.0.1:{peer.port}", headers={"X": "1\n"})

    assert peer.connections == 0


def test_a_header_is_sent_once_however_it_is_written(peer: Peer) -> None:
    peer.script = [[OK]]

    peer.client().post(path="", body=1, headers={"HOST": "other", "Content-type": "text/plain"})

    assert peer.requests[0].split(b"\r\n")[3:5] == [b"content-type: text/plain", b"host: other"]
    assert peer.requests[0].lower().count(b"\r\nhost:") == peer.requests[0].lower().count(b"\r\ncontent-type:") == 1


def test_an_address_without_a_host_is_none() -> None:
    with pytest.raises(ValueError, match="no host"):
        http.Client(base_url="localhost:8545")


def test_threads_share_connections_but_not_at_once(peer: Peer) -> None:
    peer.script, peer.pause = [[OK] for _ in range(8)], 0.1
    client = peer.client()

    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda number: client.post(path="", body=number), range(8)))

    assert answers == [{"a": 1}] * 8
    assert len({request[-1:] for request in peer.requests}) == 8
    assert peer.connections == 4


def test_a_child_process_does_not_speak_over_its_parents_connection(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer.script = [[OK], [OK]]
    client = peer.client()
    client.post(path="", body=1)

    monkeypatch.setattr(os, "getpid", lambda: -1)
    client.post(path="", body=2)

    assert peer.connections == 2


@pytest.fixture
def authority(peer: Peer, tmp_path: pathlib.Path) -> pathlib.Path:
    """Have the peer speak TLS with a certificate for 127.0.0.1, and return where that certificate is."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(tz=datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "peer")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    written = tmp_path / "peer.pem"
    written.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    peer.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    peer.tls.load_cert_chain(written)
    return written


def test_a_certificate_is_checked(peer: Peer, authority: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    peer.script = [[OK], [OK]]
    with pytest.raises(errors.Unreachable, match="SSLCertVerificationError"):
        peer.client().post(path="", body=1)

    monkeypatch.setattr(http, "_tls", lambda: ssl.create_default_context(cafile=str(authority)))
    with pytest.raises(errors.Unreachable, match="SSLCertVerificationError"):
        http.Client(base_url=f"https://localhost:{peer.port}").post(path="", body=1)
    assert peer.requests == []

    client, connections = peer.client(), peer.connections
    assert [client.post(path="", body=1) for _ in range(2)] == [{"a": 1}] * 2
    assert peer.connections == connections + 1


def test_the_certificate_is_checked_against_the_name_that_was_looked_up(
    peer: Peer, authority: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_tls", lambda: ssl.create_default_context(cafile=str(authority)))
    peer.script = [[CLOSE, None]]

    with pytest.raises(errors.Unreachable, match="SSLCertVerificationError"):
        http.get_from_stranger(url=f"https://localhost:{peer.port}/", may_be_private=True)
    assert http.get_from_stranger(url=f"https://127.0.0.1:{peer.port}/", may_be_private=True) == "{}"


def test_a_strangers_answer_is_not_waited_for_beyond_its_head(peer: Peer) -> None:
    peer.script, peer.pause = [[b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1", b"x"]], 0.3
    began = time.monotonic()

    http.post_to_stranger(url=f"http://127.0.0.1:{peer.port}/", content=b"x", headers={}, may_be_private=True)

    assert time.monotonic() - began < 0.55


def test_a_stranger_has_longer_to_send_a_file_than_to_take_a_notice(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "TIMEOUT_SECONDS", 0.1)
    peer.script, peer.pause, url = [[CLOSE], [CLOSE]], 0.3, f"http://127.0.0.1:{peer.port}/"

    assert http.get_from_stranger(url=url, may_be_private=True) == "{}"
    with pytest.raises(errors.Unreachable, match="TimeoutError"):
        http.post_to_stranger(url=url, content=b"x", headers={}, may_be_private=True)
