"""REST over WSGI."""

import os

from django.core import wsgi

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openvpp.settings.local")
application = wsgi.get_wsgi_application()
