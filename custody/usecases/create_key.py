"""A new key, in the signer: made, sealed and stored without ever being in clear outside of this process."""

import datetime
from collections.abc import Mapping
from typing import Any

from contracts import deployments
from contracts.bindings import accounts, words
from custody import models
from custody.adapters import backends
from custody.domain import policies, sealing
from openvpp.core import db, errors

_OWNERS = frozenset(
    {
        models.SealedKey.Purpose.WALLET_OWNER,
        models.SealedKey.Purpose.TREASURY_OWNER,
        models.SealedKey.Purpose.GUARDIAN,
    }
)


class UnableToCreateKey(errors.UnableTo):
    """The policy is none, or the subject has a key with another one."""

    status = 422


@db.transaction
def create_key(
    *, purpose: str, subject: str, policy: Mapping[str, Any], ring: sealing.Ring, now: datetime.datetime
) -> models.SealedKey:
    """Return the subject's key, made now if there is none.

    Owners' policies name the `salt` of their account; its address, which follows from the new key, is added here. The
    policy of an owner that is to follow another is `{"follows": <subject of that key>}`: it is that key's own.

    :raises UnableToCreateKey: a malformed policy (`bad_policy`), or another key under this subject (`subject_taken`).
    """
    existing = models.SealedKey.objects.filter(subject=subject).first()
    if existing is not None:
        return _same(existing=existing, purpose=purpose, policy=policy)
    secret, address = backends.make(purpose=purpose, label=subject)
    sealed_policy = _complete(purpose=purpose, policy=policy, address=address)
    binding = sealing.Binding(purpose=purpose, subject=subject, policy=sealed_policy, address=address)
    seal = ring.seal(secret=secret, binding=binding)
    row = models.SealedKey(
        purpose=purpose,
        subject=subject,
        policy=sealed_policy,
        address=address,
        key_encryption_key_id=seal.key_encryption_key_id,
        created_at=now,
    )
    models.SealedKey.objects.bulk_create([row], ignore_conflicts=True)
    made = models.SealedKey.objects.get(subject=subject)
    if made.address == address:
        models.SealedSecret.objects.create(key=made, **models.SealedSecret.columns(seal))
    return _same(existing=made, purpose=purpose, policy=policy)


def _complete(*, purpose: str, policy: Mapping[str, Any], address: str) -> dict[str, Any]:
    try:
        given = dict(policy)
        if purpose in _OWNERS:
            follows = given.pop("follows", None)
            if follows is not None:
                return _successor(of=str(follows), purpose=purpose)
            deployment = deployments.load(chain_id=int(given["chain_id"]))
            account = accounts.account_address(
                factory=deployment.account_factory,
                implementation=deployment.account_implementation,
                owner=words.parse_address(address),
                salt=bytes.fromhex(str(given["salt"]).removeprefix("0x")),
            )
            given["account"] = "0x" + account.hex()
        return policies.parse(purpose=purpose, value=given).to_json()
    except (KeyError, ValueError) as error:
        raise UnableToCreateKey(f"No policy for a {purpose} key: {error}", code="bad_policy") from None


def _successor(*, of: str, purpose: str) -> dict[str, Any]:
    """Return the policy of the key that owns an account now, which the key after it takes over."""
    present = models.SealedKey.objects.filter(subject=of, purpose=purpose, disabled_at__isnull=True).first()
    if present is None or purpose != models.SealedKey.Purpose.WALLET_OWNER:
        raise UnableToCreateKey(f"{of} owns no account.", code="bad_policy")
    return dict(present.policy)


def _same(*, existing: models.SealedKey, purpose: str, policy: Mapping[str, Any]) -> models.SealedKey:
    if "follows" in policy:
        followed = models.SealedKey.objects.get(subject=str(policy["follows"]), purpose=purpose)
        policy = {"account": followed.policy["account"]}
    wanted = {name: value.lower() if isinstance(value, str) else value for name, value in policy.items()}
    if existing.purpose != purpose or not wanted.items() <= existing.policy.items():
        raise UnableToCreateKey(f"{existing.subject} has a key with another policy.", code="subject_taken")
    return existing
