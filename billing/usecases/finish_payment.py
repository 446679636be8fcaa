"""How a payment ended, once the chain has spoken."""

import datetime
import logging

from billing import models, operations, queries
from billing.domain import proof
from billing.usecases import notices
from contracts.bindings import events, words
from openvpp.core import db, errors
from relayer.domain import receipts
from wallets.domain import outcome

logger = logging.getLogger(__name__)


class UnableToFinishPayment(errors.UnableTo):
    """The payment has ended before."""


@db.transaction_required
def finish(*, outcome: outcome.Outcome, now: datetime.datetime) -> None:
    """Write how the payment ended: into payment, bill, books and notices, all in this transaction.

    It is paid only if the tokens' own `Transfer` logs in the final receipt prove it, each log used once.

    :raises UnableToFinishPayment: it has ended before.
    """
    payment = queries.lock_payment_of(operation_id=outcome.operation_id)
    if payment.state != models.Payment.State.PENDING:
        raise UnableToFinishPayment(f"Payment {payment.pk} is {payment.state} already.")
    receipt, reason = outcome.receipt, outcome.reason
    if outcome.succeeded and receipt is not None:
        verdict = _prove(payment=payment, receipt=receipt)
        if isinstance(verdict, proof.Proven):
            bills = operations.settle_payment(payment=payment, proven=verdict, receipt=receipt, now=now)
            notices.tell_payment_paid(payment=payment, bills=bills, now=now)
            return
        logger.error("payment not proven: payment=%s reason=%s", payment.pk, verdict.reason)
        reason = verdict.reason
    bills = operations.fail_payment(payment=payment, reason=reason, receipt=receipt, now=now)
    notices.tell_payment_failed(payment=payment, bills=bills, now=now)


def _prove(*, payment: models.Payment, receipt: receipts.Receipt) -> proof.Proven | proof.NotProven:
    fee_token = payment.fee_token
    due = proof.Due(
        wallet=words.parse_address(payment.wallet.address),
        treasury=words.parse_address(payment.treasury_address),
        token=words.parse_address(payment.token.address),
        amount_units=payment.amount_units,
        fee_units=payment.fee_units,
        fee_token=words.parse_address(fee_token.address) if fee_token is not None else None,
    )
    counted = queries.get_counted_logs(chain_id=payment.wallet.chain_id, transaction_hash=receipt.transaction_hash)
    decoded = [
        events.decode_log(
            address=words.parse_address(log.address),
            topics=[bytes.fromhex(topic[2:]) for topic in log.topics],
            data=bytes.fromhex(log.data[2:]),
            log_index=log.log_index,
        )
        for log in receipt.logs
        if log.log_index not in counted
    ]
    return proof.prove(due=due, logs=[event for event in decoded if event is not None])
