"""A spending grant ends: signing and every token stop in the same transaction, the key leaves the chain after it.

`revoke` writes; the job `wallets.revoke_session` runs `start`, which asks the account's owner key to end the session
on the chain; `finish` hears how that went and tries again until it is done. A grant that never left this server has
nothing to take off the chain and is revoked at once.

Workers do this with everything else; `manage.py revoker` does nothing else (`take_off`) and is up again in a second
after a kill. Whoever sends a removal holds an advisory lock beside its lease, which the database drops with the
connection: what a killed process had taken up is sent at once. The lease itself is what counts when a connection
outlives its process, or belongs to a pooler; of two that send the same, only the last that took it can queue.
"""

import datetime
import logging
import secrets
import uuid
from typing import Any

from django.db import models as db_models

from custody import operations as custody
from openvpp.core import db, errors, jobs, sql
from wallets import models, operations, queries
from wallets.domain import intents, operation_states
from wallets.domain import outcome as outcomes

logger = logging.getLogger(__name__)

State = models.SessionKeyGrant.State
RETRY_AFTER = datetime.timedelta(seconds=30)
MOST = 100
MOST_TOGETHER = 20
_JOB = "wallets.revoke_session"
_LOCK_CLASS, _NUMBERS = 4339, 2**31


@db.transaction_required
def revoke(*, grant_id: uuid.UUID, now: datetime.datetime) -> models.SessionKeyGrant:
    """End a grant and every code and token that points to it; one that has ended stays as it is.

    From this transaction's commit on nothing is signed with its key, and nothing that a phone's own key signs is taken
    or sponsored.
    """
    grant = queries.lock_grant(grant_id=grant_id)
    if grant.state in (State.REVOKING, State.REVOKED):
        return grant
    was_used = models.Operation.objects.filter(grant=grant).exists()
    grant.state = State.REVOKING if was_used else State.REVOKED
    grant.ended_at = now
    grant.save(update_fields=["state", "ended_at"])
    if grant.key_id is not None:
        custody.disable_key(key_id=grant.key_id, now=now)
    models.RefreshToken.objects.filter(session_key_grant=grant, revoked__isnull=True).update(revoked=now, updated=now)
    models.AccessToken.objects.filter(session_key_grant=grant).delete()
    models.Grant.objects.filter(session_key_grant=grant, redeemed_at__isnull=True).delete()
    if was_used:
        _enqueue(grant=grant, run_at=now)
    return grant


@db.transaction_required
def take_off_again(*, grant_id: uuid.UUID, now: datetime.datetime) -> None:
    """Take the key of a grant that has ended off the chain, where it stands all the same; a living one stays."""
    grant = queries.lock_grant(grant_id=grant_id)
    if not grant.has_ended:
        return
    logger.error("the key of a grant that has ended stands on the chain: grant=%s state=%s", grant.pk, grant.state)
    grant.state = State.REVOKING
    grant.save(update_fields=["state"])
    _enqueue(grant=grant, run_at=now)


@db.transaction_required
def on_access_ended(*, user_id: int, now: datetime.datetime) -> None:
    """End every grant, code and token of a person who may no longer act, or who has put everybody out."""
    _revoke_all(grants=models.SessionKeyGrant.objects.filter(user_id=user_id), now=now)
    models.Grant.objects.filter(user_id=user_id, redeemed_at__isnull=True).delete()
    _end_tokens(refreshed=models.RefreshToken.objects.filter(user_id=user_id), now=now)
    models.AccessToken.objects.filter(user_id=user_id).delete()


@db.transaction_required
def on_sign_in_ended(*, sign_in_id: uuid.UUID, now: datetime.datetime) -> None:
    """End every grant, code and token that was given where a person was signed in."""
    codes = models.Grant.objects.filter(sign_in_id=sign_in_id)
    refreshed = models.RefreshToken.objects.filter(sign_in_id=sign_in_id)
    given = [*codes.values_list("session_key_grant_id", flat=True)]
    given += refreshed.values_list("session_key_grant_id", flat=True).distinct()
    _revoke_all(grants=models.SessionKeyGrant.objects.filter(pk__in=given), now=now)
    codes.filter(redeemed_at__isnull=True).delete()
    _end_tokens(refreshed=refreshed, now=now)


@db.transaction_required
def on_application_disabled(*, application_id: int, now: datetime.datetime) -> None:
    """End every grant that an application was given."""
    _revoke_all(grants=models.SessionKeyGrant.objects.filter(application_id=application_id), now=now)


@db.durable
def start(*, grant_id: str, now: datetime.datetime) -> None:
    """Reserve the operation that ends the session on the chain, and send it; safe to run twice.

    What else of the wallet is to leave the chain goes with it: a customer who puts everybody out waits for one block.

    It waits for `send_waiting` while node or signer do not answer, or the wallet is busy.
    """
    with db.transaction():
        together = _lock_with_others(grant_id=grant_id)
        if not together:
            return
        intent = intents.SessionRemoval(session_ids=tuple(grant.policy_hash for grant in together))
        operation = operations.reserve(
            wallet=together[0].wallet,
            grant=None,
            quote=None,
            kind=models.Operation.Kind.REVOKE_SESSION,
            reference="0x" + secrets.token_hex(16),
            intent=intent.to_json() | {"grant_ids": [str(grant.pk) for grant in together]},
            spend_units=0,
            now=now,
        )
    try:
        _send(operation_id=operation.pk, now=now)
    except errors.Unreachable as error:
        logger.warning("the removal of a session waits: grant=%s reason=%s", grant_id, error)


