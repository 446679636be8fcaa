"""Transactions: what is signed, and the raw form that is sent (EIP-2718; type 2 of EIP-1559, type 4 of EIP-7702)."""

import dataclasses

from contracts.bindings import delegations, rlp, words

_DYNAMIC_FEE = b"\x02"
_SET_CODE = b"\x04"
_RECOVERY_BASE = 27


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A transaction without access list. Gas in units, prices and value in wei.

    With authorisations it is one of type 4, which sets their accounts' code before the call; without, of type 2.
    """

    chain_id: int
    nonce: int
    max_priority_fee_per_gas_wei: int
    max_fee_per_gas_wei: int
    gas_limit: int
    to: bytes
    value_wei: int
    data: bytes
    authorizations: tuple[delegations.Authorization, ...] = ()

    @property
    def max_cost_wei(self) -> int:
        """Return the most that it may cost its sender."""
        return self.gas_limit * self.max_fee_per_gas_wei + self.value_wei

    def digest(self) -> bytes:
        """Return what the sender signs."""
        return words.keccak(self._type() + rlp.items(self._fields()))

    def signed(self, *, signature: bytes) -> bytes:
        """Return the raw transaction with the sender's r, s, v in it."""
        return self._type() + rlp.items(
            [
                *self._fields(),
                rlp.integer(signature[64] - _RECOVERY_BASE),
                rlp.integer(int.from_bytes(signature[:32], "big")),
                rlp.integer(int.from_bytes(signature[32:64], "big")),
            ]
        )

    def _type(self) -> bytes:
        return _SET_CODE if self.authorizations else _DYNAMIC_FEE

    def _fields(self) -> list[bytes]:
        fields = [
            rlp.integer(self.chain_id),
            rlp.integer(self.nonce),
            rlp.integer(self.max_priority_fee_per_gas_wei),
            rlp.integer(self.max_fee_per_gas_wei),
            rlp.integer(self.gas_limit),
            rlp.string(words.exactly(self.to, words.ADDRESS_BYTES, "a receiver")),
            rlp.integer(self.value_wei),
            rlp.string(self.data),
            rlp.items([]),
        ]
        if self.authorizations:
            fields.append(rlp.items([each.encoded() for each in self.authorizations]))
        return fields
