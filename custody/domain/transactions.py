"""EIP-1559 transactions: what is signed, and the raw form that is sent (EIP-2718 type 2, RLP)."""

import dataclasses
from collections.abc import Sequence

from contracts.bindings import words

_TYPE = b"\x02"
_RECOVERY_BASE = 27
_SHORT = 56


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A transaction without access list. Gas in units, prices and value in wei."""

    chain_id: int
    nonce: int
    max_priority_fee_per_gas_wei: int
    max_fee_per_gas_wei: int
    gas_limit: int
    to: bytes
    value_wei: int
    data: bytes

    @property
    def max_cost_wei(self) -> int:
        """Return the most that it may cost its sender."""
        return self.gas_limit * self.max_fee_per_gas_wei + self.value_wei

    def digest(self) -> bytes:
        """Return what the sender signs."""
        return words.keccak(_TYPE + _list(self._fields()))

    def signed(self, *, signature: bytes) -> bytes:
        """Return the raw transaction with the sender's r, s, v in it."""
        return _TYPE + _list(
            [
                *self._fields(),
                _integer(signature[64] - _RECOVERY_BASE),
                _integer(int.from_bytes(signature[:32], "big")),
                _integer(int.from_bytes(signature[32:64], "big")),
            ]
        )

    def _fields(self) -> list[bytes]:
        return [
            _integer(self.chain_id),
            _integer(self.nonce),
            _integer(self.max_priority_fee_per_gas_wei),
            _integer(self.max_fee_per_gas_wei),
            _integer(self.gas_limit),
            _string(words.exactly(self.to, words.ADDRESS_BYTES, "a receiver")),
            _integer(self.value_wei),
            _string(self.data),
            _list([]),
        ]


def _integer(value: int) -> bytes:
    return _string(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _string(value: bytes) -> bytes:
    if len(value) == 1 and value[0] < 0x80:  # noqa: PLR2004 - such a byte stands for itself
        return value
    return _header(len(value), 0x80) + value


def _list(items: Sequence[bytes]) -> bytes:
    body = b"".join(items)
    return _header(len(body), 0xC0) + body


def _header(length: int, base: int) -> bytes:
    if length < _SHORT:
        return bytes([base + length])
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([base + _SHORT - 1 + len(size)]) + size
