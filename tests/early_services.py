"""Loaded by `-p` before any other plugin, so that Django reads its settings when the services stand.

In the workers of pytest-xdist it would else read them with the addresses of the process that started them.
"""

import os

os.environ["DJANGO_SETTINGS_MODULE"] = "openvpp.settings.test"

from tests import services_fixture

services_fixture.start()
