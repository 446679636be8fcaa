"""What was promised, checked: against the chain's own logs and balances, and against the books."""

import dataclasses
from typing import Any

from billing import queries as billing
from customers import models as customer_models
from openvpp.demo import cast
from openvpp.demo.adapters import node, phone
from wallets import models as wallet_models


@dataclasses.dataclass(frozen=True, slots=True)
class Holdings:
    """What a wallet, its owner key and the treasury hold, and what the books say the treasury holds."""

    wallet_wei: int
    owner_wei: int
    wallet_units: dict[str, int]
    treasury_units: dict[str, int]
    booked_units: dict[str, int]


def look(*, stack: cast.Stack, wallet: wallet_models.Wallet) -> Holdings:
    """Return how things stand now."""
    tokens = list(stack.utility.tokens.order_by("symbol"))
    treasury = customer_models.Utility.objects.get(pk=stack.utility.pk).treasury_address
    booked = billing.get_balances(utility_id=stack.utility.pk)
    return Holdings(
        wallet_wei=stack.node.native_wei(wallet.address),
        owner_wei=stack.node.native_wei(wallet.owner_key.address),
        wallet_units={t.symbol: stack.node.token_units(token=t.address, holder=wallet.address) for t in tokens},
        treasury_units={t.symbol: stack.node.token_units(token=t.address, holder=treasury) for t in tokens},
        booked_units={t.symbol: booked.get(("treasury", f"{stack.utility.chain_id}:{t.address}"), 0) for t in tokens},
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """What a payment should have moved, by token symbol, in base units."""

    transaction_hash: str
    block_number: int
    wallet: str
    treasury: str
    moved: dict[str, int]


def check_payment(*, stack: cast.Stack, payment: Payment, before: Holdings, after: Holdings) -> list[str]:
    """Return what was found right, in words.

    :raises phone.UnableToPlay: chain, balances or books say otherwise.
    """
    receipt = stack.node.receipt(payment.transaction_hash)
    require("the block", int(receipt["blockNumber"], 16), payment.block_number)
    addresses = {token.symbol: token.address for token in stack.utility.tokens.all()}
    transfers = stack.node.transfers(receipt)
    for symbol, units in payment.moved.items():
        require(
            f"{symbol} transferred to the treasury",
            _sum(transfers, token=addresses[symbol], sender=payment.wallet, recipient=payment.treasury),
            units,
        )
        require(f"{symbol} out of the wallet", before.wallet_units[symbol] - after.wallet_units[symbol], units)
        require(f"{symbol} into the treasury", after.treasury_units[symbol] - before.treasury_units[symbol], units)
        require(f"{symbol} in the books", after.booked_units[symbol] - before.booked_units[symbol], units)
    others = [move for move in transfers if move.sender == payment.wallet and move.recipient != payment.treasury]
    require("other transfers out of the wallet", len(others), 0)
    return [
        f"the receipt in block {payment.block_number} holds the tokens' own Transfer logs, to the unit",
        "wallet, treasury and ledger moved by exactly the same amounts",
    ]


def native_wei_spent(*, before: Holdings, after: Holdings) -> int:
    """Return what wallet and owner key spent of the native coin.

    :raises phone.UnableToPlay: one of them holds some, which no customer should need to.
    """
    require("native coin of wallet and owner", after.wallet_wei + after.owner_wei, 0)
    return before.wallet_wei + before.owner_wei - after.wallet_wei - after.owner_wei


def require(what: str, found: Any, wanted: Any) -> None:
    """Do nothing when what was found is what was promised.

    :raises phone.UnableToPlay: it is not.
    """
    if found != wanted:
        raise phone.UnableToPlay(f"{what}: found {found}, promised {wanted}.", code="not_as_promised")


def _sum(transfers: list[node.Moved], *, token: str, sender: str, recipient: str) -> int:
    return sum(
        move.units for move in transfers if (move.token, move.sender, move.recipient) == (token, sender, recipient)
    )
