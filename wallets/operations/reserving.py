"""Writing an operation that is to be sent, and counting it against its grant."""

import datetime
import decimal
import uuid
from collections.abc import Mapping
from typing import Any

from django.db.models import Q

from controls import operations as controls
from openvpp.core import db, errors, sql
from relayer import models as relayer_models
from wallets import models, queries
from wallets.domain import grant_period, limits, operation_states

SUBMIT_LEASE = datetime.timedelta(seconds=30)


class UnableToReserve(errors.UnableTo):
    """The grant does not allow it; `code` says which of its limits stands against it."""


@db.transaction_required
def reserve(
    *,
    wallet: models.Wallet,
    grant: models.SessionKeyGrant | None,
    quote: relayer_models.FeeQuote | None,
    kind: models.Operation.Kind,
    reference: str,
    intent: Mapping[str, Any],
    spend_units: int,
    now: datetime.datetime,
    is_sent_at_once: bool = False,
) -> models.Operation:
    """Write an operation that is to be sent, and count `spend_units` against the grant's limits.

    With `is_sent_at_once` the caller takes the lease to send it, and owes `submit_reserved` after the commit, before
    anybody is answered: however that ends, it commits again, so that this commit need not wait for the disk. If another
    operation of the wallet was on its way since `now` there is no lease.

    Without a quote the utility pays the network fee, whatever it is when the operation is sent.

    :raises UnableToReserve: the grant is another wallet's, not alive, not started, expired, or a limit stands against
        it: nothing is written.
    :raises controls.RefusedByPolicy: a spending policy of the utility, program or customer refuses it, or the wallet is
        frozen.
    """
    rules = queries.ask_rules(wallet=wallet) if kind in queries.SPENDING else None
    on_their_way = ask_what_is_on_its_way(wallet_id=wallet.pk, since=now) if is_sent_at_once else None
    period_started_at = None
    if grant is not None:
        period_started_at = _count(wallet=wallet, grant=grant, spend_units=spend_units, now=now)
    if rules is not None:
        case = queries.get_spending_case(
            wallet=wallet, rules=rules, kind=kind, intent=intent, spend_units=spend_units, now=now
        )
        controls.require_allowed(layers=case.layers, request=case.request, facts=case.facts)
    is_leased = on_their_way is not None and not on_their_way.all()
    operation = models.Operation(
        wallet=wallet,
        grant=grant,
        quote=quote,
        kind=kind,
        reference=reference,
        intent=dict(intent),
        spend_units=spend_units,
        spend_period_started_at=period_started_at,
        attempts=1 if is_leased else 0,
        leased_until=now + SUBMIT_LEASE if is_leased else None,
        created_at=now,
        updated_at=now,
    )
    sql.insert_later(operation, models.OperationTransition(operation=operation, state=operation.state, made_at=now))
    if is_leased:
        sql.commit_lagging()
    return operation


def _count(
    *, wallet: models.Wallet, grant: models.SessionKeyGrant, spend_units: int, now: datetime.datetime
) -> datetime.datetime:
    if grant.wallet_id != wallet.pk:
        raise UnableToReserve("This app's permission is for another wallet.", code="grant_of_another_wallet")
    if now < grant.starts_at:
        raise UnableToReserve("This app's permission to pay has not started.", code="grant_not_started")
    started_at = grant_period.started_at(starts_at=grant.starts_at, period_seconds=grant.period_seconds, now=now)
    given = {"grant": grant.pk, "live": list(models.SessionKeyGrant.LIVE_STATES), "now": now}
    spend = {"units": decimal.Decimal(spend_units), "started_at": started_at}
    if sql.execute(_TAKE, given | spend) != 1:
        grant.refresh_from_db()
        raise _refusal(grant=grant, spend_units=spend_units, period_started_at=started_at, now=now)
    return started_at


# The sum is one of the row as it is under its lock: two payments at once cannot both find the limit free.
_TAKE = """
    UPDATE wallets_sessionkeygrant SET
        reserved_in_period_units =
            CASE WHEN period_started_at = %(started_at)s THEN reserved_in_period_units ELSE 0 END + %(units)s,
        reserved_total_units = reserved_total_units + %(units)s,
        period_started_at = %(started_at)s
    WHERE id = %(grant)s AND state = ANY(%(live)s) AND ends_at > %(now)s
        AND limit_per_payment_units >= %(units)s
        AND limit_total_units >= reserved_total_units + %(units)s
        AND period_started_at <= %(started_at)s
        AND limit_per_period_units >=
            CASE WHEN period_started_at = %(started_at)s THEN reserved_in_period_units ELSE 0 END + %(units)s
"""


def _refusal(
    *, grant: models.SessionKeyGrant, spend_units: int, period_started_at: datetime.datetime, now: datetime.datetime
) -> UnableToReserve:
    if grant.ends_at <= now or grant.state == models.SessionKeyGrant.State.EXPIRED:
        return UnableToReserve(
            "This app's permission to pay has expired. Agree to it again in the app.",
            code="grant_expired",
            extra={"expired_at": grant.ends_at.isoformat()},
        )
    if grant.state not in models.SessionKeyGrant.LIVE_STATES:
        return UnableToReserve(
            "This app's permission to pay was withdrawn. Agree to it again in the app.",
            code="grant_not_active",
            extra={"grant_state": grant.state},
        )
    limit = limits.first_against(spend_units=spend_units, limits=grant.limits(period_started_at=period_started_at))
    if limit is not None:
        return UnableToReserve(
            f"This is more than the limit {limit.words} that you agreed to.",
            code=limit.code,
            extra={
                "needed_units": str(spend_units),
                "limit_units": str(limit.limit_units),
                "left_units": str(limit.left_units),
            },
        )
    return UnableToReserve("Another payment was counted at the same moment. Try again.", code="grant_busy")


def ask_what_is_on_its_way(*, wallet_id: uuid.UUID, since: datetime.datetime | None = None) -> sql.Question:
    """Ask for an operation of a wallet that is on its way to the chain, or was at some time after `since`.

    The removals of sessions, whose nonces are of their own, are in nobody's way.
    """
    return _ON_THEIR_WAY.ask(wallet_id=wallet_id, since=since)


_ON_THEIR_WAY = sql.Read(
    lambda: models.Operation.objects.filter(
        Q(state__in=operation_states.IN_FLIGHT) | Q(updated_at__gt=sql.Slot("since"), user_operation__isnull=False),
        ~Q(kind=models.Operation.Kind.REVOKE_SESSION),
        wallet_id=sql.Slot("wallet_id"),
    ).values_list("pk")[:1]
)
