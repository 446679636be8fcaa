"""The bundler's own server: requests that bring operations are answered many together, the others in threads.

While one lot of operations is in work the next one gathers; nobody waits for a clock. What takes long, such as an
estimate or a sponsor's signature, holds none of them up.
"""

import asyncio
import concurrent.futures
import logging
import re
from collections.abc import Callable, Sequence
from typing import Any

from django import db as django_db

from relayer.rpc import answering

logger = logging.getLogger(__name__)

MOST_TOGETHER = 64
LOTS_AT_ONCE = 2
THREADS = 8
_ADDRESS = re.compile(r"/rpc/v1/([0-9]{1,18})")


class Gathering:
    """Work that is done for all who wait for it, in at most LOTS_AT_ONCE lots at a time."""

    def __init__(self, work: Callable[[Sequence[Any]], Sequence[Any]]) -> None:
        self._work = work
        self._threads = concurrent.futures.ThreadPoolExecutor(LOTS_AT_ONCE, thread_name_prefix="lot")
        self._waiting: list[tuple[Any, asyncio.Future[Any]]] = []
        self._lots = 0

    async def result_of(self, item: Any) -> Any:
        """Return what the work makes of the item, together with whatever else waits."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        self._start()
        return await future

    def _start(self) -> None:
        if self._waiting and self._lots < LOTS_AT_ONCE:
            lot, self._waiting = self._waiting[:MOST_TOGETHER], self._waiting[MOST_TOGETHER:]
            self._lots += 1
            job = asyncio.get_running_loop().run_in_executor(self._threads, self._work, [item for item, _ in lot])
            job.add_done_callback(lambda done: self._end(lot, done))

    def _end(self, lot: Sequence[tuple[Any, asyncio.Future[Any]]], done: asyncio.Future[Sequence[Any]]) -> None:
        self._lots -= 1
        self._start()
        error = done.exception()
        for number, (_, future) in enumerate(lot):
            if future.cancelled():
                continue
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(done.result()[number])


class Door:
    """The RSGI application."""

    def __init__(self) -> None:
        self._sends = Gathering(_answer_together)
        self._threads = concurrent.futures.ThreadPoolExecutor(THREADS, thread_name_prefix="call")

    async def __call__(self, scope: Any, protocol: Any) -> None:
        try:
            answer = await self._answer(scope, protocol)
        except Exception:
            logger.exception("a request could not be answered")
            answer = answering.broken()
        protocol.response_bytes(answer.status, list(answer.headers.items()), answer.body)

    async def _answer(self, scope: Any, protocol: Any) -> answering.Response:
        if scope.path == "/health/live":
            return answering.Response(status=200, body=b"ok")
        found = _ADDRESS.fullmatch(scope.path)
        if found is None or scope.method != "POST":
            return answering.nothing_there()
        content = b""
        async for chunk in protocol:
            content += chunk
            if len(content) > answering.MAX_BYTES:
                return answering.too_large()
        try:
            request = answering.read(
                authorization=scope.headers.get("authorization") or "",
                api_key=scope.headers.get("x-api-key") or "",
                chain_id=int(found[1]),
                content=content,
            )
        except answering.Unreadable as unreadable:
            return unreadable.response
        if answering.sends_only(request):
            answer: answering.Response = await self._sends.result_of(request)
            return answer
        loop = asyncio.get_running_loop()
        (answer,) = await loop.run_in_executor(self._threads, _answer_together, [request])
        return answer


def _answer_together(requests: Sequence[answering.Request]) -> Sequence[answering.Response]:
    django_db.close_old_connections()
    return answering.answer_together(requests)
