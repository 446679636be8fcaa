"""Django over WSGI, in threads, behind a server that speaks ASGI: a request goes to a thread once and comes back once.

A hop between the server's loop and a thread costs as much as a statement of the database.
"""

import asyncio
import concurrent.futures
import json
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from a2wsgi import wsgi
from django.core.handlers import wsgi as django_wsgi

from openvpp.core import api as problems

type Message = dict[str, Any]
type Send = Callable[[Message], Awaitable[None]]
type Headers = list[tuple[bytes, bytes]]

IN_MEMORY_BYTES = 2**20
# Somewhat more than the largest file that anybody may send.
MOST_BYTES = 520 * 2**20


class Rest:
    """An ASGI application for HTTP that asks Django's WSGI handler, each request in one of a few threads.

    An answer that streams is sent piece by piece from its thread, which has the connection that it reads from.
    """

    def __init__(self, application: django_wsgi.WSGIHandler, *, threads: int) -> None:
        self._application: Any = application
        self._threads = concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="request")

    async def __call__(self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
        with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as body:
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                body.write(message.get("body", b""))
                more = message.get("more_body", False)
                if body.tell() > MOST_BYTES:
                    await _refuse(send)
                    return
            body.seek(0)
            loop = asyncio.get_running_loop()

            def send_from_thread(message: Message) -> None:
                asyncio.run_coroutine_threadsafe(_send(send, message), loop).result()

            answer = await loop.run_in_executor(self._threads, self._answer, scope, body, send_from_thread)
        if answer is not None:
            status, headers, content = answer
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": content})

    def _answer(self, scope: Any, body: Any, send: Callable[[Message], None]) -> tuple[int, Headers, bytes] | None:
        """Return an answer's status, headers and content, or None once it has been streamed."""
        said: list[tuple[int, Headers]] = []

        def start_response(status: str, headers: Iterable[tuple[str, str]]) -> None:
            named = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
            said.append((int(status.partition(" ")[0]), named))

        response: Any = self._application(wsgi.build_environ(scope, body), start_response)
        status, headers = said[0]
        try:
            if not response.streaming:
                return status, headers, b"".join(response)
            send({"type": "http.response.start", "status": status, "headers": headers})
            for piece in response:
                send({"type": "http.response.body", "body": piece, "more_body": True})
            send({"type": "http.response.body", "body": b""})
            return None
        finally:
            response.close()


async def _refuse(send: Send) -> None:
    detail = f"A request may have {MOST_BYTES} bytes. Send the file in parts."
    content = json.dumps(problems.problem(status=413, code="content_too_large", detail=detail)).encode()
    media_type = problems.PROBLEM_MEDIA_TYPE.encode()
    await send({"type": "http.response.start", "status": 413, "headers": [(b"content-type", media_type)]})
    await send({"type": "http.response.body", "body": content})


async def _send(send: Send, message: Message) -> None:
    """Send from a coroutine: the server itself hands out futures."""
    await send(message)
