"""`manage.py revoker`: takes revoked keys off the chain, and does nothing else. Several may run.

A worker does the same among everything else; this one is up within a second of being killed.
"""

import logging
import signal
import threading
from typing import Any

from django import db as django_db
from django.core.management import base

from openvpp.core import clock, errors
from wallets.usecases import revoke_session_key

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.2


class Command(base.BaseCommand):
    requires_system_checks = []  # the web looks at every address; here they would only take memory
    help = "Take revoked keys off the chain at once."
    _trouble = ""

    def handle(self, *args: Any, **options: Any) -> None:
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        self.stdout.write("taking revoked keys off the chain")
        while not stopping.is_set():
            self._turn()
            stopping.wait(LOOK_SECONDS)

    def _turn(self) -> None:
        """Do what there is to do; no failure ends the loop, and one that lasts is told once."""
        try:
            revoke_session_key.take_off(now=clock.get_now())
        except (errors.Unreachable, django_db.Error) as error:
            if str(error) != self._trouble:
                logger.warning("revoked keys wait: %s", error)
            self._trouble = str(error)
            django_db.close_old_connections()
        except Exception:
            logger.exception("the revoker failed; it goes on")
        else:
            self._trouble = ""
