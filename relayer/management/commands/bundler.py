"""`manage.py bundler`: the bundler's JSON-RPC in a lean process of its own, beside the web that answers it too."""

from typing import Any

from django.core.management import base

from openvpp.core import serving
from relayer.rpc import door


class Command(base.BaseCommand):
    requires_system_checks = []  # the web looks at every address; here they would only take memory
    help = "Serve JSON-RPC of bundler and paymaster at /rpc/v1/<chain id>. Several may run."

    def add_arguments(self, parser: base.CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=4337)

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        self.stdout.write(f"bundler on {host}:{port}")
        serving.serve(door.Door(), host=host, port=port)
