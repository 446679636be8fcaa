"""The drills: each breaks one thing under a steady load, and says what became of every operation."""

import dataclasses
import time
from collections.abc import Callable

from tests.drills import chain, kills, load, nodes, stores
from tests.drills import field as fields

OPERATIONS = 60


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a drill showed, and how long it took."""

    name: str
    verdict: load.Verdict
    seconds: float
    note: str = ""


DRILLS: dict[str, Callable[[fields.Field], None]] = {
    each.__name__: each
    for each in (
        kills.kill_after_claim,
        kills.kill_after_sign,
        kills.kill_before_send,
        kills.kill_after_send,
        kills.kill_while_settling,
        kills.two_relays,
        nodes.dropped_transaction,
        nodes.sent_with_an_error,
        chain.reorganisations,
        chain.fee_spike,
        nodes.node_times_out,
        nodes.nodes_busy,
        nodes.wrong_chain,
        nodes.stale_head,
        nodes.quorum_differs,
        nodes.private_node_drops,
        chain.stolen_nonce,
        chain.poisoned,
        chain.nonce_taken_back,
        chain.empty_key,
        stores.postgres_restart,
        stores.redis_gone,
    )
}


def play(name: str, town: load.Town) -> Outcome:
    """Play one drill and judge it."""
    started = time.monotonic()
    field = fields.Field(town=town, made=town.take(OPERATIONS), before=town.begin())
    field.first_bundle = field.newest_bundle()
    DRILLS[name](field)
    verdict = town.judge(field.made, before=field.before, expected_failures=field.expected_failures)
    return Outcome(name=name, verdict=verdict, seconds=time.monotonic() - started, note=field.note)
