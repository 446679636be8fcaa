"""A customer closes their account: announced, called off within a week if they wish, then carried out step by step.

`ask` looks whether anything stands against it and writes the wish down; a week later the job `wallets.close_account`
runs `carry_out`, which looks again, ends every app's leave on the chain, sends what is left in the wallet where the
customer said, and then parts the person from the books, which stay. Each run does the next step; it is safe to run
twice.
"""

import datetime
import logging
import secrets
import uuid
from collections.abc import Sequence

from django.conf import settings

from controls import operations as controls
from custody import operations as custody
from custody.domain import consents
from customers import models as customer_models
from customers import operations as customers
from customers.domain import closings
from notifications import models as notice_models
from notifications import operations as notifications
from openvpp.core import db, errors, jobs, upcalls
from wallets import models, operations, queries
from wallets.domain import new_owners
from wallets.domain import outcome as outcomes
from wallets.usecases import revoke_session_key

logger = logging.getLogger(__name__)

State = customer_models.Closing.State
Kind = models.Operation.Kind
STEP = datetime.timedelta(minutes=1)
LOOK_AGAIN_AFTER = datetime.timedelta(days=1)
FAILED_AFTER = datetime.timedelta(hours=1)


class UnableToCloseAccount(errors.UnableTo):
    """Something stands against it, and nothing moved.

    `code` is `not_yet` with the `obstacles`, `closing_open` or `no_such_address`; when it is called off, `no_closing`
    or `closing_under_way`.
    """


@db.durable
def find_obstacles(*, customer: customer_models.Customer, has_address: bool) -> tuple[closings.Obstacle, ...]:
    """Return what stands against the closing now.

    :raises errors.Unreachable: no node answered.
    """
    found = [each for path in settings.CLOSING_CHECKS for each in upcalls.resolve(path=path)(customer_id=customer.pk)]
    wallet = queries.get_wallet_of(customer)
    if wallet is not None and wallet.left_custody_at is None:
        if queries.get_open_exit(wallet=wallet) is not None:
            found.append(closings.Obstacle(code="exit_open", detail="Your wallet is leaving custody."))
        if not has_address and _balances(wallet=wallet):
            found.append(
                closings.Obstacle(
                    code="balance_left",
                    detail="There is money in your wallet: take the wallet to a key of yours, or say where to send it.",
                )
            )
    return tuple(found)


@db.durable
def ask(
    *, customer: customer_models.Customer, by: customer_models.User, send_to: str, now: datetime.datetime
) -> customer_models.Closing:
    """Announce that the account is closed in a week; `send_to` is where the wallet's balance goes, or empty.

    :raises UnableToCloseAccount: see there.
    :raises controls.UnableToPass: the address is listed.
    :raises errors.Unreachable: no node answered.
    """
    if customer_models.Closing.objects.filter(
        customer=customer, state__in=customer_models.Closing.OPEN_STATES
    ).exists():
        raise UnableToCloseAccount("The account is being closed already.", code="closing_open")
    wallet = queries.get_wallet_of(customer)
    custodial = wallet if wallet is not None and wallet.left_custody_at is None else None
    closing_id = uuid.uuid4()
    if send_to:
        _require_address(send_to=send_to, customer=customer, closing_id=closing_id, now=now)
    obstacles = find_obstacles(customer=customer, has_address=bool(send_to))
    if obstacles:
        raise UnableToCloseAccount(
            " ".join(each.detail for each in obstacles),
            code="not_yet",
            extra={"obstacles": [each.to_json() for each in obstacles]},
        )
    if send_to and custodial is not None:
        terms = {
            "type": consents.CLOSING,
            "wallet": custodial.address,
            "send_to": send_to,
            "closing_id": str(closing_id),
        }
        custody.record_consent(key_id=custodial.owner_key_id, terms=terms, now=now)
    with db.transaction():
        row: customer_models.Closing = customer_models.Closing.objects.create(
            pk=closing_id,
            customer=customer,
            asked_by=by,
            send_to=send_to or None,
            closes_at=now + consents.CLOSING_DELAY,
            created_at=now,
        )
        _enqueue(row=row, run_at=row.closes_at)
        _tell(
            row=row,
            what="announced",
            title="Your account is closed in a week",
            body=(
                f"On {row.closes_at:%Y-%m-%d} your account is closed for good. If you did not ask for this, call it "
                "off now and tell your utility."
            ),
            now=now,
        )
    return row


