"""What paymasters and factories have at the EntryPoint: asked for again after a few seconds at most."""

import dataclasses
import functools
import time

from contracts.bindings import words
from openvpp.core import errors
from relayer.adapters import rpc

_DEPOSIT_INFO = words.selector("getDepositInfo(address)")
_KNOWN_FOR_SECONDS = 5


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AtEntryPoint:
    """Deposit and stake, in wei, and the seconds it takes to get the stake out."""

    deposit_wei: int
    stake_wei: int
    delay_s: int


def read(*, entry_point: bytes, addresses: tuple[bytes, ...]) -> dict[bytes, AtEntryPoint]:
    """Return what each address has at the EntryPoint.

    :raises errors.Unreachable: the node does not answer.
    """
    return dict(_read(entry_point, addresses, int(time.monotonic()) // _KNOWN_FOR_SECONDS)) if addresses else {}


@functools.lru_cache(maxsize=256)
def _read(entry_point: bytes, addresses: tuple[bytes, ...], _window: int) -> dict[bytes, AtEntryPoint]:
    calls: list[rpc.Call] = [
        (
            "eth_call",
            ({"to": "0x" + entry_point.hex(), "data": "0x" + (_DEPOSIT_INFO + words.address(each)).hex()}, "latest"),
        )
        for each in addresses
    ]
    found = {}
    for address, answer in zip(addresses, rpc.node().batch(calls), strict=True):
        if isinstance(answer, rpc.NodeRefused):
            raise errors.Unreachable(f"The node refused: {answer.reason}")
        data = bytes.fromhex(answer[2:])
        found[address] = AtEntryPoint(
            deposit_wei=words.read_uint(data, 0),
            stake_wei=words.read_uint(data, 64),
            delay_s=words.read_uint(data, 96),
        )
    return found
