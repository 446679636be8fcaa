"""Reads of keys, and the lock under which they sign."""

import dataclasses
from collections.abc import Iterable

from django.db.models import Q, QuerySet

from contracts.bindings import sessions, words
from custody import models
from custody.domain import chain, policies, sealing
from customers import models as customer_models
from openvpp.core import db, errors, sql


class UnableToFindKey(errors.NotFound):
    """No key of that id or subject."""


def get_key(*, key_id: int) -> models.SealedKey:
    """Return a key's row.

    :raises UnableToFindKey: there is none.
    """
    key = models.SealedKey.objects.filter(pk=key_id).first()
    if key is None:
        raise UnableToFindKey("No such key.")
    return key


def get_key_of(*, subject: str) -> models.SealedKey:
    """Return the key of a subject.

    :raises UnableToFindKey: there is none.
    """
    key: models.SealedKey | None = _OF_SUBJECT.first(subject=subject)
    if key is None:
        raise UnableToFindKey(f"No key for {subject}.")
    return key


_OF_SUBJECT = sql.Read(lambda: models.SealedKey.objects.filter(subject=sql.Slot("subject")))


def is_our_key(*, address: str) -> bool:
    """Say whether a key that is sealed here has this address."""
    return models.SealedKey.objects.filter(address=address).exists()


def session_policy(*, key: models.SealedKey) -> sessions.SessionPolicy:
    """Return the policy that accounts install for a session key, exactly as it is sealed.

    :raises policies.UnableToReadPolicy: it is not a session key's.
    """
    policy = policies.Session.parse(key.policy)
    return policy.on_chain(key=words.parse_address(str(key.address)))


_CUSTOMERS = "wallet:customer:"


def owner_keys_sealed_for(*, customer_id: int, payee: str) -> list[int]:
    """Return the ids of the keys that own, or are to own, a customer's wallet and let it pay this address."""
    subject = f"{_CUSTOMERS}{customer_id}"
    keys = _sealed_for(payee=payee).filter(Q(subject=subject) | Q(subject__startswith=f"{subject}:"))
    return list(keys.order_by("pk").values_list("pk", flat=True))


def customers_sealed_for(*, utility_id: int, payee: str) -> list[int]:
    """Return the ids of a utility's customers the keys of whose wallets let them pay this address."""
    subjects = _sealed_for(payee=payee).filter(subject__startswith=_CUSTOMERS).values_list("subject", flat=True)
    found = {int(subject.split(":")[2]) for subject in subjects}
    rows = customer_models.Customer.objects.of_utility(utility_id).values_list("pk", flat=True)
    return sorted(found & set(rows))


def _sealed_for(*, payee: str) -> "QuerySet[models.SealedKey]":
    return models.SealedKey.objects.filter(
        purpose=models.SealedKey.Purpose.WALLET_OWNER, disabled_at__isnull=True, policy__payee=payee.lower()
    )


def guardian_subject(*, utility_id: int) -> str:
    """Return under which subject the key of a utility's guardian wallet is sealed."""
    return f"wallet:guardian:{utility_id}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Whose account it is: a customer's, or a program's treasury by its label; and what its utility says of itself."""

    utility_id: int
    treasury: bytes
    time_zone: str
    customer_id: int | None
    program: str


@dataclasses.dataclass(frozen=True, slots=True)
class AskedPlace:
    """Whose account it is, once that was asked."""

    question: sql.Question

    def get(self) -> Place | None:
        """Return whose account it is by the key that owns it, or None when no key here does."""
        subject, customer_id, utility_id, treasury, time_zone = self.question.first() or [None] * 5
        if utility_id is None:
            return None
        return Place(
            utility_id=utility_id,
            treasury=treasury,
            time_zone=time_zone,
            customer_id=customer_id,
            program="" if customer_id is not None else "".join(subject.split(":", 3)[3:]),
        )


def ask_place(*, account: bytes) -> AskedPlace:
    """Ask whose account this is, with the next statement."""
    return AskedPlace(sql.ask(_PLACE, ["0x" + account.hex()]))


def get_place(*, account: bytes) -> Place | None:
    """Return whose account this is by the key that owns it, or None when no key here does."""
    return ask_place(account=account).get()


