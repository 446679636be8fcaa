"""What happened to our wallets on the chain without us: deposits, sessions that nobody knows, exits and owners.

Only final blocks are read, each once (`controls.models.ChainCursor`). A deposit's sender is checked: one who is listed,
or cannot be checked at a utility that refuses then, freezes the wallet; while a utility waits for its screener, so does
the reading. A session that no grant of that wallet knows freezes the wallet too, and staff are told; one of a grant
that has ended is taken off again; once a customer owns their wallet, sessions are their own affair. Exits and owners
that changed on the chain without us are followed (`wallets.usecases.follow_control`).
"""

import datetime
import logging
from collections.abc import Sequence

from django.conf import settings

from contracts.bindings import events, words
from controls import models as controls_models
from controls import operations as controls
from customers import models as customer_models
from notifications import models as notice_models
from notifications import operations as notifications
from openvpp.core import db
from wallets import models
from wallets.adapters import chain
from wallets.usecases import follow_control, revoke_session_key

logger = logging.getLogger(__name__)

MOST_BLOCKS = 1000
MOST_WALLETS = 500


@db.durable
def watch_wallets(*, chain_id: int, now: datetime.datetime) -> int:
    """Read the logs of final blocks that were not read yet; return how many deposits and sessions were seen.

    :raises errors.Unreachable: no node answered.
    :raises controls.UnableToCheckYet: a utility waits for its screener.
    """
    final = chain.read_block_number(chain_id=chain_id) - settings.CHAIN_CONFIRMATIONS
    cursor, _ = controls_models.ChainCursor.objects.get_or_create(
        chain_id=chain_id, defaults={"block_number": max(final, 0)}
    )
    last = min(final, cursor.block_number + MOST_BLOCKS)
    if last <= cursor.block_number:
        return 0
    wallets = list(models.Wallet.objects.filter(chain_id=chain_id).select_related("utility").order_by("pk"))
    seen = 0
    for start in range(0, len(wallets), MOST_WALLETS):
        group = wallets[start : start + MOST_WALLETS]
        seen += _watch(wallets=group, first=cursor.block_number + 1, last=last, chain_id=chain_id, now=now)
    controls_models.ChainCursor.objects.filter(chain_id=chain_id, block_number=cursor.block_number).update(
        block_number=last
    )
    return seen


def _watch(*, wallets: Sequence[models.Wallet], first: int, last: int, chain_id: int, now: datetime.datetime) -> int:
    by_address = {wallet.address: wallet for wallet in wallets}
    count = 0
    changed: dict[str, chain.Seen] = {}
    for seen in chain.read_logs_of(accounts_=list(by_address), first=first, last=last, chain_id=chain_id):
        if isinstance(seen.event, events.Transfer):
            wallet = by_address.get(words.checksummed(seen.event.recipient))
            if wallet is not None:
                count += _note_deposit(wallet=wallet, transfer=seen.event, seen=seen, now=now)
        elif isinstance(seen.event, events.SessionInstalled | chain.CallSessionInstalled):
            count += _note_session(wallet=by_address[words.checksummed(seen.event.emitter)], seen=seen, now=now)
        elif isinstance(seen.event, chain.ControlChanged):
            changed[words.checksummed(seen.event.emitter)] = seen
    for address in changed:
        count += _follow_control(wallet=by_address[address], now=now)
    return count


def _note_deposit(*, wallet: models.Wallet, transfer: events.Transfer, seen: chain.Seen, now: datetime.datetime) -> int:
    place = {
        "chain_id": wallet.chain_id,
        "transaction_hash": seen.transaction_hash,
        "log_index": seen.log_index,
    }
    if controls_models.Deposit.objects.filter(**place).exists():
        return 0
    sender = words.checksummed(transfer.sender)
    refusal = ""
    try:
        controls.screen(
            utility_id=wallet.utility_id,
            direction="deposit",
            reference=f"deposit:{seen.transaction_hash}:{seen.log_index}",
            addresses=[sender],
            now=now,
        )
    except controls.UnableToPass as error:
        refusal = error.detail
    with db.transaction():
        controls_models.Deposit.objects.get_or_create(
            **place,
            defaults={
                "utility": wallet.utility,
                "account": wallet.address,
                "sender": sender,
                "token": words.checksummed(transfer.emitter),
                "units": transfer.amount_units,
                "block_number": seen.block_number,
                "seen_at": now,
            },
        )
        if refusal:
            _freeze(wallet=wallet, reason=f"A deposit was refused: {refusal}", now=now)
    return 1


def _note_session(*, wallet: models.Wallet, seen: chain.Seen, now: datetime.datetime) -> int:
    installed = seen.event
    if not isinstance(installed, events.SessionInstalled | chain.CallSessionInstalled) or wallet.left_custody_at:
        return 0
    session_id = "0x" + installed.session_id.hex()
    grant = models.SessionKeyGrant.objects.filter(wallet=wallet, policy_hash=session_id).first()
    # What was installed moments ago may be gone by now.
    is_gone = grant is not None and grant.has_ended and _is_revoked(wallet=wallet, session_id=session_id)
    with db.transaction():
        if grant is None:
            reason = f"Session {session_id} stands on the chain and no app was granted it."
            _freeze(wallet=wallet, reason=reason, now=now)
        elif grant.has_ended and not is_gone:
            revoke_session_key.take_off_again(grant_id=grant.pk, now=now)
    return 1


def _is_revoked(*, wallet: models.Wallet, session_id: str) -> bool:
    state = chain.read_session(account=str(wallet.address), session_id=session_id, chain_id=wallet.chain_id)
    return state is not None and state.is_revoked


def _follow_control(*, wallet: models.Wallet, now: datetime.datetime) -> int:
    """Let the rows say who controls an account as the account does; an owner whom nobody knows freezes the wallet."""
    if wallet.kind != models.Wallet.Kind.CUSTOMER:
        return 0
    stranger = follow_control.follow(wallet=wallet, now=now)
    if stranger:
        with db.transaction():
            _freeze(wallet=wallet, reason=f"{stranger} owns the account on the chain, and is no key of ours.", now=now)
    return 1


def _freeze(*, wallet: models.Wallet, reason: str, now: datetime.datetime) -> None:
    freeze = controls.freeze(
        utility_id=wallet.utility_id,
        account=wallet.address,
        chain_id=wallet.chain_id,
        reason=reason,
        by=None,
        now=now,
    )
    roles = [customer_models.StaffRole.Role.ADMINISTRATOR, customer_models.StaffRole.Role.AUDITOR]
    staff = customer_models.StaffRole.objects.filter(utility_id=wallet.utility_id, role__in=roles)
    notifications.tell(
        user_ids=list(staff.values_list("user_id", flat=True)),
        utility_id=wallet.utility_id,
        kind=notice_models.Notice.Kind.WALLET_FROZEN,
        key=f"wallet.frozen:{freeze.pk}",
        title=f"Wallet {wallet.address} is frozen",
        body=reason,
        data={"wallet": wallet.address, "freeze_id": str(freeze.pk)},
        now=now,
    )
