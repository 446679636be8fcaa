"""From which state an operation may go to which."""

import enum


class State(enum.StrEnum):
    """Where an operation stands."""

    RESERVED = "reserved"
    AWAITING_SIGNATURE = "awaiting_signature"
    QUEUED = "queued"
    SUBMITTED = "submitted"
    MINED = "mined"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


FINAL = frozenset({State.SUCCEEDED, State.FAILED})
IN_FLIGHT = frozenset({State.QUEUED, State.SUBMITTED, State.MINED})

# A block may be undone and a bundle replaced, so what is in flight may also go back; what is final never moves.
_ALLOWED = {
    State.RESERVED: frozenset({State.AWAITING_SIGNATURE, State.QUEUED, State.FAILED}),
    State.AWAITING_SIGNATURE: frozenset({State.QUEUED, State.FAILED}),
    State.QUEUED: IN_FLIGHT | FINAL,
    State.SUBMITTED: IN_FLIGHT | FINAL,
    State.MINED: IN_FLIGHT | FINAL,
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset(),
}

# What the relayer calls the states of a user operation.
OF_USER_OPERATION = {
    "queued": State.QUEUED,
    "bundled": State.SUBMITTED,
    "mined": State.MINED,
    "succeeded": State.SUCCEEDED,
    "failed": State.FAILED,
}


def may_go(*, before: State, after: State) -> bool:
    """Say whether an operation may go from one state to another."""
    return after in _ALLOWED[before]
