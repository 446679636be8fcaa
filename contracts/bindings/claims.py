"""Payouts to claim: the tree of who is paid what, its proofs, and the calls of `PayoutClaims`."""

from __future__ import annotations

import dataclasses
import functools

from contracts.bindings import words

_OPEN = words.selector("open(bytes16,address,uint96,bytes32,uint48)")
_CLAIM = words.selector("claim(bytes32,uint256,address,uint256,bytes32[])")
_RETURN_LEFT = words.selector("returnLeft(bytes32)")
_IS_CLAIMED = words.selector("isClaimed(bytes32,uint256)")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What an account may claim, in base units of the round's token."""

    account: bytes
    amount_units: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Round:
    """A round of payouts: `claims[i]` is the leaf of index i, for one chain, one contract, one funder and name."""

    chain_id: int
    contract: bytes
    funder: bytes
    reference: bytes
    claims: tuple[Claim, ...]

    def __post_init__(self) -> None:
        if not self.claims:
            message = "a round needs somebody to pay"
            raise ValueError(message)

    @functools.cached_property
    def round_id(self) -> bytes:
        """Return the id that the contract knows the round by."""
        return round_id(funder=self.funder, reference=self.reference)

    @property
    def amount_units(self) -> int:
        """Return what all may claim together."""
        return sum(claim.amount_units for claim in self.claims)

    @functools.cached_property
    def root(self) -> bytes:
        """Return the root of the tree."""
        return self._nodes[0]

    def leaf(self, index: int, /) -> bytes:
        """Return the leaf of an index: hashed twice, so that no inner node passes for one."""
        claim = self.claims[index]
        inner = b"".join(
            (
                words.uint(self.chain_id),
                words.address(self.contract),
                self.round_id,
                words.uint(index),
                words.address(claim.account),
                words.uint(claim.amount_units),
            )
        )
        return words.keccak(words.keccak(inner))

    def proof(self, index: int, /) -> tuple[bytes, ...]:
        """Return the hashes beside the way from a leaf to the root, from below.

        :raises IndexError: if there is no such leaf.
        """
        if not 0 <= index < len(self.claims):
            message = f"the round has no leaf {index}"
            raise IndexError(message)
        place, proof = len(self._nodes) - 1 - index, []
        while place:
            proof.append(self._nodes[place + 1 if place % 2 else place - 1])
            place = (place - 1) // 2
        return tuple(proof)

    @functools.cached_property
    def _nodes(self) -> list[bytes]:
        """Return the tree as a heap: the children of node i are 2i + 1 and 2i + 2, leaf 0 is the last."""
        count = len(self.claims)
        nodes = [b""] * (count - 1) + [self.leaf(count - 1 - i) for i in range(count)]
        for place in range(count - 2, -1, -1):
            nodes[place] = words.keccak(b"".join(sorted(nodes[2 * place + 1 : 2 * place + 3])))
        return nodes


def round_id(*, funder: bytes, reference: bytes) -> bytes:
    """Return the id of a funder's round of a name."""
    return words.keccak(words.address(funder) + words.left_aligned(reference, length=words.REFERENCE_BYTES))


def encode_open(*, round_: Round, token: bytes, expires_at: int) -> bytes:
    """Return the calldata by which the funder opens a round, having allowed the contract the sum of it.

    :raises ValueError: if the sum is not below 2**96.
    """
    return b"".join(
        (
            _OPEN,
            words.left_aligned(round_.reference, length=words.REFERENCE_BYTES),
            words.address(token),
            words.uint(round_.amount_units, bits=96),
            round_.root,
            words.uint(expires_at, bits=48),
        )
    )


def encode_claim(*, round_: Round, index: int) -> bytes:
    """Return the calldata by which anybody has a leaf paid to the account that it names."""
    claim = round_.claims[index]
    parts = (
        round_.round_id,
        words.uint(index),
        words.address(claim.account),
        words.uint(claim.amount_units),
        words.array(round_.proof(index)),
    )
    return _CLAIM + words.arguments(parts)


def encode_return_left(*, round_id: bytes) -> bytes:
    """Return the calldata by which anybody sends what is left of a round that is over back to its funder."""
    return _RETURN_LEFT + words.exactly(round_id, words.HASH_BYTES, "a round's id")


def encode_is_claimed(*, round_id: bytes, index: int) -> bytes:
    """Return the calldata that asks whether a leaf was claimed."""
    return _IS_CLAIMED + words.exactly(round_id, words.HASH_BYTES, "a round's id") + words.uint(index)
