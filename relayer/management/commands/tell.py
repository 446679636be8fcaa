"""`manage.py tell`: tells those who asked for an operation what became of it. Several may run."""

import logging
import signal
import threading
from typing import Any

from django import db as django_db
from django.core.management import base

from openvpp.core import clock, waking
from relayer.usecases import tell_changes

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0


class Command(base.BaseCommand):
    help = "Tell what became of operations, as the relay writes it down."

    def handle(self, *args: Any, **options: Any) -> None:
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        self.stdout.write("telling what becomes of operations")
        while not stopping.is_set():
            try:
                tell_changes.tell_changes(now=clock.get_now())
                waking.wait(channel="relayer_news", seconds=LOOK_SECONDS)
            except django_db.Error as error:
                logger.warning("database: %s", error)
                django_db.close_old_connections()
                stopping.wait(LOOK_SECONDS)