@db.transaction
def cancel(*, customer: customer_models.Customer, now: datetime.datetime) -> customer_models.Closing:
    """Call the closing off.

    :raises UnableToCloseAccount: `no_closing` or `closing_under_way`.
    """
    rows = customer_models.Closing.objects.select_for_update(of=("self",)).select_related("customer__utility")
    row: customer_models.Closing | None = rows.filter(
        customer=customer, state__in=customer_models.Closing.OPEN_STATES
    ).first()
    if row is None:
        raise UnableToCloseAccount("The account is not being closed.", code="no_closing")
    if row.state != State.ANNOUNCED:
        raise UnableToCloseAccount("It is being carried out.", code="closing_under_way")
    row.state, row.ended_at = State.CANCELLED, now
    row.save(update_fields=["state", "ended_at"])
    wallet = queries.get_wallet_of(customer)
    if row.send_to and wallet is not None:
        terms = {"type": consents.CLOSING_CALLED_OFF, "closing_id": str(row.pk)}
        custody.note_consent(key_id=wallet.owner_key_id, terms=terms, now=now)
    _tell(row=row, what="cancelled", title="Your account stays open", body="The closing was called off.", now=now)
    return row


@db.durable
def carry_out(*, closing_id: str, now: datetime.datetime) -> None:
    """Do the next step of a closing that is due.

    :raises errors.Unreachable: node, signer or price source did not answer.
    """
    row = customer_models.Closing.objects.select_related("customer__utility").get(pk=closing_id)
    if row.state not in customer_models.Closing.OPEN_STATES or row.closes_at > now:
        return
    obstacles = find_obstacles(customer=row.customer, has_address=bool(row.send_to))
    if obstacles:
        _wait(closing_id=row.pk, obstacles=obstacles, now=now)
        return
    wallet = queries.get_wallet_of(row.customer)
    custodial = wallet if wallet is not None and wallet.left_custody_at is None else None
    if not _end_grants(closing_id=row.pk, wallet=wallet, now=now):
        return
    balances = _balances(wallet=custodial) if custodial is not None and row.send_to else []
    if custodial is not None and balances:
        _send(row=row, wallet=custodial, balances=balances, now=now)
        return
    _complete(closing_id=row.pk, wallet=custodial, now=now)


@db.transaction_required
def on_sent(*, outcome: outcomes.Outcome, now: datetime.datetime) -> None:
    """Go on, or try again later."""
    row = _lock(uuid.UUID(outcome.intent["closing_id"]))
    if not outcome.succeeded:
        logger.error("a balance was not sent: closing=%s reason=%s", row.pk, outcome.reason)
        row.waits_for = [closings.Obstacle(code="balance_not_sent", detail=outcome.reason).to_json()]
        row.save(update_fields=["waits_for"])
    _enqueue(row=row, run_at=now if outcome.succeeded else now + FAILED_AFTER)


def _require_address(
    *, send_to: str, customer: customer_models.Customer, closing_id: uuid.UUID, now: datetime.datetime
) -> None:
    try:
        new_owners.of_address(send_to)
    except new_owners.UnableToReadNewOwner as error:
        raise UnableToCloseAccount(str(error), code="no_such_address") from None
    controls.screen(
        utility_id=customer.utility_id,
        direction="payout",
        reference=f"closing:{closing_id}",
        addresses=[send_to],
        now=now,
    )


def _balances(*, wallet: models.Wallet) -> list[tuple[str, int]]:
    tokens = [str(token.address) for token in wallet.utility.tokens.order_by("pk")]
    held = queries.get_units(address=wallet.address, tokens=tokens, chain_id=wallet.chain_id)
    return [(token, units) for token, units in zip(tokens, held, strict=True) if units]


@db.transaction
def _wait(*, closing_id: uuid.UUID, obstacles: Sequence[closings.Obstacle], now: datetime.datetime) -> None:
    row = _lock(closing_id)
    row.waits_for = [each.to_json() for each in obstacles]
    row.save(update_fields=["waits_for"])
    _enqueue(row=row, run_at=now + LOOK_AGAIN_AFTER)
    codes = ",".join(sorted({each.code for each in obstacles}))
    _tell(
        row=row,
        what=f"waits:{codes}",
        title="Your account cannot be closed yet",
        body=" ".join(each.detail for each in obstacles),
        now=now,
    )


