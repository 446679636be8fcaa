"""Send what was reserved and not sent: after a crash, or behind another operation of the same wallet."""

import datetime
import logging

from openvpp.core import db, errors
from wallets import operations, queries
from wallets.usecases import revoke_session_key

logger = logging.getLogger(__name__)

MOST = 100


@db.durable
def submit_waiting(*, now: datetime.datetime) -> int:
    """Try each operation that waits, once; return how many were sent or ended."""
    done = 0
    for operation_id in queries.get_waiting_operations(now=now, most=MOST):
        try:
            operations.submit(operation_id=operation_id, now=now)
            done += 1
        except operations.UnableToSubmit as error:
            logger.info("operation waits: operation=%s reason=%s", operation_id, error.code)
        except errors.Unreachable as error:
            logger.warning("operation waits: operation=%s reason=%s", operation_id, error)
        except Exception:  # one operation that is broken holds no other up
            logger.exception("operation not sent: operation=%s", operation_id)
    try:
        return done + revoke_session_key.send_waiting(now=now)
    except errors.Unreachable as error:
        logger.warning("removals of sessions wait: %s", error)
        return done
