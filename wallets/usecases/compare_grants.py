"""Grants and chain are compared, grant by grant, every hour; what differs is put right, and told in the log.

The watch over wallets hears of everything once, when its block is final. This asks the accounts themselves, and so
finds what a node kept to itself or a deep reorganisation took back: a grant that its account does not know is installed
anew with the next payment, one that its account has ended ends here too, and the key of a grant that ended here is
taken off.
"""

import datetime
import logging
import uuid
from collections.abc import Sequence

from django.conf import settings
from django.db.models import Q

from contracts.bindings import accounts
from openvpp.core import db, jobs
from wallets import models, queries
from wallets.adapters import chain
from wallets.domain import operation_states
from wallets.usecases import revoke_session_key

logger = logging.getLogger(__name__)

State = models.SessionKeyGrant.State
MOST = 100
# For how long after its end a grant is looked for on the chain, which keeps what was revoked revoked.
COMPARED_AFTER_END = datetime.timedelta(days=2)
_JOB = "wallets.compare_grants"


@db.durable
def start(*, now: datetime.datetime) -> None:
    """Begin the comparison of this hour, once."""
    with db.transaction():
        _enqueue(round_=now.strftime("%Y-%m-%dT%H"), after="", now=now)


@db.durable
def compare(*, round_: str, after: str, now: datetime.datetime) -> int:
    """Compare the grants whose id comes after `after`, a hundred of them, and go on; return how many differed.

    :raises errors.Unreachable: no node answered.
    """
    rows = _next(after=after, now=now)
    asked = [(str(grant.wallet.address), str(grant.policy_hash)) for grant in rows]
    states = chain.read_sessions(sessions=asked, chain_id=settings.CHAIN_ID) if rows else []
    differed = sum(_settle(grant=grant, on_chain=state, now=now) for grant, state in zip(rows, states, strict=True))
    if len(rows) == MOST:
        with db.transaction():
            _enqueue(round_=round_, after=str(rows[-1].pk), now=now)
    return differed


def _next(*, after: str, now: datetime.datetime) -> Sequence[models.SessionKeyGrant]:
    rows = models.SessionKeyGrant.objects.filter(
        Q(state=State.ACTIVE) | Q(state__in=[State.REVOKED, State.FAILED], ended_at__gt=now - COMPARED_AFTER_END),
        wallet__chain_id=settings.CHAIN_ID,
        wallet__deployed_at__isnull=False,
        wallet__left_custody_at__isnull=True,
        ends_at__gt=now,
    )
    if after:
        rows = rows.filter(pk__gt=uuid.UUID(after))
    return list(rows.select_related("wallet").order_by("pk")[:MOST])


@db.transaction
def _settle(*, grant: models.SessionKeyGrant, on_chain: accounts.SessionState | None, now: datetime.datetime) -> bool:
    """Put right what differs; say whether anything did. What moved since it was read is left to the next comparison."""
    row = queries.lock_grant(grant_id=grant.pk)
    under_way = models.Operation.objects.filter(grant=row).exclude(state__in=operation_states.FINAL)
    if row.state != grant.state or under_way.exists():
        return False
    is_revoked = on_chain is not None and on_chain.is_revoked
    is_installed = on_chain is not None and on_chain.is_installed
    if row.state == State.ACTIVE and is_revoked:
        logger.error("an account has ended the key of a living grant: grant=%s", row.pk)
        revoke_session_key.revoke(grant_id=row.pk, now=now)
    elif row.state == State.ACTIVE and not is_installed:
        logger.error("an account does not know the key of an active grant: grant=%s", row.pk)
        row.state = State.PENDING
        row.save(update_fields=["state"])
    elif row.has_ended and is_installed and not is_revoked:
        revoke_session_key.take_off_again(grant_id=row.pk, now=now)
    else:
        return False
    return True


def _enqueue(*, round_: str, after: str, now: datetime.datetime) -> None:
    jobs.enqueue(name=_JOB, key=f"{_JOB}:{round_}:{after}", arguments={"round_": round_, "after": after}, run_at=now)