@db.transaction
def _end_grants(*, closing_id: uuid.UUID, wallet: models.Wallet | None, now: datetime.datetime) -> bool:
    """End every app's leave to spend; say whether all of them are off the chain."""
    row = _lock(closing_id)
    if row.state not in customer_models.Closing.OPEN_STATES:
        return False
    row.state, row.waits_for = State.CLOSING, []
    row.save(update_fields=["state", "waits_for"])
    if wallet is None:
        return True
    grants = models.SessionKeyGrant.objects.filter(wallet=wallet)
    live = grants.filter(state__in=models.SessionKeyGrant.LIVE_STATES)
    for grant_id in live.order_by("pk").values_list("pk", flat=True):
        revoke_session_key.revoke(grant_id=grant_id, now=now)
    if wallet.left_custody_at is None and grants.filter(state=models.SessionKeyGrant.State.REVOKING).exists():
        _enqueue(row=row, run_at=now + STEP)
        return False
    return True


def _send(
    *,
    row: customer_models.Closing,
    wallet: models.Wallet,
    balances: Sequence[tuple[str, int]],
    now: datetime.datetime,
) -> None:
    send_to = str(row.send_to)
    try:
        controls.screen(
            utility_id=wallet.utility_id,
            direction="payout",
            reference=f"closing:{row.pk}",
            addresses=[wallet.address, send_to],
            now=now,
        )
    except errors.UnableTo as error:
        _wait(closing_id=row.pk, obstacles=[closings.Obstacle(code=error.code, detail=error.detail)], now=now)
        return
    with db.transaction():
        _lock(row.pk)
        mine = models.Operation.objects.filter(
            wallet=wallet, kind=Kind.SEND_BALANCE, intent__closing_id=str(row.pk)
        ).exclude(state__in=[models.Operation.State.FAILED, models.Operation.State.SUCCEEDED])
        if mine.exists():
            return
        operation = operations.reserve(
            wallet=wallet,
            grant=None,
            quote=None,
            kind=Kind.SEND_BALANCE,
            reference="0x" + secrets.token_hex(16),
            intent={
                "closing_id": str(row.pk),
                "to": send_to,
                "balances": [[token, str(units)] for token, units in balances],
            },
            spend_units=0,
            now=now,
        )
    try:
        operations.submit(operation_id=operation.pk, now=now)
    except (operations.UnableToSubmit, errors.Unreachable) as error:
        logger.info("an operation waits: operation=%s reason=%s", operation.pk, error)


@db.transaction
def _complete(*, closing_id: uuid.UUID, wallet: models.Wallet | None, now: datetime.datetime) -> None:
    row = _lock(closing_id)
    if row.state != State.CLOSING:
        return
    user_id = row.customer.user_id
    if wallet is not None:
        custody.disable_key(key_id=wallet.owner_key_id, now=now)
    row.state, row.ended_at, row.waits_for = State.CLOSED, now, []
    row.save(update_fields=["state", "ended_at", "waits_for"])
    if user_id is not None:
        notice_models.Notice.objects.filter(user_id=user_id, utility_id=row.customer.utility_id).delete()
    customers.erase(customer_id=row.customer_id, now=now)


def _lock(closing_id: uuid.UUID) -> customer_models.Closing:
    found: customer_models.Closing = (
        customer_models.Closing.objects.select_for_update(of=("self",))
        .select_related("customer__utility")
        .get(pk=closing_id)
    )
    return found


def _tell(*, row: customer_models.Closing, what: str, title: str, body: str, now: datetime.datetime) -> None:
    if row.customer.user_id is None:
        return
    notifications.tell(
        user_ids=[row.customer.user_id],
        utility_id=row.customer.utility_id,
        kind=notice_models.Notice.Kind.ACCOUNT_CLOSING,
        key=f"account.closing:{what}:{row.pk}",
        title=title,
        body=body[:1000],
        data={"closing_id": str(row.pk), "what": what.partition(":")[0], "closes_at": row.closes_at.isoformat()},
        now=now,
    )


def _enqueue(*, row: customer_models.Closing, run_at: datetime.datetime) -> None:
    jobs.enqueue(
        name="wallets.close_account",
        key=f"wallets.close_account:{row.pk}:{int(run_at.timestamp())}",
        arguments={"closing_id": str(row.pk)},
        run_at=run_at,
    )
