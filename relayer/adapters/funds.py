"""What the relayer lives on, read of the chain in one go: coin of keys, deposits, budgets."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from contracts import deployments
from contracts.bindings import paymaster, user_operations, words
from openvpp.core import errors
from relayer.adapters import rpc


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Funds:
    """Everything in wei: of each key by address, of each paymaster by name, and budgets by utility."""

    keys: Mapping[str, int]
    deposits: Mapping[str, int]
    budgets: Mapping[int, paymaster.Budget]


def read(*, deployment: deployments.Deployment, keys: Sequence[str], utilities: Sequence[int]) -> Funds:
    """Return what keys, paymasters and budgets hold now.

    :raises errors.Unreachable: the node does not answer.
    """
    paymasters = {"paymaster": deployment.paymaster, "relay paymaster": deployment.relay_paymaster}
    calls: list[rpc.Call] = [("eth_getBalance", (address, "latest")) for address in keys]
    calls += [
        _call(deployment.entry_point, user_operations.encode_deposit_of(holder=holder))
        for holder in paymasters.values()
    ]
    calls += [_call(deployment.paymaster, paymaster.encode_budget(utility_id=each)) for each in utilities]
    answers = [_expect(answer) for answer in rpc.node().batch(calls)]
    of_keys, rest = answers[: len(keys)], answers[len(keys) :]
    of_paymasters, of_budgets = rest[: len(paymasters)], rest[len(paymasters) :]
    return Funds(
        keys={address: int(answer, 16) for address, answer in zip(keys, of_keys, strict=True)},
        deposits={
            name: words.read_uint(bytes.fromhex(answer[2:]), 0)
            for name, answer in zip(paymasters, of_paymasters, strict=True)
        },
        budgets={
            each: paymaster.decode_budget(result=bytes.fromhex(answer[2:]))
            for each, answer in zip(utilities, of_budgets, strict=True)
        },
    )


def _call(to: bytes, data: bytes) -> rpc.Call:
    return "eth_call", ({"to": "0x" + to.hex(), "data": "0x" + data.hex()}, "latest")


def _expect(answer: Any) -> str:
    if isinstance(answer, rpc.NodeRefused):
        raise errors.Unreachable(f"The node refused: {answer.reason}")
    return str(answer)
