"""Reading wallets and what they hold."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import models as db_models

from customers import models as customer_models
from customers import queries as customer_queries
from openvpp.core import db, errors, sql
from wallets import models
from wallets.adapters import chain
from wallets.domain import account_state


class UnableToFindWallet(errors.NotFound):
    """This person has no wallet yet, or none of this id."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What a wallet holds of one token, in base units."""

    token: customer_models.AcceptedToken
    units: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Balances:
    """What a wallet holds: native coin in wei, and each token that its utility takes."""

    native_wei: int
    tokens: tuple[Balance, ...]


def get_wallets(*, user: customer_models.User) -> "db_models.QuerySet[Any]":
    """Return a person's own wallets, one for each utility that they are a customer of."""
    return models.Wallet.objects.for_customer(user).select_related("utility", "customer").order_by("created_at", "pk")


def get_wallet(*, user: customer_models.User) -> models.Wallet:
    """Return a person's own wallet; the first, for a customer of several utilities.

    :raises UnableToFindWallet: there is none yet.
    """
    wallet: models.Wallet | None = get_wallets(user=user).first()
    if wallet is None:
        raise UnableToFindWallet(
            "You have no wallet yet. It is made moments after you claim an account.", code="wallet_not_found"
        )
    return wallet


def get_first_caps(*, utility: customer_models.Utility) -> list[dict[str, str]]:
    """Return how much of each token that pays bills a new treasury may pay a batch and a day; raised by two people."""
    tokens = customer_queries.get_bill_tokens(utility_id=utility.pk)
    return [
        {
            "token": token.address.lower(),
            "batch_units": str(settings.TREASURY_BATCH_CAP * 10**token.decimals),
            "day_units": str(settings.TREASURY_DAY_CAP * 10**token.decimals),
        }
        for token in tokens
    ]


_OWN_WALLETS = sql.Read(
    lambda: models.Wallet.objects.filter(
        customer__user=sql.Slot("user_id"), customer__utility=sql.Slot("utility_id")
    ).select_related("utility", "owner_key")
)


def get_wallet_at(*, user: customer_models.User, utility_id: int) -> models.Wallet | None:
    """Return a person's wallet at a utility, with the row of its owner's key, if it is made."""
    wallet: models.Wallet | None = _OWN_WALLETS.first(user_id=user.pk, utility_id=utility_id)
    return wallet


def ask_wallet_at(*, user: customer_models.User, utility_id: int | None) -> sql.Question:
    """Ask for the same."""
    return _OWN_WALLETS.ask(user_id=user.pk, utility_id=utility_id)


def get_wallet_of(customer: customer_models.Customer) -> models.Wallet | None:
    """Return a customer's wallet, if it is made."""
    wallet: models.Wallet | None = models.Wallet.objects.filter(customer=customer).select_related("utility").first()
    return wallet


@db.durable
def get_balances(*, wallet: models.Wallet) -> Balances:
    """Ask the chain what a wallet holds now.

    :raises errors.Unreachable: no node answered.
    """
    tokens = list(customer_models.AcceptedToken.objects.filter(utility_id=wallet.utility_id).order_by("symbol"))
    native_wei, held = chain.read_balances(
        holder=wallet.address, token_addresses=[token.address for token in tokens], chain_id=wallet.chain_id
    )
    return Balances(
        native_wei=native_wei,
        tokens=tuple(Balance(token=token, units=units) for token, units in zip(tokens, held, strict=True)),
    )


@db.durable
def get_units(*, address: str, tokens: Sequence[str], chain_id: int) -> list[int]:
    """Ask the chain what an address holds of each token now, in base units, in the same order.

    :raises errors.Unreachable: no node answered.
    """
    return get_payer(address=address, tokens=tokens, chain_id=chain_id)[1]


def get_payer(*, address: str, tokens: Sequence[str], chain_id: int) -> tuple[account_state.AccountState, list[int]]:
    """Ask the chain for a wallet's state now, and what it holds of each token.

    :raises errors.Unreachable: no node answered.
    """
    return chain.read_payer(address=address, token_addresses=tokens, chain_id=chain_id)
