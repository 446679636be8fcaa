"""What other apps may ask of custody. All but `disable_key` reach the signer over the network."""

import dataclasses
import datetime
import logging
from collections.abc import Mapping
from typing import Any

from contracts import deployments
from contracts.bindings import paymaster, sessions, user_operations, words
from custody import models, queries
from custody.adapters import signer
from custody.domain import consents, intents, transactions
from openvpp.core import db, errors

logger = logging.getLogger(__name__)


class UnableToCreateKey(errors.UnableTo):
    """The signer refused to make the key."""


class UnableToSign(errors.UnableTo):
    """The signer refused: `code` says which rule of the key's policy stands against it."""

    status = 403


@db.durable
def create_key(*, purpose: str, subject: str, policy: Mapping[str, Any]) -> models.SealedKey:
    """Return the subject's key, made by the signer if there was none; its policy is sealed with it for ever.

    `policy` as `custody.domain.policies` reads it; owners give `chain_id` and `salt` (hexadecimal), and find the
    address of their account in the sealed policy's `account`.

    :raises errors.Unreachable: the signer does not answer.
    :raises UnableToCreateKey: the policy is none, or the subject has a key with another one.
    """
    try:
        key_id = signer.create_key(purpose=purpose, subject=subject, policy=policy)
    except signer.SignerRefused as refusal:
        raise UnableToCreateKey(refusal.reason, code=refusal.code) from None
    return queries.get_key(key_id=key_id)


@db.durable
def sign_user_operation(*, key_id: int, operation: user_operations.UserOperation, chain_id: int) -> bytes:
    """Return r, s, v over the operation's hash.

    :raises errors.Unreachable: the signer does not answer.
    :raises UnableToSign: the key's policy does not allow it, or the key is disabled.
    """
    entry_point = deployments.load(chain_id=chain_id).entry_point
    return _sign(
        key_id=key_id, intent=intents.UserOperation(chain_id=chain_id, entry_point=entry_point, operation=operation)
    )


@db.durable
def sign_session_install(
    *, key_id: int, policy: sessions.SessionPolicy, consent: bytes, account: bytes, chain_id: int
) -> bytes:
    """Return the owner's leave that lets a session into its account, as `sessions.encode_leave` puts it together.

    `consent` is the digest that `record_consent` returned for this key.

    :raises errors.Unreachable: the signer does not answer.
    :raises UnableToSign: it is another's account, no account would install the session, it would pay another than the
        wallet's utility, or the customer did not consent to exactly this (`unknown_consent`, `other_terms`,
        `consent_used`).
    """
    signature = _sign(
        key_id=key_id,
        intent=intents.SessionInstall(chain_id=chain_id, account=account, policy=policy, consent=consent),
    )
    return sessions.encode_leave(consent=consent, owner_signature=signature)


@db.transaction
def record_consent(*, key_id: int, terms: Mapping[str, Any], now: datetime.datetime) -> bytes:
    """Write down, for ever, to what the customer of this owner key agreed; return the digest of it.

    `terms` as `custody.domain.consents` reads them. The same terms again are the same consent.
    """
    return note_consent(key_id=key_id, terms=terms, now=now)


@db.transaction_required
def note_consent(*, key_id: int, terms: Mapping[str, Any], now: datetime.datetime) -> bytes:
    """Do the same in the caller's transaction."""
    digest = consents.digest(terms=terms)
    row = models.Consent(key_id=key_id, digest="0x" + digest.hex(), terms=dict(terms), recorded_at=now)
    models.Consent.objects.bulk_create([row], ignore_conflicts=True)
    return digest


@db.durable
def sign_sponsorship(
    *, key_id: int, operation: user_operations.UserOperation, sponsorship: paymaster.Sponsorship, chain_id: int
) -> bytes:
    """Return the sponsor's r, s, v for an operation.

    :raises errors.Unreachable: the signer does not answer.
    :raises UnableToSign: it costs more than the key may grant, or is for another paymaster.
    """
    return _sign(
        key_id=key_id,
        intent=intents.Sponsorship(chain_id=chain_id, operation=operation, sponsorship=sponsorship),
    )


@db.durable
def sign_sponsored(
    *,
    sponsor_key_id: int,
    operation: user_operations.UserOperation,
    sponsorship: paymaster.Sponsorship,
    key_id: int,
    chain_id: int,
) -> user_operations.UserOperation:
    """Return the operation with the sponsor's leave in it, and `key_id`'s bare r, s, v over that as its signature.

    :raises errors.Unreachable: the signer does not answer.
    :raises UnableToSign: as `sign_sponsorship` or `sign_user_operation`; neither signature was made then.
    """
    intent = intents.Sponsorship(chain_id=chain_id, operation=operation, sponsorship=sponsorship)
    try:
        leave, signature = signer.sign_sponsored(
            sponsor_key_id=sponsor_key_id,
            intent=intent.to_json(),
            key_id=key_id,
            entry_point=words.checksummed(deployments.load(chain_id=chain_id).entry_point),
        )
    except signer.SignerRefused as refusal:
        raise UnableToSign(refusal.reason, code=refusal.code) from None
    sponsored = paymaster.sponsored(operation=operation, sponsorship=sponsorship, sponsor_signature=leave)
    return dataclasses.replace(sponsored, signature=signature)


@db.durable
def sign_transaction(*, key_id: int, transaction: transactions.Transaction) -> bytes:
    """Return the raw signed transaction of a relayer key.

    :raises errors.Unreachable: the signer does not answer.
    :raises UnableToSign: it is no direct `handleOps`, or costs more than the key may spend.
    """
    signature = _sign(key_id=key_id, intent=intents.Transaction(transaction=transaction))
    return transaction.signed(signature=signature)


@db.transaction_required
def disable_key(*, key_id: int, now: datetime.datetime) -> None:
    """Let a key sign nothing more from this transaction's commit on. A signature under way is waited for."""
    models.SealedKey.objects.filter(pk=key_id, disabled_at__isnull=True).update(disabled_at=now)


class UnableToApplyChange(errors.UnableTo):
    """The signer refused to seal a key otherwise: no approved change stands behind it."""


@db.durable
def apply_change(*, change_id: str, now: datetime.datetime, key_id: int | None = None) -> None:
    """Have the signer seal a key as two people decided; safe to run twice.

    A change of a treasury's caps names its key; one of a utility's treasury is for each customer's, given as `key_id`.

    :raises errors.Unreachable: the signer does not answer.
    :raises UnableToApplyChange: there is no such decision, or the key has changed since.
    """
    try:
        signer.apply_change(change_id=change_id, key_id=key_id)
    except signer.SignerRefused as refusal:
        logger.error("change not applied: change=%s code=%s at=%s", change_id, refusal.code, now)  # noqa: TRY400
        raise UnableToApplyChange(refusal.reason, code=refusal.code) from None


@db.durable
def check_signer() -> Mapping[str, Any]:
    """Return the signer's health.

    :raises errors.Unreachable: it does not answer.
    """
    return signer.health()


def _sign(*, key_id: int, intent: intents.Intent) -> bytes:
    try:
        return signer.sign(key_id=key_id, intent=intent.to_json())
    except signer.SignerRefused as refusal:
        raise UnableToSign(refusal.reason, code=refusal.code) from None
