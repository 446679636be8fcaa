"""Threads beside the main one, each with its own connection to the database."""

import contextlib
import threading
from collections.abc import Iterator
from concurrent import futures

from django.db import connections


@contextlib.contextmanager
def open_pool(*, size: int, name: str) -> Iterator[futures.ThreadPoolExecutor]:
    """Yield a pool of threads; at the end every thread closes the connections that it opened."""
    with futures.ThreadPoolExecutor(max_workers=size, thread_name_prefix=name) as pool:
        try:
            yield pool
        finally:
            gate = threading.Barrier(size)  # holds each thread until all have come
            futures.wait([pool.submit(_close, gate) for _ in range(size)])


def _close(gate: threading.Barrier) -> None:
    gate.wait()
    connections.close_all()
