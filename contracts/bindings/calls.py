"""Sessions that make other calls than paying bills: policies, rules, proofs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from contracts.bindings import sessions, words

_POLICY = b"address key,uint40 startsAt,uint40 endsAt,uint32 maxCalls,uint48 salt,bytes32 rules"
_SESSION_TYPEHASH = words.keccak(b"CallSession(" + _POLICY + b")")
_INSTALL_TYPEHASH = words.keccak(b"CallSessionInstall(" + _POLICY + b",bytes32 consent)")
_POLICY_ABI = "(address,uint40,uint40,uint32,uint48,bytes32)"
_RULE_ABI = "(address,bytes4,uint256,(uint256,uint256,uint256)[])"
_INSTALL = words.selector(f"installCallSession({_POLICY_ABI},bytes)")
_RENOUNCE = words.selector(f"renounceCallSession({_POLICY_ABI})")
_CALL = words.selector(f"callBySession({_POLICY_ABI},{_RULE_ABI},bytes32[],uint256,bytes)")
INSTALLED = f"CallSessionInstalled(bytes32,address,bytes32,{_POLICY_ABI})"
"""The event that tells of a new session; its first topic is the session's id."""
_WORD_BYTES = 32
_MAX_UNITS = 2**96 - 1

# How many parties come before the amount.
_MOVING = {
    words.selector("transfer(address,uint256)"): 1,
    words.selector("approve(address,uint256)"): 1,
    words.selector("increaseAllowance(address,uint256)"): 1,
    words.selector("transferFrom(address,address,uint256)"): 2,
}
_NEVER_RULED = frozenset(
    words.selector(signature)
    for signature in (
        "safeTransferFrom(address,address,uint256)",
        "safeTransferFrom(address,address,uint256,bytes)",
        "setApprovalForAll(address,bool)",
        "safeTransferFrom(address,address,uint256,uint256,bytes)",
        "safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)",
        "send(address,uint256,bytes)",
        "authorizeOperator(address)",
        "transferAndCall(address,uint256)",
        "transferAndCall(address,uint256,bytes)",
        "approveAndCall(address,uint256)",
        "approveAndCall(address,uint256,bytes)",
        "burn(uint256)",
    )
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WordBound:
    """Least and most, inclusive, of the word at `index` behind a call's selector."""

    index: int
    least: int
    most: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CallRule:
    """One kind of call that a session may make, with at most `max_value_wei` of native coin each."""

    target: bytes
    selector: bytes
    max_value_wei: int = 0
    bounds: tuple[WordBound, ...] = ()

    def encoded(self) -> bytes:
        """Return it as an ABI tuple."""
        bounds = [words.uint(b.index) + words.uint(b.least) + words.uint(b.most) for b in self.bounds]
        parts = (
            words.address(self.target),
            words.left_aligned(self.selector, length=4),
            words.uint(self.max_value_wei),
            words.array(bounds),
        )
        return words.arguments(parts)

    def leaf(self) -> bytes:
        """Return its leaf in a policy's tree."""
        return words.keccak(words.keccak(words.uint(32) + self.encoded()))

    def allows(self, *, value_wei: int, data: bytes) -> bool:
        """Return whether it lets a call through, as the account decides."""
        arguments = data[4:]
        if len(data) < len(self.selector) or data[:4] != self.selector or value_wei > self.max_value_wei:
            return False
        return all(
            bound.index < len(arguments) // _WORD_BYTES
            and bound.least <= words.read_uint(arguments, _WORD_BYTES * bound.index) <= bound.most
            for bound in self.bounds
        )

    def keeps_tokens(self) -> bool:
        """Return whether it says to whom tokens go and how many at most; true of what moves none that is known."""
        if self.selector not in _MOVING:
            return self.selector not in _NEVER_RULED
        parties = _MOVING[self.selector]
        fixed = {bound.index for bound in self.bounds if bound.least == bound.most}
        bounded = {bound.index for bound in self.bounds if bound.most <= _MAX_UNITS}
        return fixed.issuperset(range(parties)) and parties in bounded


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CallPolicy:
    """What a session key may call: `max_calls` at most within `[starts_at, ends_at)`, by rules of the root `rules`."""

    key: bytes
    starts_at: int
    ends_at: int
    max_calls: int
    salt: int
    rules: bytes

    def packed(self) -> bytes:
        """Return its six ABI words.

        :raises ValueError: if a field does not fit.
        """
        return b"".join(
            (
                words.address(self.key),
                words.uint(self.starts_at, bits=40),
                words.uint(self.ends_at, bits=40),
                words.uint(self.max_calls, bits=32),
                words.uint(self.salt, bits=48),
                words.exactly(self.rules, words.HASH_BYTES, "a root of rules"),
            )
        )


def root_of(*, rules: Sequence[CallRule]) -> bytes:
    """Return the root of the rules' tree: neighbours hashed in order of value, an odd one carried up."""
    level = [rule.leaf() for rule in rules]
    while len(level) > 1:
        level = _up(level)
    return level[0]


def proof_of(*, rules: Sequence[CallRule], which: int) -> tuple[bytes, ...]:
    """Return the Merkle proof of one of the rules."""
    level, proof = [rule.leaf() for rule in rules], []
    while len(level) > 1:
        if which ^ 1 < len(level):
            proof.append(level[which ^ 1])
        level, which = _up(level), which // 2
    return tuple(proof)


def session_id(*, policy: CallPolicy) -> bytes:
    """Return the identity of the session within its account."""
    return words.keccak(_SESSION_TYPEHASH + policy.packed())


def install_struct_hash(*, policy: CallPolicy, consent: bytes) -> bytes:
    """Return the EIP-712 struct hash of the installation of a policy to which a customer consented."""
    return words.keccak(_INSTALL_TYPEHASH + policy.packed() + words.exactly(consent, words.HASH_BYTES, "a consent"))


def session_install_digest(*, policy: CallPolicy, consent: bytes, chain_id: int, account: bytes) -> bytes:
    """Return the digest that the account's owner signs to install the session (EIP-712)."""
    domain = sessions.account_domain(chain_id=chain_id, account=account)
    return words.typed_data_hash(domain=domain, struct_hash=install_struct_hash(policy=policy, consent=consent))


def encode_install_session(*, policy: CallPolicy, leave: bytes) -> bytes:
    """Return the account calldata that installs the session, for anybody to send."""
    return _INSTALL + words.arguments((policy.packed(), words.dynamic(sessions.checked_leave(leave))))


def encode_renounce_session(*, policy: CallPolicy) -> bytes:
    """Return the account calldata by which the session's key ends it."""
    return _RENOUNCE + policy.packed()


def encode_call(*, policy: CallPolicy, rules: Sequence[CallRule], which: int, data: bytes, value_wei: int = 0) -> bytes:
    """Return the account calldata that makes a call under one of the rules, for an operation that the key signs."""
    parts = (
        policy.packed(),
        words.Tail(rules[which].encoded()),
        words.array(proof_of(rules=rules, which=which)),
        words.uint(value_wei),
        words.dynamic(data),
    )
    return _CALL + words.arguments(parts)


def _up(level: Sequence[bytes]) -> list[bytes]:
    pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
    return [words.keccak(b"".join(sorted(pair))) if len(pair) == 2 else pair[0] for pair in pairs]  # noqa: PLR2004 - a pair
