"""`manage.py bundler`: the bundler's JSON-RPC in a lean process of its own, beside the web that answers it too."""

import asyncio
import gc
import signal
from typing import Any

from django.core.management import base
from granian import constants
from granian import log as granian_log
from granian.server import embed

from relayer.rpc import door


class Command(base.BaseCommand):
    requires_system_checks = []  # the web looks at every address; here they would only take memory
    help = "Serve JSON-RPC of bundler and paymaster at /rpc/v1/<chain id>. Several may run."

    def add_arguments(self, parser: base.CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=4337)

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        self.stdout.write(f"bundler on {host}:{port}")
        gc.collect()
        gc.freeze()  # what is loaded by now stays
        asyncio.run(_serve(host, port))


async def _serve(host: str, port: int) -> None:
    server = embed.Server(
        door.Door(),
        address=host,
        port=port,
        interface=constants.Interfaces.RSGI,
        websockets=False,
        backlog=1024,
        log_level=granian_log.LogLevels.warning,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    await server.serve()
