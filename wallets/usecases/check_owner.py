"""Whether a key may come to own a customer's account."""

import datetime

from controls import operations as controls
from custody import queries as custody
from openvpp.core import errors
from wallets import models
from wallets.adapters import chain


class UnableToTakeOwner(errors.UnableTo):
    """The key is none that a customer holds: `code` says why."""


def screen(*, wallet: models.Wallet, owner: str, reference: str, now: datetime.datetime) -> None:
    """Check wallet and key against lists, as payer and payee are: when it is asked for, and again before each step.

    :raises controls.UnableToPass: one is listed, or cannot be checked at a utility that refuses then.
    :raises controls.UnableToCheckYet: nobody can say yet.
    """
    controls.screen(
        utility_id=wallet.utility_id,
        direction="payout",
        reference=reference,
        addresses=[str(wallet.address), owner],
        now=now,
    )


def require_customers(*, wallet: models.Wallet, owner: str) -> None:
    """Refuse what is no key of the customer's: a contract signs nothing, and our own keys are what they leave.

    :raises UnableToTakeOwner: `owner_is_ours` or `owner_is_contract`.
    :raises errors.Unreachable: no node answered.
    """
    is_ours = models.Wallet.objects.filter(address=owner).exists() or custody.is_our_key(address=owner)
    if is_ours or owner == wallet.utility.treasury_address:
        raise UnableToTakeOwner("That address is the utility's or a wallet here, not your key.", code="owner_is_ours")
    if chain.read_account(address=owner, chain_id=wallet.chain_id).is_deployed:
        raise UnableToTakeOwner("That address is a contract, which cannot sign as an owner.", code="owner_is_contract")
