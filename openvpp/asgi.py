"""One port for REST (over WSGI, three times as fast as Django's own ASGI handler) and for sockets."""

import os
from typing import Any

from channels import routing
from django.core import wsgi

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openvpp.settings.local")
django_application = wsgi.get_wsgi_application()

from openvpp import rest, sockets  # noqa: E402 - needs the apps loaded
from openvpp.core import garbage  # noqa: E402 - needs the apps loaded


async def lifespan(_scope: dict[str, Any], receive: sockets.Receive, send: sockets.Send) -> None:
    """Say yes to the server's start and stop; nothing here waits for them."""
    while True:
        stage = (await receive())["type"]
        await send({"type": f"{stage}.complete"})
        if stage == "lifespan.shutdown":
            return


# Each thread has a connection and its prepared statements, and they take the interpreter from each other: with eight of
# them the slowest hundredth of payments waits three times as long.
THREADS = 4

application = routing.ProtocolTypeRouter(
    {
        "http": rest.Rest(django_application, threads=THREADS),
        "lifespan": lifespan,
        "websocket": routing.URLRouter(sockets.urlpatterns),
    }
)

garbage.settle()
