"""What is over is ended and, a day later, forgotten: spending grants, codes, tokens, sessions, devices.

A redeemed code and a used refresh token stay as long as a replay could still tell of a theft.
"""

import datetime

from django.conf import settings
from django.contrib.sessions import models as session_models
from oauth2_provider.settings import oauth2_settings

from custody import operations as custody
from customers import operations as customers
from openvpp.core import db
from wallets import models, queries

KEPT_AFTER_END = datetime.timedelta(days=1)
MOST_AT_ONCE = 500
# Beyond the life of its code: whoever prepares a grant may be slow, a redemption may wait for a lock.
REDEEMED_WITHIN = datetime.timedelta(minutes=5)
ANSWER_KEPT = datetime.timedelta(minutes=1)


@db.durable
def expire_grants(*, now: datetime.datetime) -> int:
    """Expire the grants whose time is over, with their tokens, and disable their keys; return how many.

    The chain needs no telling: the session there ends by itself at the same second.
    """
    over = models.SessionKeyGrant.objects.filter(state__in=models.SessionKeyGrant.LIVE_STATES, ends_at__lte=now)
    expired = 0
    for grant_id in list(over.order_by("ends_at").values_list("pk", flat=True)[:MOST_AT_ONCE]):
        with db.transaction():
            grant = queries.lock_grant(grant_id=grant_id)
            if grant.state not in models.SessionKeyGrant.LIVE_STATES:
                continue
            grant.state = models.SessionKeyGrant.State.EXPIRED
            grant.ended_at = grant.ends_at
            grant.save(update_fields=["state", "ended_at"])
            if grant.key_id is not None:
                custody.disable_key(key_id=grant.key_id, now=now)
            models.RefreshToken.objects.filter(session_key_grant=grant, revoked__isnull=True).update(
                revoked=now, updated=now
            )
            models.AccessToken.objects.filter(session_key_grant=grant).delete()
            expired += 1
    return expired


@db.durable
def end_unused(*, now: datetime.datetime) -> int:
    """Fail the grants whose code no application redeemed in time, and disable their keys; return how many.

    Nothing can be paid with them, and they never left this server.
    """
    before = now - datetime.timedelta(seconds=oauth2_settings.AUTHORIZATION_CODE_EXPIRE_SECONDS) - REDEEMED_WITHIN
    waiting = models.SessionKeyGrant.objects.filter(
        state=models.SessionKeyGrant.State.PENDING, created_at__lt=before, refresh_tokens__isnull=True
    )
    ended = 0
    for grant_id in list(waiting.order_by("created_at").values_list("pk", flat=True)[:MOST_AT_ONCE]):
        with db.transaction():
            grant = queries.lock_grant(grant_id=grant_id)
            if grant.state != models.SessionKeyGrant.State.PENDING or grant.refresh_tokens.exists():
                continue
            if models.Operation.objects.filter(grant=grant).exists():
                continue
            grant.state = models.SessionKeyGrant.State.FAILED
            grant.ended_at = now
            grant.save(update_fields=["state", "ended_at"])
            if grant.key_id is not None:
                custody.disable_key(key_id=grant.key_id, now=now)
            models.AccessToken.objects.filter(session_key_grant=grant).delete()
            ended += 1
    return ended


@db.durable
def forget(*, now: datetime.datetime) -> None:
    """Delete codes, tokens, pushed requests and sessions that ended a day ago; proofs, tickets and answers at once."""
    before = now - KEPT_AFTER_END
    lifetime = datetime.timedelta(seconds=settings.REFRESH_TOKEN_SECONDS)
    with db.transaction():
        models.RefreshToken.objects.filter(created__lt=before - lifetime).delete()
    with db.transaction():
        models.AccessToken.objects.filter(expires__lt=before, refresh_token__isnull=True).delete()
        models.IDToken.objects.filter(expires__lt=before, access_token__isnull=True).delete()
        models.Grant.objects.filter(expires__lt=before).delete()
    with db.transaction():
        models.PushedRequest.objects.filter(expires_at__lt=before).delete()
        models.ProofUse.objects.filter(expires_at__lt=now).delete()
        models.SocketTicket.objects.filter(expires_at__lt=now).delete()
        models.RefreshToken.objects.filter(sealed_answer__isnull=False, revoked__lt=now - ANSWER_KEPT).update(
            sealed_answer=None
        )
    with db.transaction():
        session_models.Session.objects.filter(expire_date__lt=before).delete()
        customers.forget_sign_ins(before=before)
