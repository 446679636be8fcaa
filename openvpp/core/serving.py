"""A server inside its own process, for the lean ones: no parent that keeps watch, and none that takes memory.

Whoever started the process starts it again when it ends (supervisor, container).
"""

import asyncio
import signal
from typing import Any

from granian import constants
from granian import log as granian_log
from granian.server import embed

from openvpp.core import garbage

BACKLOG = 1024


def serve(application: Any, *, host: str, port: int) -> None:
    """Serve an RSGI application until SIGTERM or SIGINT."""
    garbage.settle()
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
