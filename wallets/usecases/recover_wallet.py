"""A customer who lost the key of their own wallet gets it back: the utility, its guardian, proposes another owner.

`ask` names the new key and `prove` takes its signature; two people decide (`change_recovery`), the job
`wallets.schedule_recovery` has the guardian propose it on the chain, and 48 hours later the job `wallets.recover`
carries it out. Until then owner and customer call it off, by `cancel` with the customer's key or on the chain; what
happens there is read before anything is sent.
"""

import datetime
import logging
import secrets
import uuid
from collections.abc import Mapping
from typing import Any

from contracts.bindings import words
from controls import operations as controls
from controls import queries as controls_queries
from custody import operations as custody
from custody.domain import recoveries
from customers import models as customer_models
from openvpp.core import db, errors
from wallets import models, operations
from wallets.adapters import chain
from wallets.domain import assertions, new_owners
from wallets.usecases import check_owner, follow_recovery, keep_guardian, tell_control

logger = logging.getLogger(__name__)

State = models.WalletRecovery.State
Kind = models.Operation.Kind
LOOK_AGAIN_AFTER = datetime.timedelta(hours=1)


class UnableToRecoverWallet(errors.UnableTo):
    """The wallet is not recovered, or not to this key: `code` says why. Nothing moved."""


class UnableToProveKey(errors.Invalid):
    """The signature is not of the key that is to sign, or not over what it is to sign."""


@db.durable
def ask(
    *, wallet: models.Wallet, owner: new_owners.NewOwner, user: customer_models.User, now: datetime.datetime
) -> models.WalletRecovery:
    """Write down with which key a customer wants to own their wallet; `get_message` is what that key signs next.

    One that was asked for before and that nobody decided about yet is forgotten for it.

    :raises UnableToRecoverWallet: `not_self_custodied`, `no_guardian`, `recovery_open`, `wallet_frozen` or `same_key`.
    :raises check_owner.UnableToTakeOwner: `owner_is_contract` or `owner_is_ours`.
    :raises controls.UnableToPass: the key's address is listed.
    :raises controls.UnableToCheckYet: nobody can say whether it is.
    :raises errors.Unreachable: no node answered.
    """
    state = chain.read_control(account=wallet.address, chain_id=wallet.chain_id)
    require_guarded(wallet=wallet, state=state)
    if state is not None and words.checksummed(state.owner) == owner.address:
        raise UnableToRecoverWallet("That key owns the wallet already.", code="same_key")
    check_owner.require_customers(wallet=wallet, owner=owner.address)
    recovery_id = uuid.uuid4()
    check_owner.screen(wallet=wallet, owner=owner.address, reference=f"recovery:{recovery_id}", now=now)
    with db.transaction():
        models.Wallet.objects.select_for_update(no_key=True, of=("self",)).get(pk=wallet.pk)
        mine = models.WalletRecovery.objects.filter(wallet=wallet)
        mine.filter(state__in=models.WalletRecovery.UNDECIDED_STATES).update(state=State.CANCELLED, ended_at=now)
        if mine.filter(state__in=models.WalletRecovery.OPEN_STATES).exists():
            raise UnableToRecoverWallet("A recovery is under way already.", code="recovery_open")
        row: models.WalletRecovery = models.WalletRecovery.objects.create(
            pk=recovery_id,
            wallet=wallet,
            new_owner=owner.address,
            passkey=owner.passkey,
            asked_by=user,
            created_at=now,
        )
    return row


class UnableToFindRecovery(errors.NotFound):
    """This person never asked for one."""


def get_latest(*, user: customer_models.User) -> models.WalletRecovery:
    """Return the latest recovery of a person's own wallet.

    :raises UnableToFindRecovery: there is none.
    """
    rows = models.WalletRecovery.objects.for_customer(user).select_related("wallet").order_by("-created_at")
    found: models.WalletRecovery | None = rows.first()
    if found is None:
        raise UnableToFindRecovery("No recovery was asked for.", code="no_recovery")
    return found


def get_message(row: models.WalletRecovery) -> str:
    """Return the sentence that the new key signs."""
    return recoveries.message(
        wallet=row.wallet.address,
        chain_id=row.wallet.chain_id,
        new_owner=str(row.new_owner),
        recovery_id=str(row.pk),
    )


def get_digest(row: models.WalletRecovery) -> bytes:
    """Return the 32 bytes of that sentence, a passkey's challenge."""
    return recoveries.digest(text=get_message(row))


