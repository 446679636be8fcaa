"""Budgets on a real chain: per operation, per day and per program, beside the utility's own."""

import dataclasses

import pytest

from contracts.bindings import events, paymaster, payments, reverts
from tests import chain_fixture
from tests.chain import payer as payers

OWNER = chain_fixture.DEPLOYER.address
MANAGER = chain_fixture.Key(b"\x4a" * 32).address
UTILITY = chain_fixture.UTILITY_ID
PROGRAM = 12
MODE = paymaster.FeeMode.UTILITY


def _set(chain: chain_fixture.Chain, data: bytes, *, sender: bytes = OWNER) -> None:
    assert chain.send(chain.deployment.paymaster, data, sender=sender).succeeded


def _limit(chain: chain_fixture.Chain, *, per_operation: int = 0, per_day: int = 0, program_id: int = 0) -> None:
    data = paymaster.encode_set_limits(
        utility_id=UTILITY,
        program_id=program_id,
        max_per_operation_wei=per_operation,
        max_per_day_wei=per_day,
    )
    _set(chain, data)


def _budget(chain: chain_fixture.Chain, program_id: int = 0) -> paymaster.Budget:
    asked = paymaster.encode_budget(utility_id=UTILITY, program_id=program_id)
    return paymaster.decode_budget(result=chain.call(chain.deployment.paymaster, asked))


def _pay(payer: payers.Payer, name: str, *, program_id: int = 0) -> chain_fixture.Receipt:
    call_data = payments.encode_pay_bill(payment=payer.payment(MODE, name=name, amount_units=payers.ONE))
    operation = payer.operation(call_data, mode=MODE, program_id=program_id)
    return payer.chain.handle_ops(payer.signed_by_key(operation))


def _refusal(payer: payers.Payer, name: str, *, program_id: int = 0) -> str:
    with pytest.raises(chain_fixture.RefusedByNode) as refused:
        _pay(payer, name, program_id=program_id)
    return reverts.describe(refused.value.revert_data)


def test_programs_budget_is_charged_beside_the_utilitys(chain: chain_fixture.Chain) -> None:
    payer = payers.make(chain)
    _set(chain, paymaster.encode_set_manager(utility_id=UTILITY, manager=MANAGER))
    chain.rpc("anvil_setBalance", "0x" + MANAGER.hex(), hex(chain_fixture.ETHER))
    before = _budget(chain)
    assert f"BudgetExceeded: utilityId 7, programId {PROGRAM}" in _refusal(payer, "none", program_id=PROGRAM)
    funded = paymaster.encode_set_budget(utility_id=UTILITY, program_id=PROGRAM, budget_wei=10**16)
    _set(chain, funded, sender=MANAGER)

    receipt = _pay(payer, "one", program_id=PROGRAM)

    charged = next(event for event in receipt.logs if isinstance(event, events.BudgetCharged))
    assert (charged.utility_id, charged.program_id) == (UTILITY, PROGRAM)
    assert _budget(chain, PROGRAM).left_wei == 10**16 - charged.cost_wei
    assert _budget(chain).left_wei == before.left_wei - charged.cost_wei
    done = receipt.of(charged.user_operation_hash)[-1]
    assert isinstance(done, events.UserOperationEvent)
    assert done.actual_gas_cost_wei <= charged.cost_wei <= done.actual_gas_cost_wei * 102 // 100


def test_operation_above_its_limit_is_refused(chain: chain_fixture.Chain) -> None:
    payer = payers.make(chain)
    _limit(chain, per_operation=10**14)
    before = _budget(chain)

    assert "AboveOperationLimit" in _refusal(payer, "one")

    assert _budget(chain) == before
    assert chain.code(payer.account) == b""


def test_day_above_its_limit_is_refused_and_the_next_day_pays(chain: chain_fixture.Chain) -> None:
    payer = payers.make(chain)
    chain.move_to((chain.now() // 86_400 + 1) * 86_400 + 3_600)
    _limit(chain, per_day=14 * 10**14)
    _pay(payer, "one")
    today = _budget(chain)
    assert today.spent_on_day_wei == 10**18 - today.left_wei
    assert today.day == chain.now() // 86_400

    assert "AboveDayLimit" in _refusal(payer, "two")

    assert _budget(chain) == today
    chain.move_to((today.day + 1) * 86_400 + 3_600)
    _pay(payer, "two")
    tomorrow = _budget(chain)
    assert tomorrow.day == today.day + 1
    assert tomorrow.spent_on_day_wei == today.left_wei - tomorrow.left_wei


def test_sponsorship_without_a_clear_day_is_refused_once_a_day_is_limited(chain: chain_fixture.Chain) -> None:
    payer = payers.make(chain)
    _limit(chain, per_day=10**17)
    call_data = payments.encode_pay_bill(payment=payer.payment(MODE))
    operation = payer.operation(call_data, mode=MODE, valid_after=0)

    with pytest.raises(chain_fixture.RefusedByNode) as refused:
        chain.handle_ops(payer.signed_by_key(operation))

    assert "DayUnclear" in reverts.describe(refused.value.revert_data)
    assert dataclasses.replace(_budget(chain), max_per_day_wei=0) == paymaster.Budget(
        left_wei=10**18, spent_on_day_wei=0, day=0, max_per_operation_wei=0, max_per_day_wei=0
    )
