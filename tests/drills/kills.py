"""Relays that are killed at the worst moment."""

import random
import threading
import time
from collections.abc import Callable, Sequence

from contracts.bindings import user_operations
from tests.drills import field as fields
from tests.drills import ground as grounds
from tests.drills import proxy

_HANDLE_OPS = "0x" + user_operations.encode_handle_ops(operations=[], beneficiary=bytes(20))[:4].hex()


def kill_after_claim(field: fields.Field) -> None:
    """`kill -9` once operations are claimed, before anything is signed."""
    _kill_at_call(field, lambda request: request["method"] == "eth_call" and _HANDLE_OPS in str(request["params"]))


def kill_after_sign(field: fields.Field) -> None:
    """`kill -9` once a bundle is signed, before it is written down."""
    with field.relays() as (relay,):
        kill = _Kills(relay, times=3)

        def after(body: bytes, answer: bytes) -> bytes:
            if b"transaction" in body and kill():
                raise proxy.HangUp
            return answer

        field.ground.signing.after = after
        field.play()
        kill.expect()
        field.note = f"killed {kill.count} times"


def kill_before_send(field: fields.Field) -> None:
    """`kill -9` once a bundle is written down, before it is sent."""

    def on_send(kill: _Kills, forward: Callable[[], proxy.Answer]) -> proxy.Answer | None:
        return None if kill() else forward()

    _kill_at_send(field, on_send)


def kill_after_send(field: fields.Field) -> None:
    """`kill -9` once a bundle is sent, before that is recorded."""

    def on_send(kill: _Kills, forward: Callable[[], proxy.Answer]) -> proxy.Answer | None:
        answer = forward()
        return None if kill() else answer

    _kill_at_send(field, on_send)


def kill_while_settling(field: fields.Field) -> None:
    """`kill -9` while receipts are recorded and settled."""
    with field.relays() as (relay,):
        kill = _Kills(relay, times=3)
        loading = field.town.start(field.made)
        due = (
            "SELECT id FROM relayer_bundle WHERE state = 'mined' AND block_number + %s <= %s "
            "AND NOT id = ANY(%s) ORDER BY id"
        )
        seen: list[object] = []
        while kill.left and not field.town.is_over(field.made):
            head = field.town.head()
            found = field.ground.rows(due, grounds.CONFIRMATIONS, head, seen)
            if found:
                seen.append(found[0][0])
                time.sleep(random.uniform(0, 0.03))
                kill()
            time.sleep(fields.LOOK_S)
        loading.join()
        field.finish()
        kill.expect()
        field.note = f"killed {kill.count} times"


def two_relays(field: fields.Field) -> None:
    """Two relays at once, each killed once."""
    with field.relays(2) as relays:
        loading = field.town.start(field.made)
        for relay in relays:
            field.wait_for_bundle(newer_than=field.newest_bundle())
            relay.kill()
            relay.start()
        loading.join()
        field.finish()


class _Kills:
    """Kills a relay when it is called, a few times, and starts it again in the background."""

    def __init__(self, relay: grounds.Running, *, times: int) -> None:
        self.left, self.count = times, 0
        self._relay = relay
        self._lock = threading.Lock()
        self._earliest = 0.0

    def __call__(self) -> bool:
        with self._lock:
            if not self.left or time.monotonic() < self._earliest:
                return False
            self.left, self.count = self.left - 1, self.count + 1
            self._relay.kill()
            self._earliest = time.monotonic() + 0.5
            self._relay.start()
            return True

    def expect(self) -> None:
        assert self.count, "the moment to kill never came"


def _kill_at_call(field: fields.Field, is_moment: Callable[[proxy.Request], bool]) -> None:
    with field.relays() as (relay,):
        kill = _Kills(relay, times=3)

        def fault(requests: Sequence[proxy.Request]) -> None:
            if any(is_moment(request) for request in requests) and kill():
                raise proxy.HangUp

        field.ground.first.fault = fault
        field.play()
        kill.expect()
        field.note = f"killed {kill.count} times"


def _kill_at_send(
    field: fields.Field, on_send: Callable[[_Kills, Callable[[], proxy.Answer]], proxy.Answer | None]
) -> None:
    with field.relays() as (relay,):
        kill = _Kills(relay, times=3)
        field.ground.first.on_send = lambda _, forward: on_send(kill, forward)
        field.play()
        kill.expect()
        field.note = f"killed {kill.count} times"
