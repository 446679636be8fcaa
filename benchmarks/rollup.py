"""What a transaction costs on a rollup: its compressed size (FastLZ, as Fjord reckons) and a price in cents."""

import dataclasses

_FJORD_INTERCEPT = -42_585_600
_FJORD_PER_BYTE = 836_500
_FJORD_LEAST = 100_000_000
_HASH_BITS = 0x1FFF
_LIMIT = 13
_RUN = 32
_LONGEST_MATCH = 262


@dataclasses.dataclass(frozen=True)
class Chain:
    """Stated prices: gas in gwei, data in gwei per estimated rollup byte, the native coin in dollars."""

    name: str
    gas_price_gwei: float
    data_price_gwei: float
    native_usd: float

    def cost_cents(self, *, gas: float, rollup_bytes: float) -> float:
        """Return what gas and bytes cost in cents."""
        return (gas * self.gas_price_gwei + rollup_bytes * self.data_price_gwei) * 1e-9 * self.native_usd * 100


# Ethereum carries calldata in its gas; on the rollups 16 gas of L1 a byte at 1 gwei, a tenth of it as blobs.
CHAINS = (
    Chain("Ethereum", 1.0, 0.0, 3_000.0),
    Chain("Base", 0.005, 0.16, 3_000.0),
    Chain("Arbitrum", 0.01, 0.16, 3_000.0),
)


def fjord_bytes(transaction: bytes) -> float:
    """Return the size that Fjord estimates a transaction to take in a batch."""
    return max(_FJORD_LEAST, _FJORD_INTERCEPT + _FJORD_PER_BYTE * fastlz_length(transaction)) / 1e6


def fastlz_length(data: bytes) -> int:
    """Return the length of `data` compressed by FastLZ level 1, which Fjord's formula is fitted to."""
    table = [0] * (_HASH_BITS + 1)
    limit = max(0, len(data) - _LIMIT)
    total, anchor, place = 0, 0, 2
    while place < limit:
        reference, place = _next_match(data, table, place, limit)
        if reference < 0:
            break
        total += _literals(place - anchor)
        length = _matching(data, reference + 3, place + 3, limit + 9)
        total += _match(length)
        for at in (place + length, place + length + 1):
            table[_hash(_three(data, at))] = at
        place = anchor = place + length + 2
    return total + _literals(len(data) - anchor)


def _next_match(data: bytes, table: list[int], place: int, limit: int) -> tuple[int, int]:
    """Return the next repeated three bytes, as reference and place; reference -1 if there are none."""
    while place < limit:
        sequence = _three(data, place)
        slot = _hash(sequence)
        reference, table[slot] = table[slot], place
        if place - reference <= _HASH_BITS and reference < place and _three(data, reference) == sequence:
            return reference, place
        place += 1
    return -1, place


def _three(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 3], "little")


def _hash(value: int) -> int:
    return ((2_654_435_769 * value & 0xFFFFFFFF) >> 19) & _HASH_BITS


def _matching(data: bytes, one: int, two: int, end: int) -> int:
    """Return how many bytes match, the first that does not counted in, as the original does."""
    length = 0
    while two + length < end:
        length += 1
        if data[one + length - 1] != data[two + length - 1]:
            break
    return length


def _literals(length: int) -> int:
    whole, rest = divmod(length, _RUN)
    return 33 * whole + (rest + 1 if rest else 0)


def _match(length: int) -> int:
    whole, rest = divmod(length - 1, _LONGEST_MATCH)
    return 3 * whole + (3 if rest >= 6 else 2)
