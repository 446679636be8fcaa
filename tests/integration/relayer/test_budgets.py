"""Gas budgets on a real chain: what provisioning sets, and whose an operation is charged to."""

import uuid

from contracts.bindings import paymaster
from relayer import models
from relayer.usecases import provision_chain
from tests.integration.relayer.conftest import Relayer

PROGRAM = uuid.UUID("01020304-0506-4708-a90a-0b0c0d0e0f10")
PROGRAM_NUMBER = 0x0102030405064708
PROVISION = provision_chain.Provision()


def budget(relayer: Relayer, program_id: int = 0) -> paymaster.Budget:
    asked = paymaster.encode_budget(utility_id=relayer.utility.pk, program_id=program_id)
    return paymaster.decode_budget(result=relayer.chain.call(relayer.chain.deployment.paymaster, asked))


def pay(relayer: Relayer, program_id: int) -> int:
    """Pay a bill on a program's account and return what it cost, in wei."""
    queued = relayer.pay(relayer.wallet(str(program_id)), program_id=program_id)
    relayer.finish()
    queued.refresh_from_db()
    assert (queued.state, queued.failure) == (models.UserOperation.State.SUCCEEDED, "")
    return int(queued.gas_cost_wei)


def test_a_program_with_a_budget_is_charged_beside_its_utility(relayer: Relayer) -> None:
    relayer.provision(relayer_keys=1, programs=(PROGRAM,))
    limits = (PROVISION.limit_per_operation_wei, PROVISION.limit_per_day_wei)
    before, programs_before = budget(relayer), budget(relayer, PROGRAM_NUMBER)
    assert (before.max_per_operation_wei, before.max_per_day_wei) == limits
    assert (programs_before.left_wei, programs_before.spent_on_day_wei) == (PROVISION.program_budget_wei, 0)
    assert programs_before.max_per_day_wei == PROVISION.program_budget_wei
    cost_wei = pay(relayer, PROGRAM_NUMBER)
    after, programs_after = budget(relayer), budget(relayer, PROGRAM_NUMBER)
    # The chain charges for what its own last steps may cost, so never less than the EntryPoint does.
    charged_wei = before.left_wei - after.left_wei
    assert cost_wei <= charged_wei <= 2 * cost_wei
    assert programs_before.left_wei - programs_after.left_wei == charged_wei
    assert (after.spent_on_day_wei, programs_after.spent_on_day_wei) == (charged_wei, charged_wei)
    relayer.provision(relayer_keys=1, programs=(PROGRAM,))
    assert budget(relayer, PROGRAM_NUMBER) == programs_after


def test_a_program_without_a_budget_is_charged_to_its_utility_alone(relayer: Relayer) -> None:
    before = budget(relayer)
    assert pay(relayer, PROGRAM_NUMBER) <= before.left_wei - budget(relayer).left_wei
    assert budget(relayer, PROGRAM_NUMBER) == paymaster.Budget(
        left_wei=0, spent_on_day_wei=0, day=0, max_per_operation_wei=0, max_per_day_wei=0
    )
