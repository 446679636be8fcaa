"""An HTTP/1.1 server of a WSGI application in a few threads: the one that reads a request also answers it.

Nothing is handed from thread to thread, which costs more than to read a small request. All threads wait on one
`epoll`, in which a connection counts once until it is put back: so it has one thread at a time, and one that says
nothing, or is slow to say it, has none. `httptools` reads the requests (the parser of Node.js).
"""

import contextlib
import io
import logging
import select
import signal
import socket
import threading
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import httptools

logger = logging.getLogger(__name__)

BACKLOG = 1024
MOST_CONNECTIONS = 512
# What may come of a request besides its body.
MOST_AROUND_BODY = 64 * 1024
ANSWER_SECONDS = 5.0
STOP_SECONDS = 10.0
_READ_AT_ONCE = 64 * 1024
_ONCE = select.EPOLLIN | select.EPOLLONESHOT


class Wsgi(Protocol):
    """A WSGI application."""

    def __call__(self, environ: Mapping[str, Any], start_response: Any, /) -> Iterable[bytes]:
        """Answer one request."""


class UnableToRead(Exception):
    """What comes is no request, or ended within one."""


class Server:
    """Serves on an address from its making on, once `run` is called.

    A body longer than `most_bytes` is handed on cut off, with that length: the application refuses it.
    """

    def __init__(self, application: Wsgi, *, host: str, port: int, threads: int, most_bytes: int) -> None:
        self._application = application
        self._most_bytes = most_bytes
        self._listener = socket.create_server((host, port), backlog=BACKLOG)
        self._listener.setblocking(False)  # noqa: FBT003 - socket takes it by position only
        self._ending, self._ended = socket.socketpair()
        self._epoll = select.epoll()
        self._epoll.register(self._listener, _ONCE)
        self._epoll.register(self._ended, select.EPOLLIN)
        # Those that wait for something to come, the one that waits longest first.
        self._quiet: dict[int, _Connection] = {}
        self._threads = [
            threading.Thread(target=self._work, name=f"request_{number}", daemon=True) for number in range(threads)
        ]
        self.port = int(self._listener.getsockname()[1])

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; answers under way are finished."""
        ends = {signal.SIGTERM, signal.SIGINT}
        signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # in the threads too: they inherit it
        self.start()
        signal.sigwait(ends)
        self.stop()

    def start(self) -> None:
        """Serve until `stop`."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Take no more requests, and wait a while for the answers under way."""
        self._ending.send(b"\0")
        for thread in self._threads:
            thread.join(STOP_SECONDS)
        self._listener.close()
        for connection in self._quiet.values():
            connection.close()

    def _work(self) -> None:
        while True:
            ((number, _),) = self._epoll.poll(maxevents=1)
            if number == self._ended.fileno():
                return
            if number == self._listener.fileno():
                self._accept()
            else:
                self._hear(number)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # nobody is left to take in, or they went, or there is no room
            while True:
                connection = _Connection(self._listener.accept()[0], most_bytes=self._most_bytes)
                if len(self._quiet) >= MOST_CONNECTIONS:
                    self._forget_longest_quiet()
                self._quiet[connection.number] = connection
                self._epoll.register(connection.number, _ONCE)
        self._epoll.modify(self._listener, _ONCE)

    def _hear(self, number: int) -> None:
        connection = self._quiet.pop(number, None)
        if connection is None:  # forgotten meanwhile
            return
        try:
            if connection.receive():
                connection.send(_answer(self._application, connection))
        except (UnableToRead, OSError):
            connection.is_open = False
        except Exception:
            logger.exception("no answer")
            connection.is_open = False
        if not connection.is_open:
            connection.close()
            return
        self._quiet[number] = connection
        with contextlib.suppress(OSError):  # forgotten since
            self._epoll.modify(number, _ONCE)

    def _forget_longest_quiet(self) -> None:
        with contextlib.suppress(StopIteration, RuntimeError, KeyError):  # another thread took it
            self._quiet.pop(next(iter(self._quiet))).close()


class _Connection:
    """A connection, for one thread at a time, and the request that comes on it."""

    def __init__(self, connected: socket.socket, *, most_bytes: int) -> None:
        connected.setblocking(False)  # noqa: FBT003 - socket takes it by position only
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.number = connected.fileno()
        self.is_open = True
        self.path, self.authorization, self.body = b"", b"", bytearray()
        self._socket = connected
        self._most_bytes = most_bytes
        self._parser = httptools.HttpRequestParser(self)
        self._around_body = 0
        self._is_begun = self._is_complete = self.is_last = False

    @property
    def method(self) -> str:
        return str(self._parser.get_method(), "latin-1")

    def receive(self) -> bool:
        """Read what came, and say whether it completes a request.

        :raises UnableToRead: it is none.
        :raises OSError: the connection is lost.
        """
        try:
            data = self._socket.recv(_READ_AT_ONCE)
        except BlockingIOError:
            return False
        if not data:
            raise UnableToRead
        self._around_body += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise UnableToRead from error
        if self._around_body > MOST_AROUND_BODY:
            raise UnableToRead
        return self._is_complete

    def send(self, answer: bytes) -> None:
        """Answer the request; the next one may come then.

        :raises OSError: the connection is lost, or takes too long.
        """
        sent = 0
        with contextlib.suppress(BlockingIOError):
            sent = self._socket.send(answer)
        if sent < len(answer):
            self._socket.settimeout(ANSWER_SECONDS)
            self._socket.sendall(answer[sent:])
            self._socket.setblocking(False)  # noqa: FBT003 - socket takes it by position only
        self.is_open = not self.is_last
        self.path, self.authorization, self.body = b"", b"", bytearray()
        self._around_body = 0
        self._is_begun = self._is_complete = False

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def on_message_begin(self) -> None:
        """Hear from the parser, as in the methods that follow: a request begins; a second one must wait."""
        if self._is_begun:
            raise UnableToRead
        self._is_begun = True

    def on_url(self, url: bytes) -> None:
        """Keep the address, which may come in parts."""
        self.path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep who asks."""
        if name.lower() == b"authorization":
            self.authorization = value

    def on_body(self, data: bytes) -> None:
        """Keep a part of the body, as far as it may be handed on and one byte more."""
        self._around_body -= len(data)
        self.body += data[: self._most_bytes + 1 - len(self.body)]

    def on_message_complete(self) -> None:
        """End, and note whether another request may follow."""
        self._is_complete = True
        self.is_last = not self._parser.should_keep_alive()


def _answer(application: Wsgi, request: _Connection) -> bytes:
    said: list[tuple[str, list[tuple[str, str]]]] = []
    environ = {
        "REQUEST_METHOD": request.method,
        "PATH_INFO": urllib.parse.unquote(str(request.path.partition(b"?")[0], "latin-1"), "latin-1"),
        "HTTP_AUTHORIZATION": str(request.authorization, "latin-1"),
        "CONTENT_LENGTH": str(len(request.body)),
        "wsgi.input": io.BytesIO(request.body),
    }
    body = b"".join(application(environ, lambda status, headers: said.append((status, headers))))
    ((status, headers),) = said
    if request.is_last:
        headers = [*headers, ("Connection", "close")]
    head = "".join([f"HTTP/1.1 {status}\r\n", *[f"{name}: {value}\r\n" for name, value in headers], "\r\n"])
    return head.encode("latin-1") + (b"" if request.method == "HEAD" else body)
