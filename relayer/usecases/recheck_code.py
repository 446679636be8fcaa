"""The second look that ERC-7562 asks for: what a validation rests on, read anew for the bundle.

For an account of ours that is its proxy and its implementation; for others every contract that the trace came by. Where
something changed, the operation is validated again as if it came in now.
"""

from collections.abc import Mapping, Sequence

from contracts import deployments
from contracts.bindings import words
from openvpp.core import db
from relayer import models
from relayer.adapters import simulation
from relayer.domain import codes, refusals
from relayer.usecases import check_authorization, validate_operation


@db.durable
def find_refused(*, operations: Sequence[models.UserOperation]) -> list[tuple[models.UserOperation, refusals.Refusal]]:
    """Return the operations that are no longer safe, and why; those whose code changed and that are get new marks.

    :raises errors.Unreachable: the node does not answer.
    """
    marked = {str(row.hash): _marks(row) for row in operations if row.marks}
    addresses = sorted({address for marks in marked.values() for address in marks})
    if not addresses:
        return []
    found = simulation.standings(addresses=[words.parse_address(each) for each in addresses])
    now = {address: standing.mark() for address, standing in zip(addresses, found, strict=True)}
    refused = []
    for row in operations:
        if any(now[address] != mark for address, mark in marked.get(str(row.hash), {}).items()):
            refusal = _validate_again(row)
            if refusal is not None:
                refused.append((row, refusal))
    return refused


def _marks(row: models.UserOperation) -> Mapping[str, str]:
    return dict(row.marks or {})


def _validate_again(row: models.UserOperation) -> refusals.Refusal | None:
    try:
        due = check_authorization.find_due_of(operations=[row])
        verdict = validate_operation.validate(
            operation=row.to_binding(),
            deployment=deployments.load(chain_id=row.chain_id),
            delegated=check_authorization.delegated(due.values()),
        )
    except codes.RefusedCall as error:
        return refusals.Refusal(index=None, meaning=refusals.Meaning.FINAL, reason=error.message)
    models.UserOperation.objects.filter(hash=row.hash).update(validation=verdict.validation, marks=dict(verdict.marks))
    return None
