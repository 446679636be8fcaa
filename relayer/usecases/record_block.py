"""What a block says of bundles: mined, gone from the chain again, final."""

import collections
import datetime
import logging
from collections.abc import Sequence

from contracts import deployments
from openvpp.core import db
from relayer import models
from relayer.domain import receipts
from relayer.usecases import change_state, count_reputation

logger = logging.getLogger(__name__)

_RECEIPT_FIELDS = [
    "has_succeeded",
    "reason",
    "transaction_hash",
    "block_number",
    "block_hash",
    "gas_used",
    "gas_cost_wei",
    "logs",
]
_UNSETTLED = (
    models.UserOperation.State.QUEUED,
    models.UserOperation.State.BUNDLED,
    models.UserOperation.State.MINED,
)


@db.transaction
def record_mined(*, bundle_id: int, receipt: receipts.BundleReceipt, now: datetime.datetime) -> None:
    """Write down the block in which one of the bundle's transactions stands, and what became of each operation."""
    bundle = models.Bundle.objects.select_for_update().get(pk=bundle_id)
    if bundle.state not in {models.Bundle.State.PENDING, models.Bundle.State.MINED}:
        return
    if bundle.state == models.Bundle.State.MINED and bundle.block_hash == receipt.block_hash:
        return
    _write(bundle=bundle, receipt=receipt, now=now)


@db.transaction
def record_stranger(*, chain_id: int, receipt: receipts.BundleReceipt, now: datetime.datetime) -> None:
    """Write down a transaction of somebody else that executed operations of ours."""
    open_ = models.Bundle.objects.filter(
        chain_id=chain_id, relayer_key__isnull=True, transaction_hash=receipt.transaction_hash
    ).exclude(state=models.Bundle.State.LOST)
    bundle = open_.select_for_update().first() or models.Bundle(
        chain_id=chain_id, call_data=b"", gas_limit=receipt.gas_used, created_at=now
    )
    _write(bundle=bundle, receipt=receipt, now=now)


@db.transaction
def record_gone(*, bundle_id: int, now: datetime.datetime) -> None:
    """Step back: the block that held the bundle is no longer part of the chain."""
    bundle = models.Bundle.objects.select_for_update().get(pk=bundle_id)
    if bundle.state != models.Bundle.State.MINED:
        return
    detail = f"Block {bundle.block_number} left the chain."
    is_ours = bundle.relayer_key_id is not None
    bundle.state = models.Bundle.State.PENDING if is_ours else models.Bundle.State.LOST
    bundle.block_number = bundle.block_hash = bundle.transaction_hash = None
    bundle.gas_used = bundle.gas_price_wei = None
    bundle.has_reverted = False
    bundle.save()
    _step_back(rows=_members(bundle), bundle=bundle if is_ours else None, detail=detail, now=now)


@db.transaction
def record_lost(*, bundle_id: int, now: datetime.datetime) -> None:
    """Give the bundle up: its nonce went to another transaction for good, so none of its own can ever land."""
    bundle = models.Bundle.objects.select_for_update().get(pk=bundle_id)
    if bundle.state != models.Bundle.State.PENDING:
        return
    bundle.state = models.Bundle.State.LOST
    bundle.save(update_fields=["state"])
    logger.error("bundle %s lost its nonce %s to another transaction", bundle.pk, bundle.nonce)
    detail = "Its bundle's nonce went to another transaction."
    _step_back(rows=_members(bundle), bundle=None, detail=detail, now=now)


@db.transaction
def settle(*, bundle_id: int, agreed: receipts.BundleReceipt | None, now: datetime.datetime) -> None:
    """Make a bundle and its operations final, in one go.

    Where a quorum has `agreed` on other than what is written, that is written instead, and looked at once more.
    """
    bundle = models.Bundle.objects.select_for_update().defer("call_data").get(pk=bundle_id)
    if bundle.state != models.Bundle.State.MINED:
        return
    if agreed is not None and not _is_written(bundle=bundle, receipt=agreed):
        logger.error("bundle %s was written as one node alone had it; it is written anew", bundle.pk)
        _write(bundle=bundle, receipt=agreed, now=now)
        return
    change_state.settle(bundle_id=bundle_id, now=now)
    bundle.state = models.Bundle.State.FINAL
    bundle.save(update_fields=["state"])


