"""A server inside its own process, for the lean ones: no parent that keeps watch, and none that takes memory.

Whoever started the process starts it again when it ends (supervisor, container).
"""

import asyncio
import concurrent.futures
import gc
import io
import signal
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from granian import constants
from granian import log as granian_log
from granian.server import embed

BACKLOG = 1024
# A request makes some thousands of objects and drops them all: they are not walked every time that a few hundred stand.
GARBAGE_AFTER = 50_000


class Wsgi(Protocol):
    """A WSGI application."""

    def __call__(self, environ: Mapping[str, Any], start_response: Any, /) -> Iterable[bytes]:
        """Answer one request."""


def serve(application: Any, *, host: str, port: int) -> None:
    """Serve an RSGI application until SIGTERM or SIGINT."""
    gc.collect()
    gc.freeze()  # what is loaded by now stays: walking all of it again would stop every request
    gc.set_threshold(GARBAGE_AFTER)
    asyncio.run(_serve(application, host, port))


async def _serve(application: Any, host: str, port: int) -> None:
    server = embed.Server(
        application,
        address=host,
        port=port,
        interface=constants.Interfaces.RSGI,
        websockets=False,
        backlog=BACKLOG,
        log_level=granian_log.LogLevels.error,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    await server.serve()


class Bridge:
    """A WSGI application as RSGI's: each request in one of a few threads, its body no longer than `most_bytes`.

    A longer body is handed on cut off, with the length that it said it had: the application refuses that.
    """

    def __init__(self, application: Wsgi, *, threads: int, most_bytes: int) -> None:
        self._application = application
        self._most_bytes = most_bytes
        self._threads = concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="request")

    async def __call__(self, scope: Any, protocol: Any) -> None:
        content = b""
        async for chunk in protocol:
            content += chunk
            if len(content) > self._most_bytes:
                break
        environ = {
            "REQUEST_METHOD": scope.method,
            "PATH_INFO": scope.path,
            "HTTP_AUTHORIZATION": scope.headers.get("authorization") or "",
            "CONTENT_LENGTH": str(len(content)),
            "wsgi.input": io.BytesIO(content),
        }
        loop = asyncio.get_running_loop()
        status, headers, body = await loop.run_in_executor(self._threads, self._call, environ)
        protocol.response_bytes(status, headers, body)

    def _call(self, environ: Mapping[str, Any]) -> tuple[int, list[tuple[str, str]], bytes]:
        said: list[tuple[int, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]]) -> None:
            said.append((int(status.partition(" ")[0]), headers))

        body = b"".join(self._application(environ, start_response))
        return *said[0], body
