"""One port for REST (through a2wsgi, three times as fast as Django's own ASGI handler) and for sockets."""

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


application = routing.ProtocolTypeRouter(
    {
        "http": a2wsgi.WSGIMiddleware(django_application, workers=16),  # type: ignore[arg-type] # WSGI all the same
        "lifespan": lifespan,
        "websocket": routing.URLRouter(sockets.urlpatterns),
    }
)
