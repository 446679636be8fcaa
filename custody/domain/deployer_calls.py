"""What a deployer's key sends, by its exact form: this version's contracts, paymasters' settings, coin to our keys.

Nothing takes out what the paymasters hold, unlocks their stake, or gives them to another owner or manager.
"""

import dataclasses
from collections.abc import Callable, Collection

from contracts import plan
from contracts.bindings import paymaster, words
from custody.domain import transactions

_DEPLOYERS_DEPLOYER_WEI = 10**16
_SPONSOR, _RELAYER, _REFILL = "sponsor", "relayer", "refill"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A transaction of the list. `named` must be the address of a key of ours, with one of these purposes."""

    named: bytes | None = None
    purposes: tuple[str, ...] = ()


def read(*, sent: transactions.Transaction, creations: Collection[bytes], paymasters: Collection[bytes]) -> Call | None:
    """Return what a transaction is, or None when it is not on the list.

    `creations` is the calldata to the deterministic deployer that puts this version's contracts on a chain.
    """
    if sent.to == plan.DETERMINISTIC_DEPLOYER:
        return Call() if sent.data in creations and not sent.value_wei else None
    if sent.to in paymasters:
        return _read_settings(data=sent.data, value_wei=sent.value_wei)
    if sent.data:
        return None
    if sent.to == plan.DETERMINISTIC_DEPLOYERS_SIGNER and sent.value_wei <= _DEPLOYERS_DEPLOYER_WEI:
        return Call()
    return Call(named=sent.to, purposes=(_RELAYER, _REFILL))


def _read_settings(*, data: bytes, value_wei: int) -> Call | None:
    """Return which of the paymasters' settings this is; coin goes along only into deposit and stake."""
    for read_one, takes_coin in _SETTINGS:
        try:
            call, form = read_one(data[4:])
        except ValueError:
            continue
        if form == data and (takes_coin or not value_wei):
            return call
    return None


def _deposit(_given: bytes) -> tuple[Call, bytes]:
    return Call(), paymaster.encode_deposit()


def _stake(given: bytes) -> tuple[Call, bytes]:
    return Call(), paymaster.encode_add_stake(unstake_delay_seconds=words.read_uint(given, 0))


def _sponsor(given: bytes) -> tuple[Call, bytes]:
    sponsor, is_allowed = words.read_address(given, 0), words.read_uint(given, 32) == 1
    call = Call(named=sponsor, purposes=(_SPONSOR,)) if is_allowed else Call()
    return call, paymaster.encode_set_sponsor(sponsor=sponsor, is_allowed=is_allowed)


def _allowance(given: bytes) -> tuple[Call, bytes]:
    relayer, price_wei, cost_wei = words.read_address(given, 0), words.read_uint(given, 32), words.read_uint(given, 64)
    call = Call(named=relayer, purposes=(_RELAYER,)) if price_wei or cost_wei else Call()
    return call, paymaster.encode_set_allowance(relayer=relayer, max_fee_per_gas_wei=price_wei, max_cost_wei=cost_wei)


def _budget(given: bytes) -> tuple[Call, bytes]:
    utility_id, program_id, budget_wei = (words.read_uint(given, 32 * i) for i in range(3))
    return Call(), paymaster.encode_set_budget(utility_id=utility_id, program_id=program_id, budget_wei=budget_wei)


def _limits(given: bytes) -> tuple[Call, bytes]:
    utility_id, program_id, per_operation_wei, per_day_wei = (words.read_uint(given, 32 * i) for i in range(4))
    return Call(), paymaster.encode_set_limits(
        utility_id=utility_id,
        program_id=program_id,
        max_per_operation_wei=per_operation_wei,
        max_per_day_wei=per_day_wei,
    )


def _paused(given: bytes) -> tuple[Call, bytes]:
    return Call(), paymaster.encode_set_paused(is_paused=words.read_uint(given, 0) == 1)


# How each is read, and whether coin goes along.
_SETTINGS: tuple[tuple[Callable[[bytes], tuple[Call, bytes]], bool], ...] = (
    (_deposit, True),
    (_stake, True),
    (_sponsor, False),
    (_allowance, False),
    (_budget, False),
    (_limits, False),
    (_paused, False),
)
