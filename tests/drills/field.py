"""A drill under way: the ground, its operations, its relays."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests import first_operations
from tests.drills import ground as grounds
from tests.drills import load

FINISHED_WITHIN_S = 60.0
LOOK_S = 0.02


@dataclasses.dataclass
class Field:
    """One drill under way: the ground, its operations, its relays."""

    town: load.Town
    made: list[first_operations.Signed]
    before: Any
    note: str = ""
    expected_failures: frozenset[str] = frozenset()
    first_bundle: int = 0

    @property
    def ground(self) -> grounds.Ground:
        return self.town.ground

    @contextlib.contextmanager
    def relays(self, count: int = 1, **settings: str) -> Iterator[list[grounds.Running]]:
        """Start relays; end them, and whatever stands between them and the world, afterwards."""
        running = [self.ground.relay(number, **settings) for number in range(1, count + 1)]
        try:
            for each in running:
                each.start()
            yield running
        finally:
            self.ground.heal()
            for each in running:
                each.stop()

    def finish(self, *, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Wait until each operation is final and each bundle is, doing something at each look."""
        open_ = "SELECT count(*) FROM relayer_bundle WHERE state IN ('pending', 'mined')"

        def is_over() -> bool:
            meanwhile()
            return self.town.is_over(self.made) and self.ground.rows(open_) == [(0,)]

        wait_for(is_over, quietly=True)

    def play(self) -> None:
        """Submit all, and wait until all is over."""
        loading = self.town.start(self.made)
        loading.join()
        self.finish()

    def newest_bundle(self) -> int:
        """Return the id of the newest bundle of all."""
        return int(str(self.ground.rows("SELECT coalesce(max(id), 0) FROM relayer_bundle")[0][0]))

    def wait_for_bundle(self, condition: str = "true", *, newer_than: int | None = None) -> None:
        """Wait until there is a bundle of this drill, in that condition."""
        since = self.first_bundle if newer_than is None else newer_than
        query = f"SELECT 1 FROM relayer_bundle WHERE id > %s AND {condition}"
        wait_for(lambda: self.ground.rows(query, since))

    def wait_for_block(self) -> None:
        """Wait until the chain is a block further."""
        head = self.town.head()
        wait_for(lambda: self.town.head() > head)


def wait_for[T](look: Callable[[], T], *, within_s: float = FINISHED_WITHIN_S, quietly: bool = False) -> T | None:
    """Look until there is something; processes of others tell nobody."""
    deadline = time.monotonic() + within_s
    while not (found := look()):
        if time.monotonic() > deadline:
            if quietly:
                return None
            message = f"nothing after {within_s:.0f} seconds"
            raise RuntimeError(message)
        time.sleep(LOOK_S)
    return found


def met(is_so: bool) -> None:
    """Refuse to count a drill whose fault nobody met."""
    assert is_so, "the fault was not met: the drill shows nothing"
