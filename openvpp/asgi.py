"""One port for REST (through a2wsgi, three times as fast as Django's own ASGI handler) and for sockets."""

import gc
import os
from typing import Any

import a2wsgi
from channels import routing
from django.core import wsgi

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openvpp.settings.local")
django_application = wsgi.get_wsgi_application()

from openvpp import sockets  # noqa: E402 - needs the apps loaded


async def lifespan(_scope: dict[str, Any], receive: sockets.Receive, send: sockets.Send) -> None:
    """Say yes to the server's start and stop; nothing here waits for them."""
    while True:
        stage = (await receive())["type"]
        await send({"type": f"{stage}.complete"})
        if stage == "lifespan.shutdown":
            return


class Rest:
    """Django over WSGI. The bridge wants coroutines where granian hands out futures.

    Each thread has a connection and its prepared statements: twice as many cost a payment a fifth more processor time.
    """

    def __init__(self) -> None:
        self._bridge: Any = a2wsgi.WSGIMiddleware(django_application, workers=8)  # type: ignore[arg-type] # is WSGI

    async def __call__(self, scope: dict[str, Any], receive: sockets.Receive, send: sockets.Send) -> None:
        async def receive_next() -> sockets.Message:
            return await receive()

        await self._bridge(scope, receive_next, send)


application = routing.ProtocolTypeRouter(
    {
        "http": Rest(),
        "lifespan": lifespan,
        "websocket": routing.URLRouter(sockets.urlpatterns),
    }
)

# What is loaded by now stays: walking all of it again would stop every request for tens of milliseconds.
gc.collect()
gc.freeze()
