"""What a rollup charges beside gas for carrying a transaction's bytes to its parent chain.

Asked of an oracle contract of the OP stack's shape (`GasPriceOracle`) where `CHAIN_DATA_FEE_ORACLE` names one; chains
that price bytes within their gas need none. The fee is asked for a thousand bytes that nothing compresses, at most once
a second, and taken in proportion: never less than the real one.
"""

import functools
import math
import time

from django.conf import settings

from contracts.bindings import words
from openvpp.core import errors
from relayer.adapters import chain, rpc

_WORD_BYTES = 32
_GET_L1_FEE = words.selector("getL1Fee(bytes)")
_SAMPLE = b"".join(words.keccak(bytes([number])) for number in range(32))[:1_000]


def fee_wei(*, size_bytes: int) -> int:
    """Return the data fee of so many bytes of calldata, in wei; 0 on a chain without one.

    :raises errors.Unreachable: the node does not answer, or there is no such oracle.
    """
    if not settings.CHAIN_DATA_FEE_ORACLE:
        return 0
    return math.ceil(size_bytes * _sample_wei(settings.CHAIN_DATA_FEE_ORACLE, int(time.monotonic())) / len(_SAMPLE))


def gas(*, size_bytes: int) -> int:
    """Return the data fee of so many bytes as gas at the price of now, which `preVerificationGas` has to cover.

    :raises errors.Unreachable: the node does not answer, or there is no such oracle.
    """
    wei = fee_wei(size_bytes=size_bytes)
    return math.ceil(wei / chain.recent_gas_prices().expected_wei) if wei else 0


@functools.lru_cache(maxsize=2)
def _sample_wei(oracle: str, _second: int) -> int:
    data = _GET_L1_FEE + words.arguments((words.dynamic(_SAMPLE),))
    try:
        answer = chain.call(to=words.parse_address(oracle), data=data)
    except rpc.NodeRefused as refusal:
        raise errors.Unreachable(f"The oracle of data fees refuses: {refusal.reason}") from None
    if len(answer) != _WORD_BYTES:
        raise errors.Unreachable("There is no oracle of data fees at CHAIN_DATA_FEE_ORACLE.")
    return words.read_uint(answer, 0)
