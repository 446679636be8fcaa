"""What a customer is told while the control of their wallet changes."""

import datetime

from notifications import models as notice_models
from notifications import operations as notifications
from openvpp.core import db
from wallets import models

_WORDS = {
    "announced": (
        "Your wallet leaves custody in 48 hours",
        (
            "From {when} the key {owner} owns your wallet, and the apps that pay from it stop. If you did not ask "
            "for this, call it off now and tell your utility. {reason}"
        ),
    ),
    "ready": (
        "Your wallet leaves custody now",
        "The 48 hours are over. Your wallet goes to the key {owner}; every app that pays from it is stopped.",
    ),
    "left": (
        "You own your wallet",
        (
            "The key {owner} owns your wallet. Your utility holds no key to it any more and no app pays from it. "
            "Bills, payouts and history stay here to read."
        ),
    ),
    "cancelled": ("Your wallet stays in custody", "The exit was called off. {reason}"),
    "failed": ("Your wallet did not leave custody", "The exit could not be announced. {reason}"),
    "refused": ("Your wallet does not leave custody", "Your utility asked for the exit, which is refused. {reason}"),
    "held": ("Your wallet does not change hands now", "What you asked for waits. {reason}"),
    "guardian": (
        "Your utility becomes guardian of your wallet",
        (
            "It is your wallet's guardian from now on, and stays it when the key {owner} owns your wallet. At {when} "
            "your exit is announced, which takes 48 hours more. Call it off if it was not you."
        ),
    ),
    "recovery": (
        "Somebody wants to own your wallet with another key",
        (
            "Your utility was asked to recover your wallet. From {when} the key {owner} owns it, and the key that owns "
            "it now does not. If you did not ask for this, call it off now with your key and tell your utility."
        ),
    ),
    "recovered": (
        "Your wallet was recovered",
        "The key {owner} owns your wallet now, the key before it no more. Apps that it let pay go on: look at them.",
    ),
    "recovery_cancelled": ("Your wallet stays with its key", "The recovery was called off. {reason}"),
    "recovery_failed": ("Your wallet was not recovered", "The recovery could not be carried out. {reason}"),
    "rotation": (
        "The key of your wallet is replaced",
        "From {when} your utility signs for your wallet with another key, {owner}. Apps that pay go on.",
    ),
    "rotated": ("The key of your wallet was replaced", "Your utility signs for your wallet with the key {owner} now."),
}


@db.transaction_required
def tell(
    *,
    wallet: models.Wallet,
    what: str,
    key: str,
    now: datetime.datetime,
    new_owner: str = "",
    ready_at: datetime.datetime | None = None,
    reason: str = "",
) -> None:
    """Tell the wallet's person one of the above, once for each `key`; a customer who never signed in is not told."""
    customer = wallet.customer
    if customer is None or customer.user_id is None:
        return
    title, body = _WORDS[what]
    when = f"{ready_at:%Y-%m-%d %H:%M} UTC" if ready_at is not None else ""
    notifications.tell(
        user_ids=[customer.user_id],
        utility_id=wallet.utility_id,
        kind=notice_models.Notice.Kind.WALLET_CONTROL,
        key=f"wallet.control:{what}:{key}",
        title=title,
        body=body.format(when=when, owner=new_owner, reason=reason).strip(),
        data={
            "wallet": wallet.address,
            "what": what,
            "new_owner": new_owner,
            "ready_at": ready_at.isoformat() if ready_at is not None else None,
        },
        now=now,
    )
