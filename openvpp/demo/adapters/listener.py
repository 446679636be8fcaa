"""A phone's open socket: notices arrive while the journey goes on."""

import contextlib
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import websockets
from websockets.sync import client

from openvpp.demo.adapters import phone

RECEIVE_SECONDS = 1.0


class Listener:
    """Keeps the notices that came over `/ws/v1/notifications/`, in the order in which they came."""

    def __init__(self, *, url: str, ticket: str, after: int) -> None:
        self.notices: list[dict[str, Any]] = []
        self._arrived = threading.Condition()
        self._stopped = threading.Event()
        self._failure = ""
        self._connection = client.connect(f"{url}?after={after}&ticket={ticket}", proxy=None)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def wait_for(self, wanted: Callable[[dict[str, Any]], bool], *, within_s: float, what: str) -> dict[str, Any]:
        """Return the first notice that is wanted, waiting for it.

        :raises phone.UnableToPlay: it did not come in time, or the socket closed.
        """
        deadline = time.monotonic() + within_s
        with self._arrived:
            while True:
                for notice in self.notices:
                    if wanted(notice):
                        return notice
                left = deadline - time.monotonic()
                if left <= 0 or self._failure:
                    reason = self._failure or f"it did not come within {within_s:.0f} s"
                    raise phone.UnableToPlay(f"No notice of {what}: {reason}.", code="no_notice")
                self._arrived.wait(min(left, RECEIVE_SECONDS))

    def close(self) -> None:
        """Close the socket."""
        self._stopped.set()
        with contextlib.suppress(websockets.WebSocketException):
            self._connection.close()
        self._thread.join(RECEIVE_SECONDS * 2)

    def _listen(self) -> None:
        while not self._stopped.is_set():
            try:
                frame = json.loads(self._connection.recv(timeout=RECEIVE_SECONDS))
            except TimeoutError:
                continue
            except websockets.ConnectionClosed as closed:
                with self._arrived:
                    self._failure = f"the socket closed ({closed.rcvd.reason if closed.rcvd else 'no reason'})"
                    self._arrived.notify_all()
                return
            if frame["type"] == "notice":
                with self._arrived:
                    self.notices.append(frame)
                    self._arrived.notify_all()
