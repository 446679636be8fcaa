"""The nodes of the chain, as the relayer's adapters ask them; see `openvpp.core.nodes`."""

from openvpp.core import nodes

TIMEOUT_SECONDS = nodes.TIMEOUT_SECONDS

type Call = nodes.Call

Node = nodes.Node
NoQuorum = nodes.NoQuorum
NodeRefused = nodes.NodeRefused
node = nodes.node
private_node = nodes.private_node
_node = nodes._pool  # noqa: SLF001 - what tests forget between chains


def quantity(value: int) -> str:
    """Return a number as JSON-RPC writes it."""
    return hex(value)
