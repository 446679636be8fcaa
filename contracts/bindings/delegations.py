"""Authorisations of EIP-7702: an account without code says whose code it runs from now on."""

import dataclasses

import coincurve

from contracts.bindings import rlp, words

# What a transaction pays for each authorisation, used or not (EIP-7702, PER_EMPTY_ACCOUNT_COST).
GAS = 25_000
_MAGIC = b"\x05"
_DESIGNATOR = b"\xef\x01\x00"
_CHAIN_ID_BYTES, _NONCE_BYTES = 8, 8
BYTES = _CHAIN_ID_BYTES + words.ADDRESS_BYTES + _NONCE_BYTES + words.SIGNATURE_BYTES


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """One entry of an authorisation list. `chain_id` 0 is every chain; `signature` is r, s and the parity 0 or 1."""

    chain_id: int
    delegate: bytes
    nonce: int
    signature: bytes

    def digest(self) -> bytes:
        """Return what the account's key signs."""
        return words.keccak(_MAGIC + rlp.items(self._terms()))

    def authority(self) -> bytes:
        """Return the account that signed.

        :raises ValueError: it is no signature, or a malleable one.
        """
        checked = words.signature(self.signature)
        recoverable = checked[:64] + self.signature[64:]
        public = coincurve.PublicKey.from_signature_and_message(recoverable, self.digest(), hasher=None)
        return words.keccak(public.format(compressed=False)[1:])[12:]

    def encoded(self) -> bytes:
        """Return the entry as a transaction carries it."""
        r, s = (int.from_bytes(self.signature[i : i + 32]) for i in (0, 32))
        return rlp.items([*self._terms(), rlp.integer(self.signature[64]), rlp.integer(r), rlp.integer(s)])

    def pack(self) -> bytes:
        """Return the entry in BYTES bytes, to be kept."""
        return b"".join(
            (
                self.chain_id.to_bytes(_CHAIN_ID_BYTES),
                words.exactly(self.delegate, words.ADDRESS_BYTES, "a delegate"),
                self.nonce.to_bytes(_NONCE_BYTES),
                words.exactly(self.signature, words.SIGNATURE_BYTES, "a signature"),
            )
        )

    def _terms(self) -> list[bytes]:
        return [rlp.integer(self.chain_id), rlp.string(self.delegate), rlp.integer(self.nonce)]


def unpack(packed: bytes, /) -> Authorization:
    """Return the entry that `pack` wrote.

    :raises ValueError: it has another length, or its parity is neither 0 nor 1.
    """
    words.exactly(packed, BYTES, "an authorisation")
    delegate_from = _CHAIN_ID_BYTES
    nonce_from = delegate_from + words.ADDRESS_BYTES
    signature_from = nonce_from + _NONCE_BYTES
    if packed[-1] > 1:
        message = f"an authorisation's parity is 0 or 1, not {packed[-1]}"
        raise ValueError(message)
    return Authorization(
        chain_id=int.from_bytes(packed[:delegate_from]),
        delegate=packed[delegate_from:nonce_from],
        nonce=int.from_bytes(packed[nonce_from:signature_from]),
        signature=packed[signature_from:],
    )


def unpack_all(packed: bytes, /) -> tuple[Authorization, ...]:
    """Return the entries that were packed one after another.

    :raises ValueError: one has another length, or its parity is neither 0 nor 1.
    """
    return tuple(unpack(packed[i : i + BYTES]) for i in range(0, len(packed), BYTES))


def designator(delegate: bytes, /) -> bytes:
    """Return the code that an account has once it runs the delegate's."""
    return _DESIGNATOR + words.exactly(delegate, words.ADDRESS_BYTES, "a delegate")
