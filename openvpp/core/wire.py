"""Connections that speak HTTP/1.1: a request is written, its answer is read, in bounded time and of bounded size.

`httptools` reads the answers (the parser of Node.js); all else that a general client does, none of our partners needs.
"""

import contextlib
import dataclasses
import os
import select
import socket
import ssl
import time
import weakref
from typing import NamedTuple

import httptools

# What may come besides an answer's body: its head, the sizes of its chunks, what follows them.
MOST_AROUND_BODY = 256 * 1024
MOST_KEPT_OPEN = 32
_READ_AT_ONCE = 64 * 1024
_FIRST_FINAL_STATUS = 200

# No connection, a time-out, or an answer that is none; a name that cannot be looked up is a `UnicodeError`.
FAILURES = (OSError, UnicodeError, httptools.HttpParserError, httptools.HttpParserUpgrade)


class TooLong(Exception):
    """An answer's body is longer than asked for."""


class Answer(NamedTuple):
    """An answer; the names of `headers` are in lower case."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Who is spoken to.

    `timeout` seconds are there to connect, and as many again for each request with all of its answer. With `tls` the
    certificate must be for `name`, whatever `host` is.
    """

    host: str
    port: int
    timeout: float
    tls: ssl.SSLContext | None = None
    name: str = ""

    def connect(self) -> socket.socket:
        """Return a socket that is connected, and whose certificate was checked."""
        plain = socket.create_connection((self.host, self.port), timeout=self.timeout)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return self.tls.wrap_socket(plain, server_hostname=self.name) if self.tls else plain
        except BaseException:
            plain.close()
            raise


class Connection:
    """An open connection, for one thread at a time."""

    def __init__(self, peer: Peer) -> None:
        self._socket = peer.connect()
        self._timeout = peer.timeout
        self._incoming = select.poll()
        self._incoming.register(self._socket, select.POLLIN)
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._body = bytearray()
        self._has_head = self._is_complete = self._stays_open = False
        self.is_reusable = False

    def exchange(self, request: bytes, *, most: int) -> Answer:
        """Write a request and return its answer; with `most` of 0 the body is not read.

        :raises TooLong: the body has more than `most` bytes.
        """
        self.is_reusable = self._has_head = self._is_complete = self._stays_open = False
        self._headers, self._body = {}, bytearray()
        deadline = time.monotonic() + self._timeout
        self._socket.settimeout(self._timeout)
        with contextlib.suppress(BrokenPipeError):  # it has answered already, without hearing us out
            self._socket.sendall(request)
        received = 0
        while not (self._is_complete or (self._has_head and not most)):
            received += self._read(deadline)
            if most and len(self._body) > most:
                raise TooLong
            if received - len(self._body) > MOST_AROUND_BODY:
                raise ConnectionAbortedError
        self.is_reusable = self._stays_open
        return Answer(self._parser.get_status_code(), self._headers, bytes(self._body) if most else b"")

    def is_dropped(self) -> bool:
        """Return whether the other side hung up between two requests, or speaks unasked."""
        return bool(self._incoming.poll(0))

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _read(self, deadline: float) -> int:
        """Read what comes next, and return how many bytes that were."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        data = self._socket.recv(_READ_AT_ONCE)
        if data:
            self._parser.feed_data(data)
        elif self._has_head and self._headers.keys().isdisjoint({b"content-length", b"transfer-encoding"}):
            self._is_complete = True  # the end of the connection is the body's
        else:
            raise ConnectionAbortedError
        return len(data)

    def on_message_begin(self) -> None:
        """Hear from the parser, as in the methods that follow: an answer begins, which must be the only one."""
        if self._is_complete:
            raise ConnectionAbortedError

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Tell the answer itself from a provisional one, which has no body."""
        self._has_head = self._parser.get_status_code() >= _FIRST_FINAL_STATUS

    def on_body(self, data: bytes) -> None:
        """Keep a part of the body."""
        self._body += data

    def on_message_complete(self) -> None:
        """End, unless the answer was a provisional one; the parser forgets at once whether the connection stays."""
        self._is_complete = self._has_head
        self._stays_open = self._has_head and self._parser.should_keep_alive()


class Pool:
    """Connections to one peer, which stay open between requests; threads may share it.

    One that the other side closed meanwhile is replaced before anything is sent. What was sent is never sent again, as
    nobody knows what became of it.
    """

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._idle: list[Connection] = []
        self._process = os.getpid()
        weakref.finalize(self, _close, self._idle)

    def exchange(self, request: bytes, *, most: int) -> Answer:
        """Write a request and return its answer; see `Connection.exchange`.

        :raises FAILURES: it came to none.
        """
        connection = self._take()
        try:
            return connection.exchange(request, most=most)
        finally:
            if connection.is_reusable and len(self._idle) < MOST_KEPT_OPEN:
                self._idle.append(connection)
            else:
                connection.close()

    def _take(self) -> Connection:
        if self._process != os.getpid():  # two processes must not speak over one connection
            _close(self._idle)
            self._process = os.getpid()
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return Connection(self._peer)
            if not connection.is_dropped():
                return connection
            connection.close()


def _close(connections: list[Connection]) -> None:
    while connections:
        connections.pop().close()
