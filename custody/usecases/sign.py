"""A signature, in the signer: the wish is read, checked against the key's sealed policy, signed and logged."""

import datetime
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from contracts.bindings import paymaster, words
from custody import models, queries
from custody.domain import chain, consents, intents, policies, sealing
from custody.usecases import check_control, check_deployer, check_guardian, check_refill, check_spending
from openvpp.core import db, errors, sql, steps

logger = logging.getLogger(__name__)

# A row of the log: key, sequence, kind, digest, statement, when it is made, hash of the entry before, its own.
type _Entry = tuple[int, int, str, bytes, str, datetime.datetime, bytes, bytes]


class UnableToSign(errors.UnableTo):
    """The key does not sign this, now or ever."""

    status = 403


@db.transaction
def sign(*, key_id: int, intent: intents.Intent, ring: sealing.Ring, now: datetime.datetime) -> bytes:
    """Return r, s, v over the intent's digest, once the signature stands in the key's log.

    :raises queries.UnableToFindKey: no such key.
    :raises UnableToSign: `key_disabled`, `key_not_open`, `bad_policy`, or the code of the policy's refusal.
    """
    ready = queries.ask_ready(key_ids=[key_id])
    key = _admit(key_id=key_id, intent=intent, now=now)
    if isinstance(intent, intents.Sponsorship):
        _require(check_spending.check_sponsored(intent=intent, now=now), key=key, intent=intent)
    signature, entry = _make(key=key, ready=ready.get(keys=[key]), intent=intent, ring=ring, now=now)
    _log([entry])
    return signature


@db.transaction
def sign_sponsored(
    *,
    sponsor_key_id: int,
    sponsorship: intents.Sponsorship,
    key_id: int,
    entry_point: bytes,
    ring: sealing.Ring,
    now: datetime.datetime,
) -> tuple[bytes, bytes]:
    """Return the sponsor's r, s, v for an operation, and those of another key for the operation that is so sponsored.

    It is two signatures as `sign` makes them, each under its own key's rules and in its own log, or none. What the
    other key may do is judged first, with an empty signature in the sponsor's place, so that the sponsor's key, which
    all payments share, is locked briefly.

    :raises queries.UnableToFindKey: as `sign`.
    :raises UnableToSign: as `sign`.
    """
    wish = _sponsored(sponsorship, entry_point=entry_point, leave=bytes(words.SIGNATURE_BYTES))
    key = _admit(key_id=key_id, intent=wish, now=now)
    asked = queries.ask_ready(key_ids=[sponsor_key_id, key_id])
    sponsor = _admit(key_id=sponsor_key_id, intent=sponsorship, now=now)
    ready = asked.get(keys=[sponsor, key])
    leave, first = _make(key=sponsor, ready=ready, intent=sponsorship, ring=ring, now=now)
    wish = _sponsored(sponsorship, entry_point=entry_point, leave=leave)
    signature, second = _make(key=key, ready=ready, intent=wish, ring=ring, now=now)
    _log([first, second])
    return leave, signature


def _sponsored(wish: intents.Sponsorship, /, *, entry_point: bytes, leave: bytes) -> intents.UserOperation:
    operation = paymaster.sponsored(operation=wish.operation, sponsorship=wish.sponsorship, sponsor_signature=leave)
    return intents.UserOperation(chain_id=wish.chain_id, entry_point=entry_point, operation=operation)


def _admit(*, key_id: int, intent: intents.Intent, now: datetime.datetime) -> models.SealedKey:
    """Lock a key and see that it may sign this now."""
    place = queries.ask_place(account=intent.operation.sender) if isinstance(intent, intents.UserOperation) else None
    key = queries.lock_key(key_id=key_id)
    if key.disabled_at is not None:
        raise UnableToSign("The key is disabled.", code="key_disabled")
    try:
        policy = policies.parse(purpose=key.purpose, value=key.policy)
    except ValueError as error:
        raise UnableToSign(str(error), code="bad_policy") from None
    verdict = policy.check(intent=intent, address=words.parse_address(str(key.address)), timestamp=int(now.timestamp()))
    if isinstance(verdict, policies.Allowed) and isinstance(intent, intents.SessionInstall):
        verdict = _check_consent(key=key, intent=intent)
    if isinstance(verdict, policies.Allowed):
        verdict = check_control.check(key=key, policy=policy, intent=intent, now=now)
    if isinstance(verdict, policies.Allowed):
        verdict = check_guardian.check(key=key, policy=policy, intent=intent, now=now)
    if isinstance(verdict, policies.Allowed):
        verdict = check_refill.check(key=key, policy=policy, intent=intent, now=now)
    if isinstance(verdict, policies.Allowed):
        verdict = check_deployer.check(key=key, policy=policy, intent=intent, now=now)
    if isinstance(verdict, policies.Allowed):
        verdict = check_spending.check(key=key, policy=policy, intent=intent, place=place, now=now)
    _require(verdict, key=key, intent=intent)
    return key