@db.transaction
def prove(*, wallet: models.Wallet, proof: assertions.Proof, now: datetime.datetime) -> models.WalletRecovery:
    """Take the new key's signature, and write it down for the signer; the same again is the same.

    :raises UnableToRecoverWallet: `no_recovery` waits for one.
    :raises UnableToProveKey: it is not that key's.
    """
    row = _lock_open(wallet)
    if row is None or row.state not in models.WalletRecovery.UNDECIDED_STATES:
        raise UnableToRecoverWallet("No recovery waits for a signature.", code="no_recovery")
    signature = _write(proof, passkey=row.passkey)
    terms = {
        "type": recoveries.TERMS,
        "wallet": row.wallet.address,
        "chain_id": row.wallet.chain_id,
        "new_owner": str(row.new_owner),
        "recovery_id": str(row.pk),
        "signature": "0x" + signature.hex(),
    }
    if not recoveries.is_proven(terms=terms):
        raise UnableToProveKey("The signature is not the new key's over the message.", code="invalid_signature")
    custody.note_consent(key_id=row.wallet.owner_key_id, terms=terms, now=now)
    row.state = State.PROVEN
    row.save(update_fields=["state"])
    return row


@db.durable
def schedule(*, change_id: str, now: datetime.datetime) -> None:
    """Have the guardian propose the new owner on the chain, as two people decided; safe to run twice.

    A key that is listed by now is not proposed.

    :raises errors.Unreachable: node, signer or screener did not answer.
    """
    row = models.WalletRecovery.objects.select_related("wallet__utility").get(change_id=change_id)
    refusal = _find_refusal(row=row, now=now)
    state = chain.read_control(account=row.wallet.address, chain_id=row.wallet.chain_id)
    guardian = keep_guardian.get_guardian(utility_id=row.wallet.utility_id)
    with db.transaction():
        row = follow_recovery.lock(recovery_id=str(row.pk))
        if row.state != State.DECIDED or _live(row=row, kind=Kind.SCHEDULE_RECOVERY):
            return
        try:
            require_guarded(wallet=row.wallet, state=state)
        except UnableToRecoverWallet as error:
            refusal = error.detail
        if refusal:
            follow_recovery.close(row=row, state=State.FAILED, failure=refusal, now=now)
            return
        operation = _reserve(row=row, guardian=guardian, kind=Kind.SCHEDULE_RECOVERY, intent={}, now=now)
    _submit(operation, now=now)


@db.durable
def carry_out(*, recovery_id: str, now: datetime.datetime) -> None:
    """Carry out a recovery that is ripe, or learn from the chain what became of it; safe to run twice.

    While the wallet is frozen, or wallet or key are listed, it waits, and looks again every hour.

    :raises errors.Unreachable: node, signer, price source or screener did not answer.
    """
    row = models.WalletRecovery.objects.select_related("wallet").get(pk=recovery_id)
    if row.state != State.ANNOUNCED:
        return
    refusal = _find_refusal(row=row, now=now)
    wallet = row.wallet
    call = chain.read_announced_call(account=wallet.address, call=follow_recovery.encode(row), chain_id=wallet.chain_id)
    guardian = keep_guardian.get_guardian(utility_id=wallet.utility_id)
    with db.transaction():
        row = follow_recovery.lock(recovery_id=recovery_id)
        if row.state != State.ANNOUNCED or _live(row=row, kind=Kind.RECOVER):
            return
        follow_recovery.learn(row=row, call=call, now=now)
        if row.state != State.ANNOUNCED or row.ready_at is None:
            return
        if refusal:
            tell_control.tell(wallet=row.wallet, what="held", key=str(row.pk), reason=refusal, now=now)
        is_frozen = controls_queries.get_freeze(account=wallet.address, chain_id=wallet.chain_id) is not None
        if refusal or is_frozen:
            follow_recovery.enqueue(row=row, run_at=now + LOOK_AGAIN_AFTER)
            return
        intent = {"previous_owner": str(row.previous_owner)}
        operation = _reserve(row=row, guardian=guardian, kind=Kind.RECOVER, intent=intent, now=now)
    _submit(operation, now=now)


def get_cancel_digest(*, row: models.WalletRecovery) -> bytes:
    """Return what the customer's key signs to call an announced recovery off.

    :raises UnableToRecoverWallet: `recovery_not_announced`.
    :raises errors.Unreachable: no node answered.
    """
    return _read_announced(row).cancel_digest


@db.durable
def cancel(*, wallet: models.Wallet, proof: assertions.Proof, now: datetime.datetime) -> models.WalletRecovery:
    """Call a recovery off: with the signature of the customer's key once it is announced, without before.

    :raises UnableToRecoverWallet: `no_recovery`, `recovery_not_announced` while it is on its way to the chain, or
        `recovery_under_way`.
    :raises UnableToProveKey: the signature is not of the key that the account knows as the customer's.
    :raises errors.Unreachable: no node answered.
    """
    with db.transaction():
        row = _lock_open(wallet)
        if row is None:
            raise UnableToRecoverWallet("No recovery was asked for.", code="no_recovery")
        if row.state in models.WalletRecovery.UNDECIDED_STATES:
            follow_recovery.close(row=row, state=State.CANCELLED, failure="", now=now)
        if row.state in (State.CANCELLED, State.CANCELLING):
            return row
    call = _read_announced(row)
    customer = words.checksummed(call.customer)
    signature = _write(proof, passkey=_find_passkey(wallet=wallet, name=customer))
    if not recoveries.is_signed_by(key=customer, digest=call.cancel_digest, signature=signature):
        raise UnableToProveKey(
            "The signature is not of your key over the digest that calls this off.", code="invalid_signature"
        )
    guardian = keep_guardian.get_guardian(utility_id=wallet.utility_id)
    with db.transaction():
        row = follow_recovery.lock(recovery_id=str(row.pk))
        if row.state != State.ANNOUNCED or _live(row=row, kind=Kind.RECOVER):
            raise UnableToRecoverWallet("The recovery is being carried out.", code="recovery_under_way")
        row.state = State.CANCELLING
        row.save(update_fields=["state"])
        intent = {"previous_owner": str(row.previous_owner), "signature": "0x" + signature.hex()}
        operation = _reserve(row=row, guardian=guardian, kind=Kind.CANCEL_RECOVERY, intent=intent, now=now)
    _submit(operation, now=now)
    return row


