"""`debug_bundler_*` of ERC-7769, in development alone: RELAYER_DEBUG_METHODS."""

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from contracts import deployments
from contracts.bindings import words
from relayer import models, queries
from relayer.domain import codes, reputation, wire
from relayer.usecases import debug_bundler

_COUNT_BITS = 31
_MODES = ("manual", "auto")

type Method = Callable[[models.ApiKey, int, Sequence[Any], datetime.datetime], Any]


def _clear_state(key: models.ApiKey, chain_id: int, _given: Sequence[Any], now: datetime.datetime) -> str:
    debug_bundler.clear_pool(utility_id=key.utility_id, chain_id=chain_id, now=now)
    debug_bundler.clear_reputation(chain_id=chain_id)
    return "ok"


def _dump_mempool(key: models.ApiKey, chain_id: int, given: Sequence[Any], _now: datetime.datetime) -> list[Any]:
    _check(given[0], chain_id=chain_id)
    rows = debug_bundler.read_pool(utility_id=key.utility_id, chain_id=chain_id)
    return [wire.write_operation(row.to_binding(), row.to_authorization()) for row in rows]


def _send_bundle_now(_key: models.ApiKey, chain_id: int, _given: Sequence[Any], now: datetime.datetime) -> str:
    hash_ = debug_bundler.send_now(chain_id=chain_id, now=now)
    if hash_ is None:
        raise codes.RefusedCall(codes.Code.BAD_PARAMETERS, "Nothing is due, or the bundling mode is not manual.")
    return hash_


def _set_mode(_key: models.ApiKey, chain_id: int, given: Sequence[Any], _now: datetime.datetime) -> str:
    if given[0] not in _MODES:
        raise codes.RefusedCall(codes.Code.BAD_PARAMETERS, "The mode is manual or auto.")
    debug_bundler.set_mode(chain_id=chain_id, is_manual=given[0] == "manual")
    return "ok"


def _set_reputation(_key: models.ApiKey, chain_id: int, given: Sequence[Any], now: datetime.datetime) -> str:
    _check(given[1], chain_id=chain_id)
    if not isinstance(given[0], list) or not all(isinstance(each, Mapping) for each in given[0]):
        raise codes.RefusedCall(codes.Code.BAD_PARAMETERS, "The first parameter is a list of entities.")
    counts = [
        (
            words.checksummed(wire.address_of(each, "address")),
            wire.number_of(each, "opsSeen", bits=_COUNT_BITS),
            wire.number_of(each, "opsIncluded", bits=_COUNT_BITS),
        )
        for each in given[0]
    ]
    debug_bundler.set_reputation(chain_id=chain_id, counts=counts, now=now)
    return "ok"


def _dump_reputation(_key: models.ApiKey, chain_id: int, given: Sequence[Any], _now: datetime.datetime) -> list[Any]:
    _check(given[0], chain_id=chain_id)
    return [
        {
            "address": str(row.entity),
            "opsSeen": hex(row.seen),
            "opsIncluded": hex(row.included),
            "status": reputation.Record(seen=row.seen, included=row.included).standing.value,
        }
        for row in debug_bundler.read_reputation(chain_id=chain_id)
    ]


def _check(entry_point: object, *, chain_id: int) -> None:
    queries.check_entry_point(entry_point, deployment=deployments.load(chain_id=chain_id))


# Name on the wire: how many parameters there may be, and the function. All need the scope to send.
METHODS: dict[str, tuple[int, Method]] = {
    "debug_bundler_clearState": (0, _clear_state),
    "debug_bundler_dumpMempool": (1, _dump_mempool),
    "debug_bundler_sendBundleNow": (0, _send_bundle_now),
    "debug_bundler_setBundlingMode": (1, _set_mode),
    "debug_bundler_setReputation": (2, _set_reputation),
    "debug_bundler_dumpReputation": (1, _dump_reputation),
}
