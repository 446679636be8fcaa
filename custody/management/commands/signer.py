"""`manage.py signer`: the only process that opens sealed keys."""

import urllib.parse
from typing import Any

from django.conf import settings
from django.core.management import base

from custody.adapters import key_files, process_memory
from custody.rpc import endpoints
from openvpp.core import garbage, listening

THREADS = 4


class Command(base.BaseCommand):
    requires_system_checks = []  # the web looks at every address; here they would only take memory
    help = "Serve the signer on SIGNER_URL; needs KEK_FILE and SIGNER_TOKEN."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.SIGNER_TOKEN:
            raise base.CommandError("Set SIGNER_TOKEN_FILE to the file of the token that callers of the signer send.")
        process_memory.keep_private()
        try:
            ring = key_files.load_ring_from_environment()
        except key_files.UnableToReadKeyFile as error:
            raise base.CommandError(str(error)) from None
        url = urllib.parse.urlsplit(settings.SIGNER_URL)
        self.stdout.write(f"signer on {url.hostname}:{url.port}, key-encryption key {ring.current.id}")
        application = endpoints.Application(ring=ring, token=settings.SIGNER_TOKEN)
        garbage.settle()
        listening.Server(
            application,
            host=str(url.hostname),
            port=url.port or 80,
            threads=THREADS,
            most_bytes=endpoints.MAX_BODY_BYTES,
        ).run()
