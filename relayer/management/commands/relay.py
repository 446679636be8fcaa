"""`manage.py relay`: the bundle loop. Several may run; each relayer key belongs to one of them at a time."""

import logging
import secrets
import signal
import threading
import time
from typing import Any

from django import db as django_db
from django.conf import settings
from django.core.management import base

from openvpp.core import clock, errors, waking
from relayer import models
from relayer.adapters import chain
from relayer.usecases import count_up, fill_gaps, hold_keys, send_bundle, watch_bundles

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.1
PAUSE_SECONDS = 1.0
GAPS_SECONDS = 3.0


class Command(base.BaseCommand):
    requires_system_checks = []  # the web looks at every address; here they would only take memory
    help = "Bundle queued operations, send them, and follow them until they are final."
    _next_gaps = 0.0

    def handle(self, *args: Any, **options: Any) -> None:
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        holder = f"relay-{secrets.token_hex(8)}"
        self._check_chain(stopping)
        self.stdout.write(f"{holder} on chain {settings.CHAIN_ID}")
        while not stopping.is_set():
            if self._turn(holder):
                self._wait()
            else:
                stopping.wait(PAUSE_SECONDS)
        hold_keys.release_keys(holder=holder)

    def _wait(self) -> None:
        """Wait for the next operation, at most until it is time to look at the chain again."""
        try:
            waking.wait(channel="relayer_queue", seconds=POLL_SECONDS)
        except django_db.Error as error:
            logger.warning("database: %s", error)
            django_db.close_old_connections()

    def _check_chain(self, stopping: threading.Event) -> None:
        """Refuse to work on another chain than the one in the settings; wait for one that does not answer yet."""
        while not stopping.is_set():
            try:
                found = chain.chain_id()
            except errors.Unreachable as error:
                logger.warning("chain unreachable: %s", error)
                stopping.wait(PAUSE_SECONDS)
                continue
            if found != settings.CHAIN_ID:
                raise base.CommandError(f"CHAIN_RPC_URL leads to chain {found}, CHAIN_ID says {settings.CHAIN_ID}.")
            return

    def _turn(self, holder: str) -> bool:
        """Do what there is to do; say whether everything could be reached. No failure ends the loop."""
        try:
            keys = hold_keys.hold_keys(chain_id=settings.CHAIN_ID, holder=holder, now=clock.get_now())
            watch_bundles.watch_bundles(chain_id=settings.CHAIN_ID, holder=holder, now=clock.get_now())
            if time.monotonic() >= self._next_gaps:
                self._next_gaps = time.monotonic() + GAPS_SECONDS
                fill_gaps.fill_gaps(keys=keys, holder=holder, now=clock.get_now())
            for key in keys:
                self._send(key, holder)
            count_up.write_down(now=clock.get_now())
        except errors.Unreachable as error:
            logger.warning("unreachable: %s", error)
        except django_db.Error as error:
            logger.warning("database: %s", error)
            django_db.close_old_connections()
        except Exception:
            logger.exception("the relay failed; it goes on")
        else:
            return True
        return False

    def _send(self, key: models.RelayerKey, holder: str) -> None:
        """Send what one key can; a key that cannot, because it is disabled or lost, leaves the work to the others."""
        try:
            while send_bundle.send_bundle(key=key, holder=holder, now=clock.get_now()):
                continue
        except errors.UnableTo as error:
            logger.error("relayer key %s: %s %s", key.address, error.code, error.detail)  # noqa: TRY400 - no trace needed
