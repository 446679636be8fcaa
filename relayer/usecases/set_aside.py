"""An operation that a bundle cannot carry now: it fails, waits, or turns out to stand on the chain already.

An operation that nobody else can have seen fails at once. One that was broadcast may still be brought to the chain by
whoever saw it: it fails only when the chain itself has closed the door, its expiry passed or its nonce used, with as
many blocks on top as finality asks for.
"""

import datetime

from django.conf import settings

from contracts import deployments
from contracts.bindings import words
from openvpp.core import db, steps
from relayer import models
from relayer.adapters import chain
from relayer.domain import receipts, refusals
from relayer.usecases import change_state, record_block

_FIRST_WAIT_SECONDS = 1
_LONGEST_WAIT_SECONDS = 15
# Blocks searched before the operation's birth, and the shortest time between blocks that is reckoned with.
_SEARCH_MARGIN_BLOCKS = 100
_SHORTEST_BLOCK_SECONDS = 0.25
_NONCE_BITS = 64
EXPIRED = "Expired before it was in a block."


@db.durable
def set_aside(*, operation: models.UserOperation, refusal: refusals.Refusal, now: datetime.datetime) -> None:
    """Decide what becomes of an operation that the EntryPoint refuses now.

    :raises errors.Unreachable: the chain does not answer.
    """
    steps.note("set_aside", operation=operation.hash, attempts=operation.attempts, reason=refusal.reason)
    if operation.broadcast_at is not None:
        if not close(operation=operation, reason=refusal.reason, now=now):
            _wait(operation=operation, now=now)
    elif _is_over_unseen(operation=operation, refusal=refusal, now=now):
        _fail(operation=operation, reason=refusal.reason, now=now)
    else:
        _wait(operation=operation, now=now)


@db.durable
def close(*, operation: models.UserOperation, reason: str, now: datetime.datetime) -> bool:
    """End an operation that was broadcast, if the chain has: found in a block, or never to be; say whether it did.

    :raises errors.Unreachable: the chain does not answer.
    """
    is_closed = _is_closed_on_chain(operation=operation)  # asked before the logs, which then hold all there will be
    is_adopted = _adopt(operation=operation, now=now)
    if is_adopted is None:
        return False
    if not is_adopted and is_closed:
        _fail(operation=operation, reason=reason, now=now)
    return is_adopted or is_closed


def entry_point(*, chain_id: int) -> bytes:
    """Return the EntryPoint of a chain."""
    return deployments.load(chain_id=chain_id).entry_point


def _is_over_unseen(*, operation: models.UserOperation, refusal: refusals.Refusal, now: datetime.datetime) -> bool:
    if refusal.meaning is refusals.Meaning.FINAL or operation.expires_at <= now:
        return True
    return refusal.meaning is refusals.Meaning.NONCE and _is_nonce_used(
        operation=operation, block_number=chain.head().number
    )


def _is_closed_on_chain(*, operation: models.UserOperation) -> bool:
    confirmed = max(chain.head().number - settings.CHAIN_CONFIRMATIONS, 0)
    if chain.timestamp_of(block_number=confirmed) > operation.expires_at.timestamp():
        return True
    return _is_nonce_used(operation=operation, block_number=confirmed)


def _is_nonce_used(*, operation: models.UserOperation, block_number: int) -> bool:
    key, sequence = int(operation.nonce) >> _NONCE_BITS, int(operation.nonce) & ((1 << _NONCE_BITS) - 1)
    current = chain.operation_nonce(
        entry_point=words.parse_address(str(operation.entry_point)),
        sender=words.parse_address(str(operation.sender)),
        key=key,
        block_number=block_number,
    )
    return current & ((1 << _NONCE_BITS) - 1) > sequence


def _adopt(*, operation: models.UserOperation, now: datetime.datetime) -> bool | None:
    """Look on the chain whether anybody executed the operation, and if so take that as its execution.

    None where a node knows of the execution and not, or not any more, of its transaction: that is looked at again.
    """
    address = words.parse_address(str(operation.entry_point))
    age_blocks = int((now - operation.created_at).total_seconds() / _SHORTEST_BLOCK_SECONDS) + _SEARCH_MARGIN_BLOCKS
    found = chain.find_execution(
        entry_point=address,
        user_operation_hash=str(operation.hash),
        from_block=chain.head().number - age_blocks,
    )
    if found is None:
        return False
    (receipt,) = chain.receipts(hashes=[found])
    if receipt is None:
        return None
    record_block.record_stranger(
        chain_id=operation.chain_id, receipt=receipts.read(receipt=receipt, entry_point=address), now=now
    )
    return True


@db.transaction
def _fail(*, operation: models.UserOperation, reason: str, now: datetime.datetime) -> None:
    change_state.fail(operation=operation, reason=reason, now=now)


@db.transaction
def _wait(*, operation: models.UserOperation, now: datetime.datetime) -> None:
    seconds = min(_FIRST_WAIT_SECONDS * 2 ** min(operation.attempts - 1, 10), _LONGEST_WAIT_SECONDS)
    models.UserOperation.objects.filter(hash=operation.hash, leased_by=operation.leased_by).update(
        leased_by="", leased_until=now + datetime.timedelta(seconds=seconds)
    )
