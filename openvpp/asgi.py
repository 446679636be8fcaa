"""One port for REST (through a2wsgi, three times as fast as Django's own ASGI handler) and for sockets."""

import os

import a2wsgi
from channels import routing
from django.core import wsgi

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openvpp.settings.local")
django_application = wsgi.get_wsgi_application()

from openvpp import sockets  # noqa: E402 - needs the apps loaded

application = routing.ProtocolTypeRouter(
    {
        "http": a2wsgi.WSGIMiddleware(django_application, workers=16),
        "websocket": routing.URLRouter(sockets.urlpatterns),
    }
)
