"""Session policies: packing, identity, what is signed to install one and to pay with one."""

from __future__ import annotations

import dataclasses
import functools

from contracts.bindings import passkeys, words

MIN_PERIOD_SECONDS = 3600
POLICY_BYTES = 160
LEAVE_BYTES = words.HASH_BYTES + words.SIGNATURE_BYTES

_SIGNED_BY_OWNER = b"\x00"
_SIGNED_BY_SESSION = b"\x01"
_MAX_PERIODS = (1 << 24) - 1
_INSTALL_TYPEHASH = words.keccak(
    b"SessionInstall(address key,address payee,address token,address feeToken,uint96 maxPerPayment,uint96 maxPerPeriod,"
    b"uint96 maxTotal,uint96 maxFee,uint96 maxFeeInFeeToken,uint40 startsAt,uint40 endsAt,uint32 periodSeconds,"
    b"uint48 salt,bytes32 consent)"
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SessionPolicy:
    """What a session key may pay.

    Limits are inclusive and in base units; those without a named token are in `token`
    and count amount and fee, when the fee is in `token`, together. Times are Unix seconds, `[starts_at, ends_at)`.

    Period k is `[starts_at + k * period_seconds, starts_at + (k + 1) * period_seconds)`; zero `period_seconds` makes
    the whole life one period. `fee_token` is a second token that the network fee may be paid in (zero for none).
    `salt` tells equal policies apart: a revoked one can never be installed again.
    """

    key: bytes
    payee: bytes
    token: bytes
    fee_token: bytes = words.ZERO_ADDRESS
    max_per_payment_units: int
    max_per_period_units: int
    max_total_units: int
    max_fee_units: int
    max_fee_in_fee_token_units: int = 0
    starts_at: int
    ends_at: int
    period_seconds: int
    salt: int

    def is_enforceable(self) -> bool:
        """Return whether an account would install it: parties named, times forward, periods countable."""
        if words.ZERO_ADDRESS in (self.key, self.payee, self.token):
            return False
        if self.ends_at <= self.starts_at or self.fee_token == self.token:
            return False
        if self.period_seconds == 0:
            return True
        periods = (self.ends_at - self.starts_at) // self.period_seconds
        return self.period_seconds >= MIN_PERIOD_SECONDS and periods <= _MAX_PERIODS

    def period_at(self, *, timestamp: int) -> int:
        """Return the period that a Unix time within the session's life falls into, counted from zero."""
        return (timestamp - self.starts_at) // self.period_seconds if self.period_seconds else 0


def pack(*, policy: SessionPolicy) -> bytes:
    """Return the policy's five words, as calls carry it.

    :raises ValueError: if a field does not fit.
    """
    joined = (
        (policy.key, policy.max_per_payment_units),
        (policy.payee, policy.max_per_period_units),
        (policy.token, policy.max_total_units),
        (policy.fee_token, policy.max_fee_in_fee_token_units),
    )
    sized = (
        (policy.max_fee_units, 12),
        (policy.starts_at, 5),
        (policy.ends_at, 5),
        (policy.period_seconds, 4),
        (policy.salt, 6),
    )
    try:
        return b"".join(
            words.exactly(who, 20, "an address") + units.to_bytes(12, "big") for who, units in joined
        ) + b"".join(value.to_bytes(size, "big") for value, size in sized)
    except OverflowError as error:
        message = "a field of the session policy does not fit in its place"
        raise ValueError(message) from error


def unpack(*, packed: bytes) -> SessionPolicy:
    """Return the policy that five words describe.

    :raises ValueError: if they are not five words.
    """
    words.exactly(packed, POLICY_BYTES, "a packed session policy")
    number = int.from_bytes
    return SessionPolicy(
        key=packed[0:20],
        max_per_payment_units=number(packed[20:32]),
        payee=packed[32:52],
        max_per_period_units=number(packed[52:64]),
        token=packed[64:84],
        max_total_units=number(packed[84:96]),
        fee_token=packed[96:116],
        max_fee_in_fee_token_units=number(packed[116:128]),
        max_fee_units=number(packed[128:140]),
        starts_at=number(packed[140:145]),
        ends_at=number(packed[145:150]),
        period_seconds=number(packed[150:154]),
        salt=number(packed[154:160]),
    )


def session_id(*, policy: SessionPolicy) -> bytes:
    """Return the identity of the session within its account: the hash of its packed policy."""
    return words.keccak(pack(policy=policy))


def session_install_digest(*, policy: SessionPolicy, consent: bytes, chain_id: int, account: bytes) -> bytes:
    """Return the digest that the account's owner signs to install the session (EIP-712).

    `consent` is the digest (32 bytes) of the frozen terms that the customer approved.
    """
    struct_hash = install_struct_hash(policy=policy, consent=consent)
    domain = account_domain(chain_id=chain_id, account=account)
    return words.typed_data_hash(domain=domain, struct_hash=struct_hash)


def install_struct_hash(*, policy: SessionPolicy, consent: bytes) -> bytes:
    """Return the EIP-712 struct hash of the installation of a policy to which a customer consented."""
    return words.keccak(
        b"".join(
            (
                _INSTALL_TYPEHASH,
                words.address(policy.key),
                words.address(policy.payee),
                words.address(policy.token),
                words.address(policy.fee_token),
                words.uint(policy.max_per_payment_units, bits=96),
                words.uint(policy.max_per_period_units, bits=96),
                words.uint(policy.max_total_units, bits=96),
                words.uint(policy.max_fee_units, bits=96),
                words.uint(policy.max_fee_in_fee_token_units, bits=96),
                words.uint(policy.starts_at, bits=40),
                words.uint(policy.ends_at, bits=40),
                words.uint(policy.period_seconds, bits=32),
                words.uint(policy.salt, bits=48),
                words.exactly(consent, words.HASH_BYTES, "a consent"),
            )
        )
    )


def encode_leave(*, consent: bytes, owner_signature: bytes) -> bytes:
    """Return an owner's leave to install a session: the consent, and their signature of `session_install_digest`."""
    return words.exactly(consent, words.HASH_BYTES, "a consent") + passkeys.checked(owner_signature)


def checked_leave(leave: bytes, /) -> bytes:
    """Return a leave.

    :raises ValueError: if it is none.
    """
    return encode_leave(consent=leave[: words.HASH_BYTES], owner_signature=leave[words.HASH_BYTES :])


def encode_session_signature(*, key_signature: bytes, leave: bytes | None = None) -> bytes:
    """Return a user operation's signature made by a session key over the operation's hash.

    `leave`, the owner's as `encode_leave` makes it, installs a session that is not installed yet; it does no harm
    afterwards.
    """
    return _SIGNED_BY_SESSION + join_signatures(key_signature=key_signature, leave=leave)


def join_signatures(*, key_signature: bytes, leave: bytes | None) -> bytes:
    """Return a session key's signature and the owner's leave, if there is one, in the form that tells them apart."""
    of_key = passkeys.checked(key_signature)
    install = b"" if leave is None else checked_leave(leave)
    if len(of_key) == words.SIGNATURE_BYTES and len(install) in (0, LEAVE_BYTES):
        return of_key + install
    return len(of_key).to_bytes(2, "big") + of_key + install


def split_signatures(joined: bytes, /) -> tuple[bytes, bytes | None]:
    """Return what `join_signatures` put together.

    :raises ValueError: if it is not of its form.
    """
    at = words.SIGNATURE_BYTES
    if len(joined) not in (at, at + LEAVE_BYTES):
        at = int.from_bytes(joined[:2], "big")
        joined = joined[2:]
    leave = joined[at:] or None
    return passkeys.checked(joined[:at]), leave if leave is None else checked_leave(leave)


def encode_owner_signature(*, owner_signature: bytes) -> bytes:
    """Return a user operation's signature made by the account's owner over the operation's hash."""
    return _SIGNED_BY_OWNER + passkeys.checked(owner_signature)


@functools.lru_cache(maxsize=4096)
def account_domain(*, chain_id: int, account: bytes) -> bytes:
    """Return the EIP-712 domain separator of an account."""
    return words.domain_separator(name="OpenVPP Account", version="1", chain_id=chain_id, verifying_contract=account)
