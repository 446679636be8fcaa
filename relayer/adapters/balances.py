"""What wallets hold, as the chain says."""

from collections.abc import Sequence

from contracts.bindings import tokens as token_bindings
from contracts.bindings import words
from relayer.adapters import chain, rpc


def units_of(*, owner: bytes, tokens: Sequence[str]) -> list[int]:
    """Return what an account holds of each token, in base units; nothing of one that does not answer.

    :raises errors.Unreachable: the node does not answer.
    """
    return [_units(owner=owner, token=words.parse_address(token)) for token in tokens]


def _units(*, owner: bytes, token: bytes) -> int:
    try:
        return words.read_uint(chain.call(to=token, data=token_bindings.encode_balance_of(holder=owner)), 0)
    except (rpc.NodeRefused, ValueError):
        return 0