@db.durable
def take_off(*, now: datetime.datetime) -> None:
    """Begin the removals that are due and send those that wait.

    :raises errors.Unreachable: node or signer did not answer; the removals wait.
    """
    jobs.run_due(now=now, name=_JOB)
    send_waiting(now=now)


@db.durable
def send_waiting(*, now: datetime.datetime) -> int:
    """Send the removals that wait, also those that a killed process had taken up; return how many were sent or ended.

    :raises errors.Unreachable: node or signer did not answer for one of them, all having been tried.
    """
    done = 0
    unreachable: errors.Unreachable | None = None
    for operation_id in queries.get_waiting_removals(most=MOST):
        try:
            done += _send(operation_id=operation_id, now=now)
        except errors.Unreachable as error:
            unreachable = error
        except Exception:  # one that is broken holds no other up
            logger.exception("the removal of a session was not sent: operation=%s", operation_id)
    if unreachable is not None:
        raise unreachable
    return done


@db.transaction_required
def finish(*, outcome: outcomes.Outcome, now: datetime.datetime) -> None:
    """Close the grants, or try again if the chain did not end their sessions."""
    for grant_id in sorted(outcome.intent["grant_ids"]):
        grant = queries.lock_grant(grant_id=uuid.UUID(grant_id))
        if outcome.succeeded:
            grant.state = State.REVOKED
            grant.save(update_fields=["state"])
        else:
            logger.error("a session was not removed: grant=%s reason=%s", grant.pk, outcome.reason)
            _enqueue(grant=grant, run_at=now + RETRY_AFTER)


def _revoke_all(*, grants: "db_models.QuerySet[Any]", now: datetime.datetime) -> None:
    live = grants.filter(state__in=models.SessionKeyGrant.LIVE_STATES)
    for grant_id in live.order_by("pk").values_list("pk", flat=True):
        revoke(grant_id=grant_id, now=now)


def _send(*, operation_id: uuid.UUID, now: datetime.datetime) -> bool:
    """Send a removal; say whether it was sent or ended.

    :raises errors.Unreachable: node or signer did not answer.
    """
    lock = [_LOCK_CLASS, operation_id.int % _NUMBERS]
    ((nobody_is_at_it,),) = sql.fetch("SELECT pg_try_advisory_lock(%s::int, %s::int)", lock)
    try:
        if nobody_is_at_it:
            left = models.Operation.objects.filter(pk=operation_id, state=models.Operation.State.RESERVED)
            left.filter(leased_until__isnull=False).update(leased_until=None)
        operations.submit(operation_id=operation_id, now=now)
    except operations.UnableToSubmit as error:
        logger.debug("the removal of a session waits: operation=%s code=%s", operation_id, error.code)
        return False
    finally:
        if nobody_is_at_it:
            sql.fetch("SELECT pg_advisory_unlock(%s::int, %s::int)", lock)
    return True


def _end_tokens(*, refreshed: "db_models.QuerySet[Any]", now: datetime.datetime) -> None:
    # The first of each family is locked, as by whoever refreshes: nothing is renewed behind our back.
    families = list(refreshed.values_list("token_family", flat=True).distinct())
    firsts = models.RefreshToken.objects.filter(token_family__in=families).values("token_family")
    named = firsts.annotate(first=db_models.Min("pk")).values_list("first", flat=True)
    locked = models.RefreshToken.objects.filter(pk__in=list(named)).order_by("pk")
    list(locked.select_for_update(of=("self",)).values_list("pk"))
    models.AccessToken.objects.filter(refresh_token__in=refreshed).delete()
    refreshed.filter(sealed_answer__isnull=False).update(sealed_answer=None)
    refreshed.filter(revoked__isnull=True).update(revoked=now, updated=now)


def _lock_with_others(*, grant_id: str) -> list[models.SessionKeyGrant]:
    """Lock a grant and others of its wallet whose sessions nobody removes yet; none if that one's is being removed."""
    wallets = models.SessionKeyGrant.objects.filter(pk=grant_id).values("wallet_id")
    revoking = models.SessionKeyGrant.objects.filter(wallet_id__in=wallets, state=State.REVOKING).order_by("pk")
    locked = list(revoking.select_related("wallet").select_for_update(of=("self",), no_key=True))
    waiting = [grant for grant in locked if not _removals(grant).exclude(state__in=operation_states.FINAL).exists()]
    first = [grant for grant in waiting if str(grant.pk) == grant_id]
    return [*first, *(grant for grant in waiting if grant not in first)][:MOST_TOGETHER] if first else []


def _removals(grant: models.SessionKeyGrant) -> "db_models.QuerySet[Any]":
    return models.Operation.objects.filter(
        wallet_id=grant.wallet_id, kind=models.Operation.Kind.REVOKE_SESSION, intent__grant_ids__contains=str(grant.pk)
    )


def _enqueue(*, grant: models.SessionKeyGrant, run_at: datetime.datetime) -> None:
    jobs.enqueue(
        name=_JOB,
        key=f"{_JOB}:{grant.pk}:{_removals(grant).count()}",
        arguments={"grant_id": str(grant.pk)},
        run_at=run_at,
    )
