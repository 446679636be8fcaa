"""`manage.py simulated_provider`: a provider's cloud for development, on PROVIDER_URL."""

import os
import pathlib
import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management import base

from ders.simulated_provider import server


class Command(base.BaseCommand):
    help = "Serve a simulated device provider on PROVIDER_URL; its webhooks go to BASE_URL. Uses no database."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        var = os.environ.get("OPENVPP_VAR_DIR", "")
        provider = server.SimulatedProvider(
            url=settings.PROVIDER_URL,
            webhook_base_url=settings.BASE_URL,
            file=pathlib.Path(var) / "simulated-provider.json" if var else None,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: threading.Thread(target=provider.stop).start())
        self.stdout.write(f"Simulated provider on {provider.url}")
        provider.serve()