def require_guarded(*, wallet: models.Wallet, state: chain.ControlState | None) -> None:
    """Refuse a wallet that the utility does not guard, or that is frozen.

    :raises UnableToRecoverWallet: `not_self_custodied`, `no_guardian` or `wallet_frozen`.
    """
    if wallet.left_custody_at is None or state is None or not state.is_self_custodied:
        raise UnableToRecoverWallet("Your utility holds the key of this wallet.", code="not_self_custodied")
    guardian = keep_guardian.get_guardian(utility_id=wallet.utility_id)
    if guardian is None or words.checksummed(state.guardian) != guardian.address:
        raise UnableToRecoverWallet("Your utility is not this wallet's guardian.", code="no_guardian")
    if controls_queries.get_freeze(account=wallet.address, chain_id=wallet.chain_id) is not None:
        raise UnableToRecoverWallet("The wallet is frozen; ask your utility.", code="wallet_frozen")


def _read_announced(row: models.WalletRecovery) -> chain.AnnouncedCall:
    if row.state != State.ANNOUNCED:
        raise UnableToRecoverWallet("It does not stand announced on the chain now.", code="recovery_not_announced")
    return chain.read_announced_call(
        account=row.wallet.address, call=follow_recovery.encode(row), chain_id=row.wallet.chain_id
    )


def _write(proof: assertions.Proof, /, *, passkey: Mapping[str, str] | None) -> bytes:
    if isinstance(proof, bytes):
        return proof
    try:
        return proof.written(passkey=passkey or {"x": "0x0", "y": "0x0"})
    except assertions.UnableToReadAssertion as error:
        raise UnableToProveKey(f"This is no passkey's assertion: {error}.", code="invalid_signature") from None


def _find_passkey(*, wallet: models.Wallet, name: str) -> Mapping[str, str] | None:
    """Return the coordinates of the customer's passkey, as they named it when they left or recovered the wallet."""
    for rows in (models.CustodyExit.objects, models.WalletRecovery.objects):
        found = rows.filter(wallet=wallet, new_owner=name, passkey__isnull=False).first()
        if found is not None:
            passkey: Mapping[str, str] = found.passkey
            return passkey
    return None


def _find_refusal(*, row: models.WalletRecovery, now: datetime.datetime) -> str:
    """Return why wallet or key are not let through by now; empty when they are."""
    try:
        check_owner.screen(wallet=row.wallet, owner=str(row.new_owner), reference=f"recovery:{row.pk}", now=now)
    except controls.UnableToPass as error:
        return error.detail
    except controls.UnableToCheckYet as error:
        raise errors.Unreachable(error.detail) from error
    return ""


def _lock_open(wallet: models.Wallet) -> models.WalletRecovery | None:
    found = models.WalletRecovery.objects.filter(wallet=wallet, state__in=models.WalletRecovery.OPEN_STATES).first()
    return None if found is None else follow_recovery.lock(recovery_id=str(found.pk))


def _reserve(
    *,
    row: models.WalletRecovery,
    guardian: models.Wallet | None,
    kind: Kind,
    intent: Mapping[str, Any],
    now: datetime.datetime,
) -> models.Operation:
    if guardian is None:
        raise UnableToRecoverWallet("Your utility guards no accounts.", code="no_guardian")
    return operations.reserve(
        wallet=guardian,
        grant=None,
        quote=None,
        kind=kind,
        reference="0x" + secrets.token_hex(16),
        intent={
            **intent,
            "account": row.wallet.address,
            "owner": str(row.new_owner),
            "recovery_id": str(row.pk),
        },
        spend_units=0,
        now=now,
    )


def _submit(operation: models.Operation, *, now: datetime.datetime) -> None:
    try:
        operations.submit(operation_id=operation.pk, now=now)
    except (operations.UnableToSubmit, errors.Unreachable) as error:
        logger.info("an operation waits: operation=%s reason=%s", operation.pk, error)


def _live(*, row: models.WalletRecovery, kind: Kind) -> bool:
    mine = models.Operation.objects.filter(kind=kind, intent__recovery_id=str(row.pk))
    return mine.exclude(state=models.Operation.State.FAILED).exists()
