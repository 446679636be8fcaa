"""Calls that an application asks a wallet to make (EIP-5792), and how a wallet refuses (EIP-1193, EIP-1474 too)."""

import dataclasses
import enum
import re
from collections.abc import Mapping
from typing import Any

from contracts.bindings import tokens, words
from openvpp.core import json_rpc

VERSION = "2.0.0"
MOST_CALLS = 1
_MOST_ID_CHARACTERS = 8194
_MOST_DATA_CHARACTERS = 2 + 2 * 4096
_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")
_BYTES = re.compile(r"0x([0-9a-fA-F]{2})*")
_KNOWN = ("paymasterService", "permissions", "billPayment")
_TRANSFER_BYTES = 4 + 2 * 32


class Code(enum.IntEnum):
    """An error code on the wire."""

    UNREADABLE = json_rpc.UNREADABLE
    NO_REQUEST = json_rpc.NO_REQUEST
    NO_SUCH_METHOD = json_rpc.NO_SUCH_METHOD
    BAD_PARAMETERS = json_rpc.BAD_PARAMETERS
    INTERNAL = json_rpc.INTERNAL
    REJECTED = -32_003
    UNAUTHORIZED = 4100
    UNSUPPORTED_METHOD = 4200
    UNSUPPORTED_CAPABILITY = 5700
    UNSUPPORTED_CHAIN = 5710
    DUPLICATE_ID = 5720
    UNKNOWN_ID = 5730
    TOO_LARGE = 5740


class RefusedCall(json_rpc.RefusedCall):
    """A wallet's method is answered with an error."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call, in the clear."""

    to: str
    value_wei: int
    data: bytes


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What `wallet_sendCalls` was asked; `id` None where the wallet is to name the batch itself."""

    id: str | None
    chain_id: int
    sender: str | None
    calls: tuple[Call, ...]
    capabilities: Mapping[str, Mapping[str, Any]]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """The one call that leave to pay bills covers: so many units of a token to somebody."""

    token: str
    to: str
    units: int


def read(value: object) -> Asked:
    """Return what a client sent.

    :raises RefusedCall: a field is absent, unknown or malformed, a needed capability is not known here, or there are
        more calls than one operation makes.
    """
    if not isinstance(value, Mapping):
        raise _bad("The parameter is no object.")
    if value.get("version") != VERSION:
        raise _bad(f"version must be {VERSION}.")
    if not isinstance(value.get("atomicRequired"), bool):
        raise _bad("atomicRequired must be true or false.")
    id_ = value.get("id")
    if id_ is not None and not (isinstance(id_, str) and 0 < len(id_) <= _MOST_ID_CHARACTERS):
        raise _bad(f"id must be a text of at most {_MOST_ID_CHARACTERS} characters.")
    listed = value.get("calls")
    if not isinstance(listed, list) or not listed:
        raise _bad("calls must be a list of at least one call.")
    if len(listed) > MOST_CALLS:
        raise RefusedCall(Code.TOO_LARGE, f"At most {MOST_CALLS} call goes together here: the payment of one bill.")
    sender = value.get("from")
    return Asked(
        id=id_,
        chain_id=_quantity(value.get("chainId"), "chainId"),
        sender=None if sender is None else address_of(sender, "from"),
        calls=tuple(_call(each) for each in listed),
        capabilities=_capabilities(value.get("capabilities")),
    )


def read_transfer(call: Call) -> Transfer | None:
    """Return the transfer that a call makes; None if it does anything else or something besides."""
    head = tokens.encode_transfer(to=words.ZERO_ADDRESS, amount_units=0)[:4]
    if call.value_wei or len(call.data) != _TRANSFER_BYTES or call.data[:4] != head:
        return None
    try:
        to = words.read_address(call.data, 4)
    except ValueError:
        return None
    return Transfer(token=call.to, to=words.checksummed(to), units=words.read_uint(call.data, 36))


def address_of(value: object, name: str) -> str:
    """Return an address with its checksum.

    :raises RefusedCall: it is none, or its checksum is wrong.
    """
    text = value if isinstance(value, str) and value.startswith("0x") else "0x"
    try:
        return words.checksummed(words.parse_address(text))
    except ValueError:
        raise _bad(f"{name} is no address.") from None


def _call(value: object) -> Call:
    if not isinstance(value, Mapping):
        raise _bad("A call is an object.")
    _capabilities(value.get("capabilities"))
    data = value.get("data")
    if data is not None and not (
        isinstance(data, str) and len(data) <= _MOST_DATA_CHARACTERS and _BYTES.fullmatch(data)
    ):
        raise _bad("data is no hexadecimal text of whole bytes, or too long.")
    return Call(
        to=address_of(value.get("to"), "to"),
        value_wei=0 if value.get("value") is None else _quantity(value["value"], "value"),
        data=bytes.fromhex((data or "0x")[2:]),
    )


def _capabilities(value: object) -> Mapping[str, Mapping[str, Any]]:
    """Return the capabilities that are known here; one that is not must be optional."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(each, Mapping) for each in value.values()):
        raise _bad("capabilities must be an object of objects.")
    for name, each in value.items():
        if name not in _KNOWN and each.get("optional") is not True:
            raise RefusedCall(Code.UNSUPPORTED_CAPABILITY, f"The capability {name} is not known here.")
    return {name: each for name, each in value.items() if name in _KNOWN}


def _quantity(value: object, name: str) -> int:
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        raise _bad(f"{name} is no hexadecimal quantity.")
    return int(value, 16)


def _bad(message: str) -> RefusedCall:
    return RefusedCall(Code.BAD_PARAMETERS, message)