def _require(verdict: policies.Verdict, /, *, key: models.SealedKey, intent: intents.Intent) -> None:
    if isinstance(verdict, policies.Denied):
        logger.warning("refused to sign: key=%s kind=%s code=%s", key.pk, intent.kind, verdict.code)
        raise UnableToSign(verdict.reason, code=verdict.code)


def _make(
    *,
    key: models.SealedKey,
    ready: Mapping[int, queries.Ready],
    intent: intents.Intent,
    ring: sealing.Ring,
    now: datetime.datetime,
) -> tuple[bytes, _Entry]:
    """Sign with a key that was admitted; return the signature, and what is to stand in its log before it is told."""
    try:
        digest = intent.digest()
    except ValueError as error:
        raise UnableToSign(str(error), code="bad_policy") from None
    try:
        last = _find(key, ready)
        signature = ring.open(seal=last.seal, binding=key.binding).sign(digest=digest)
    except sealing.UnableToOpenSeal as error:
        logger.critical("sealed key does not open: key=%s reason=%s", key.pk, error)
        raise UnableToSign(str(error), code="key_not_open") from None
    entry = _entry(key=key, last=last, kind=intent.kind, digest=digest, statement=_statement(intent), now=now)
    operation = f"0x{digest.hex()}" if isinstance(intent, intents.UserOperation) else None
    steps.note("signed", operation=operation, key=key.pk, kind=intent.kind)
    return signature, entry


def _find(key: models.SealedKey, ready: Mapping[int, queries.Ready], /) -> queries.Ready:
    if key.pk not in ready:
        raise sealing.UnableToOpenSeal("The key's sealed secret is gone.")
    return ready[key.pk]


def _check_consent(*, key: models.SealedKey, intent: intents.SessionInstall) -> policies.Verdict:
    """Say whether the customer agreed to exactly this session, and to no other by the same words."""
    consent = models.Consent.objects.filter(key=key, digest="0x" + intent.consent.hex()).first()
    if consent is None or consents.digest(terms=consent.terms) != intent.consent:
        return policies.Denied("unknown_consent", "The customer's consent to this is not on record.")
    other = consents.difference(terms=consent.terms, policy=intent.policy)
    if other:
        return policies.Denied("other_terms", f"The customer agreed to another {other}.")
    signed = models.SignatureLog.objects.filter(
        key=key, kind=intent.kind, statement__consent="0x" + intent.consent.hex()
    )
    if signed.exclude(digest="0x" + intent.digest().hex()).exists():
        return policies.Denied("consent_used", "This consent let another session in already.")
    return policies.Allowed()


def _entry(
    *,
    key: models.SealedKey,
    last: queries.Ready,
    kind: str,
    digest: bytes,
    statement: Mapping[str, Any],
    now: datetime.datetime,
) -> _Entry:
    sequence = last.sequence + 1
    hash_ = chain.link(
        previous_hash=last.hash,
        address=str(key.address),
        sequence=sequence,
        kind=kind,
        digest="0x" + digest.hex(),
        statement=statement,
        made_at=now,
    )
    previous = bytes.fromhex(last.hash[2:])
    return key.pk, sequence, kind, digest, json.dumps(statement), now, previous, bytes.fromhex(hash_[2:])


def _log(entries: Sequence[_Entry]) -> None:
    """Write entries with the transaction's COMMIT."""
    rows = ", ".join([_ROW] * len(entries))
    sql.later(_INSERT + rows, [value for entry in entries for value in entry])


_INSERT = """
    INSERT INTO custody_signaturelog (key_id, sequence, kind, digest, statement, made_at, previous_hash, hash) VALUES
"""
_ROW = "(%s, %s, %s, %s, %s::jsonb, %s, %s, %s)"


def _statement(intent: intents.Intent) -> dict[str, Any]:
    """Return the wish for the log; a bundle's calldata, which stands in full with the relayer, by its hash."""
    statement = intent.to_json()
    if isinstance(intent, intents.Transaction):
        statement["data"] = "0x" + words.keccak(intent.transaction.data).hex()
    return statement
