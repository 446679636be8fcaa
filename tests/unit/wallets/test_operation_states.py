"""What is final never moves; what is in flight may also go back; nothing returns to reserved."""

import itertools

import pytest

from wallets import models
from wallets.domain import operation_states

State = operation_states.State
ALLOWED = {
    State.RESERVED: {State.AWAITING_SIGNATURE, State.QUEUED, State.FAILED},
    State.AWAITING_SIGNATURE: {State.QUEUED, State.FAILED},
    State.QUEUED: {State.QUEUED, State.SUBMITTED, State.MINED, State.SUCCEEDED, State.FAILED},
    State.SUBMITTED: {State.QUEUED, State.SUBMITTED, State.MINED, State.SUCCEEDED, State.FAILED},
    State.MINED: {State.QUEUED, State.SUBMITTED, State.MINED, State.SUCCEEDED, State.FAILED},
    State.SUCCEEDED: set(),
    State.FAILED: set(),
}


@pytest.mark.parametrize(("before", "after"), list(itertools.product(State, State)))
def test_every_step(before: State, after: State) -> None:
    assert operation_states.may_go(before=before, after=after) is (after in ALLOWED[before])


def test_rows_have_the_same_states() -> None:
    assert {state.value for state in State} == set(models.Operation.State.values)


def test_every_state_of_the_relayer_has_a_meaning() -> None:
    from relayer import models as relayer_models  # noqa: PLC0415 - only this test asks the relayer

    assert set(operation_states.OF_USER_OPERATION) == set(relayer_models.UserOperation.State.values)
