"""Authorisations of EIP-7702: which of them a bundle has to carry, looked up on the chain and never assumed.

One whose nonce is used does nothing any more, and one whose account runs the delegate's code already need do nothing:
their operations go on without. Whoever signed another transaction in between has used the nonce up, and the operation
is judged by what the account is then.
"""

from collections.abc import Iterable, Sequence

from contracts.bindings import delegations, words
from openvpp.core import db
from relayer import models
from relayer.adapters import simulation
from relayer.domain import codes, wire

_DELEGATED = delegations.designator(bytes(20))[:3]


@db.durable
def find_due(*, received: wire.Received, chain_id: int) -> dict[bytes, bytes]:
    """Return the sender and whose code its authorisation will have it run, or nothing where none is needed.

    :raises codes.RefusedCall: the authorisation is for another chain or nonce, or the sender is a contract.
    :raises errors.Unreachable: the node does not answer.
    """
    authorization, sender = received.authorization, received.operation.sender
    if authorization is None:
        return {}
    if authorization.chain_id not in (0, chain_id):
        raise _refused(f"is for chain {authorization.chain_id}")
    ((code, nonce),) = simulation.standing_and_nonce(addresses=[sender])
    if code == delegations.designator(authorization.delegate):
        return {}
    if code and not code.startswith(_DELEGATED):
        raise _refused("is of a contract")
    if authorization.nonce != nonce:
        raise _refused(f"has the nonce {authorization.nonce}, and the account's is {nonce}")
    _check_pool(sender=sender, authorization=authorization, chain_id=chain_id)
    return {sender: authorization.delegate}


def _check_pool(*, sender: bytes, authorization: delegations.Authorization, chain_id: int) -> None:
    """Refuse another delegate than waiting operations of the sender go by (ERC-7562, AUTH-020)."""
    rows = models.UserOperation.objects.filter(
        chain_id=chain_id,
        sender=words.checksummed(sender),
        state__in=[models.UserOperation.State.QUEUED, models.UserOperation.State.BUNDLED],
        delegation__isnull=False,
    )
    for packed in rows.values_list("delegation", flat=True):
        if delegations.unpack(bytes(packed)).delegate != authorization.delegate:
            raise _refused("names another delegate than an operation of the sender that waits")


@db.durable
def find_due_of(*, operations: Sequence[models.UserOperation]) -> dict[str, delegations.Authorization]:
    """Return the authorisations that these operations still need, by the operation's hash; one a sender at most.

    :raises errors.Unreachable: the node does not answer.
    """
    asked = [(row, authorization) for row in operations if (authorization := row.to_authorization()) is not None]
    if not asked:
        return {}
    senders = [words.parse_address(str(row.sender)) for row, _ in asked]
    due: dict[bytes, tuple[str, delegations.Authorization]] = {}
    standings = simulation.standing_and_nonce(addresses=senders)
    for (row, authorization), sender, (code, nonce) in zip(asked, senders, standings, strict=True):
        is_there = code == delegations.designator(authorization.delegate)
        may_be_set = not code or code.startswith(_DELEGATED)
        if not is_there and may_be_set and authorization.nonce == nonce:
            due.setdefault(sender, (str(row.hash), authorization))
    return dict(due.values())


def delegated(due: Iterable[delegations.Authorization]) -> dict[bytes, bytes]:
    """Return whose code each account will run by these authorisations."""
    return {each.authority(): each.delegate for each in due}


def _refused(what: str) -> codes.RefusedCall:
    return codes.RefusedCall(codes.Code.BAD_PARAMETERS, f"eip7702Auth {what}.")