# The planner may look at a number before it looks at the condition beside it, but not before that of a CASE.
_PLACE = """
    SELECT owner.subject, customer.id, utility.id, utility.treasury_address, utility.time_zone
    FROM custody_sealedkey AS owner
    LEFT JOIN customers_customer AS customer ON customer.id = CASE
        WHEN owner.subject ~ '^wallet:customer:[0-9]{1,18}(:|$)' THEN split_part(owner.subject, ':', 3)::bigint
    END
    LEFT JOIN customers_utility AS utility ON utility.id = CASE
        WHEN owner.subject ~ '^wallet:treasury:[0-9]{1,18}(:|$)' THEN split_part(owner.subject, ':', 3)::bigint
        ELSE customer.utility_id
    END
    WHERE owner.policy -> 'account' = to_jsonb(%s::text) AND owner.purpose IN ('wallet_owner', 'treasury_owner')
    ORDER BY owner.id
"""


def is_in_custody(*, account: bytes) -> bool:
    """Say whether a key that is sealed here, and signs, owns an account."""
    owners = models.SealedKey.objects.filter(policy__account="0x" + account.hex(), disabled_at__isnull=True)
    return owners.filter(purpose=models.SealedKey.Purpose.WALLET_OWNER).exists()


@db.transaction_required
def lock_key(*, key_id: int) -> models.SealedKey:
    """Lock a key's row, so that it is neither disabled nor used elsewhere until the transaction ends.

    :raises UnableToFindKey: there is none.
    """
    # The secret is read apart, under the lock: a join would show it as it was before a rewrap that was waited for.
    key: models.SealedKey | None = _LOCKED.first(key_id=key_id)
    if key is None:
        raise UnableToFindKey("No such key.")
    return key


_LOCKED = sql.Read(lambda: models.SealedKey.objects.select_for_update(no_key=True).filter(pk=sql.Slot("key_id")))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """What a locked key signs with: its seal, and sequence and hash of its log's last entry (0 and the genesis)."""

    seal: sealing.Seal
    sequence: int
    hash: str


@dataclasses.dataclass(frozen=True, slots=True)
class AskedReady:
    """What keys sign with, once that was asked."""

    question: sql.Question

    def get(self, *, keys: Iterable[models.SealedKey]) -> dict[int, Ready]:
        """Return what locked keys sign with, by their ids; a key whose sealed secret is gone is left out."""
        named = {key.pk: key for key in keys}
        return {
            key_id: Ready(
                seal=named[key_id].seal_of(*parts),
                sequence=sequence or 0,
                hash=f"0x{last.hex()}" if last is not None else chain.GENESIS,
            )
            for key_id, *parts, sequence, last in self.question.all()
        }


@db.transaction_required
def ask_ready(*, key_ids: Iterable[int]) -> AskedReady:
    """Ask what keys sign with, right after the next statement: the one that locks the last of them."""
    return AskedReady(sql.ask(_READY, [list(key_ids)]))


_READY = """
    SELECT secret.key_id, secret.ciphertext, secret.nonce, secret.wrapped_data_key, secret.wrap_nonce,
        link.sequence, link.hash
    FROM custody_sealedsecret AS secret
    LEFT JOIN LATERAL (
        SELECT sequence, hash FROM custody_signaturelog WHERE key_id = secret.key_id ORDER BY sequence DESC LIMIT 1
    ) AS link ON true
    WHERE secret.key_id = ANY(%s::bigint[])
"""


def get_last_link(*, key_id: int) -> tuple[int, str] | None:
    """Return sequence and hash of the last entry of a key's signature log, or None before the first."""
    last: models.SignatureLog | None = models.SignatureLog.objects.filter(key=key_id).order_by("-sequence").first()
    return None if last is None else (last.sequence, str(last.hash))


def first_broken_link(*, key: models.SealedKey) -> int | None:
    """Return the sequence of the first entry of a key's signature log that does not follow, or None."""
    previous, expected = chain.GENESIS, 1
    for entry in models.SignatureLog.objects.filter(key=key).order_by("sequence").iterator():
        computed = chain.link(
            previous_hash=previous,
            address=str(key.address),
            sequence=entry.sequence,
            kind=entry.kind,
            digest=str(entry.digest),
            statement=entry.statement,
            made_at=entry.made_at,
        )
        if entry.sequence != expected or entry.previous_hash != previous or entry.hash != computed:
            return expected
        previous, expected = str(entry.hash), expected + 1
    return None
