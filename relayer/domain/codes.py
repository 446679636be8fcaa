"""How the bundler refuses, by the codes of JSON-RPC 2.0, ERC-7769 and ERC-7677."""

import enum

from openvpp.core import json_rpc


class Code(enum.IntEnum):
    """An error code on the wire."""

    UNREADABLE = json_rpc.UNREADABLE
    NO_REQUEST = json_rpc.NO_REQUEST
    NO_SUCH_METHOD = json_rpc.NO_SUCH_METHOD
    BAD_PARAMETERS = json_rpc.BAD_PARAMETERS
    INTERNAL = json_rpc.INTERNAL
    TOO_MANY_REQUESTS = -32_005
    NOT_ALLOWED = -32_001
    PAUSED = -32_002  # "resource unavailable" of EIP-1474
    REFUSED_BY_ENTRY_POINT = -32_500
    REFUSED_BY_PAYMASTER = -32_501
    FORBIDDEN_OPCODE = -32_502
    OUT_OF_TIME_RANGE = -32_503
    THROTTLED = -32_504
    STAKE_TOO_LOW = -32_505
    UNSUPPORTED_AGGREGATOR = -32_506
    BAD_SIGNATURE = -32_507
    DEPOSIT_TOO_LOW = -32_508
    REVERTED = -32_521


class RefusedCall(json_rpc.RefusedCall):
    """A call of the bundler is answered with an error."""


_OF_ENTRY_POINT = {
    "AA22": Code.OUT_OF_TIME_RANGE,
    "AA24": Code.BAD_SIGNATURE,
    "AA32": Code.OUT_OF_TIME_RANGE,
    "AA34": Code.BAD_SIGNATURE,
}


def of_entry_point(error: str) -> Code:
    """Return the code for an error of the EntryPoint, told by its first four letters (`AA24`)."""
    return _OF_ENTRY_POINT.get(
        error[:4], Code.REFUSED_BY_PAYMASTER if error.startswith("AA3") else Code.REFUSED_BY_ENTRY_POINT
    )
