"""Making wallets."""

import datetime
import secrets
import uuid
from collections.abc import Mapping
from typing import Any

from contracts import deployments
from contracts.bindings import words
from custody import models as custody_models
from custody import operations as custody
from custody import queries as custody_queries
from customers import models as customer_models
from openvpp.core import db
from wallets import models, queries


@db.durable
def open_wallet(*, customer_id: int, now: datetime.datetime) -> models.Wallet:
    """Make a customer's wallet; it is deployed with its first operation. A customer who has one keeps it.

    :raises errors.Unreachable: the signer did not answer.
    """
    customer = customer_models.Customer.objects.select_related("utility").get(pk=customer_id)
    return queries.get_wallet_of(customer) or _open(
        utility=customer.utility,
        subject=f"wallet:customer:{customer_id}",
        purpose=custody_models.SealedKey.Purpose.WALLET_OWNER,
        policy={"payee": customer.utility.treasury_address},
        row={"kind": models.Wallet.Kind.CUSTOMER, "customer": customer},
        now=now,
    )


@db.durable
def open_treasury_wallet(*, utility_id: int, label: str, now: datetime.datetime) -> models.Wallet:
    """Make a wallet from which a utility pays a program's participants; the same one for the same label.

    :raises errors.Unreachable: the signer did not answer.
    """
    utility = customer_models.Utility.objects.get(pk=utility_id)
    payouts = deployments.load(chain_id=utility.chain_id).payouts
    return _open(
        utility=utility,
        subject=f"wallet:treasury:{utility_id}:{label}",
        purpose=custody_models.SealedKey.Purpose.TREASURY_OWNER,
        policy={"payouts": words.checksummed(payouts), "caps": queries.get_first_caps(utility=utility)},
        row={"kind": models.Wallet.Kind.TREASURY, "label": label},
        now=now,
    )


@db.durable
def open_guardian_wallet(*, utility_id: int, now: datetime.datetime) -> models.Wallet:
    """Make the wallet that guards accounts whose customers left custody and want that; one a utility.

    :raises errors.Unreachable: the signer did not answer.
    """
    utility = customer_models.Utility.objects.get(pk=utility_id)
    return _open(
        utility=utility,
        subject=custody_queries.guardian_subject(utility_id=utility_id),
        purpose=custody_models.SealedKey.Purpose.GUARDIAN,
        policy={},
        row={"kind": models.Wallet.Kind.GUARDIAN},
        now=now,
    )


def _open(
    *,
    utility: customer_models.Utility,
    subject: str,
    purpose: custody_models.SealedKey.Purpose,
    policy: Mapping[str, Any],
    row: Mapping[str, Any],
    now: datetime.datetime,
) -> models.Wallet:
    key = _owner_key(
        purpose=purpose,
        subject=subject,
        policy={"chain_id": utility.chain_id, "salt": "0x" + secrets.token_hex(32), **policy},
    )
    made = models.Wallet(
        id=uuid.uuid4(),
        utility=utility,
        chain_id=utility.chain_id,
        owner_key_id=key.pk,
        salt=key.policy["salt"],
        address=key.policy["account"],
        created_at=now,
        **row,
    )
    models.Wallet.objects.bulk_create([made], ignore_conflicts=True)
    wallet: models.Wallet = models.Wallet.objects.select_related("utility").get(owner_key_id=key.pk)
    return wallet


def _owner_key(
    *, purpose: custody_models.SealedKey.Purpose, subject: str, policy: Mapping[str, Any]
) -> custody_models.SealedKey:
    # The salt is random: whoever comes second takes the key, and the salt sealed with it, of whoever came first.
    try:
        return custody_queries.get_key_of(subject=subject)
    except custody_queries.UnableToFindKey:
        pass
    try:
        return custody.create_key(purpose=purpose, subject=subject, policy=policy)
    except custody.UnableToCreateKey:
        return custody_queries.get_key_of(subject=subject)