def _is_written(*, bundle: models.Bundle, receipt: receipts.BundleReceipt) -> bool:
    executed = {operation.user_operation_hash: operation for operation in receipt.operations}
    rows = list(models.UserOperation.objects.filter(bundle=bundle).select_related("receipt"))
    return bundle.block_hash == receipt.block_hash and all(
        (found := executed.get(str(row.hash))) is not None and _says_the_same(row=row, receipt=found) for row in rows
    )


def _says_the_same(*, row: models.UserOperation, receipt: receipts.Receipt) -> bool:
    written = getattr(row, "receipt", None)  # before the other one is made, which takes its place in the row
    expected = _receipt(row=row, receipt=receipt)
    return written is not None and all(getattr(written, each) == getattr(expected, each) for each in _RECEIPT_FIELDS)


def _write(*, bundle: models.Bundle, receipt: receipts.BundleReceipt, now: datetime.datetime) -> None:
    bundle.state = models.Bundle.State.MINED
    bundle.nonce_passed_at_block = None
    bundle.transaction_hash = receipt.transaction_hash
    bundle.block_number, bundle.block_hash = receipt.block_number, receipt.block_hash
    bundle.has_reverted = receipt.has_reverted
    bundle.gas_used, bundle.gas_price_wei = receipt.gas_used, receipt.gas_price_wei
    bundle.save()
    executed = {operation.user_operation_hash: operation for operation in receipt.operations}
    rows = list(
        models.UserOperation.objects.select_for_update(of=("self",)).filter(
            hash__in=list(executed), state__in=_UNSETTLED
        )
    )
    models.UserOperationReceipt.objects.bulk_create(
        [_receipt(row=row, receipt=executed[str(row.hash)]) for row in rows],
        update_conflicts=True,
        unique_fields=["user_operation"],
        update_fields=_RECEIPT_FIELDS,
    )
    _count_included(rows=rows, chain_id=bundle.chain_id)
    change_state.move(
        operations=rows,
        state=models.UserOperation.State.MINED,
        bundle=bundle,
        detail=f"Block {receipt.block_number}, transaction {receipt.transaction_hash}.",
        now=now,
    )
    left = [row for row in _members(bundle) if str(row.hash) not in executed]
    _step_back(rows=left, bundle=None, detail="Its bundle executed nothing.", now=now)


def _count_included(*, rows: Sequence[models.UserOperation], chain_id: int) -> None:
    """Count for the reputation of entities that are not ours; what came in by a key alone has any."""
    deployment = deployments.load(chain_id=chain_id)
    counts: collections.Counter[str] = collections.Counter()
    for row in rows:
        if row.api_key_id is not None and row.state != models.UserOperation.State.MINED:
            named = {bytes(row.init_code[:20]), bytes(row.paymaster_and_data[:20])}
            counts.update(count_reputation.strangers(named=named, deployment=deployment))
    count_reputation.count_included(chain_id=chain_id, counts=counts)


def _receipt(*, row: models.UserOperation, receipt: receipts.Receipt) -> models.UserOperationReceipt:
    return models.UserOperationReceipt(
        user_operation=row,
        has_succeeded=receipt.succeeded,
        reason=receipt.reason[:500],
        transaction_hash=receipt.transaction_hash,
        block_number=receipt.block_number,
        block_hash=receipt.block_hash,
        gas_used=receipt.gas_used,
        gas_cost_wei=receipt.gas_cost_wei,
        logs=[
            {"address": log.address, "topics": list(log.topics), "data": log.data, "log_index": log.log_index}
            for log in receipt.logs
        ],
    )


def _members(bundle: models.Bundle) -> list[models.UserOperation]:
    rows = models.UserOperation.objects.select_for_update().filter(bundle=bundle, state__in=_UNSETTLED)
    return list(rows)


def _step_back(
    *,
    rows: Sequence[models.UserOperation],
    bundle: models.Bundle | None,
    detail: str,
    now: datetime.datetime,
) -> None:
    """Put operations back into their bundle, which will be sent again, or without one into the queue."""
    models.UserOperationReceipt.objects.filter(user_operation__in=rows).delete()
    state = models.UserOperation.State.QUEUED if bundle is None else models.UserOperation.State.BUNDLED
    change_state.move(operations=rows, state=state, bundle=bundle, detail=detail, now=now)
