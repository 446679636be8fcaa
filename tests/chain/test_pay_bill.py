"""A session key pays a bill through the EntryPoint, on a real chain, with the canonical EntryPoint."""

import dataclasses

import pytest

from contracts.bindings import accounts, events, paymaster, payments, reverts, sessions, user_operations, words
from tests import chain_fixture
from tests.chain import payer as payers

MODES = list(paymaster.FeeMode)


def test_hash_is_the_entry_points_own(chain: chain_fixture.Chain) -> None:
    payer = payers.make(chain)
    operation = payer.pay_operation(paymaster.FeeMode.OVPP, payer.payment(paymaster.FeeMode.OVPP))
    data = user_operations.encode_get_user_op_hash(operation=operation)

    assert chain.call(chain.deployment.entry_point, data) == payer.hash(operation)


def test_address_is_the_factorys_own(chain: chain_fixture.Chain) -> None:
    payer = payers.make(chain)
    data = words.selector("accountAddress(address,bytes32)") + words.address(payer.owner.address) + payer.salt

    assert chain.call(chain.deployment.account_factory, data) == words.address(payer.account)


@pytest.mark.parametrize("mode", MODES)
def test_first_operation_deploys_installs_and_pays(chain: chain_fixture.Chain, mode: paymaster.FeeMode) -> None:
    payer = payers.make(chain)
    payment = payer.payment(mode)
    operation = payer.pay_operation(mode, payment)
    budget = chain.budget()

    receipt = chain.handle_ops(operation)

    told = receipt.of(payer.hash(operation))
    done = told[-1]
    assert isinstance(done, events.UserOperationEvent)
    assert done.success
    fee_in_token = payment.fee_units if mode is paymaster.FeeMode.STABLECOIN else 0
    transfers = [event for event in told if isinstance(event, events.Transfer)]
    assert (transfers[0].emitter, transfers[0].sender, transfers[0].recipient, transfers[0].amount_units) == (
        chain.deployment.stablecoin,
        payer.account,
        payers.PAYEE,
        payment.amount_units + fee_in_token,
    )
    paid = next(event for event in told if isinstance(event, events.BillPaid))
    assert dataclasses.replace(paid, log_index=None) == events.BillPaid(
        emitter=payer.account,
        reference=payment.reference,
        payer=payer.account,
        token=chain.deployment.stablecoin,
        amount_units=payment.amount_units,
        fee_units=fee_in_token,
    )
    fees = [event for event in told if isinstance(event, events.FeePaid)]
    if mode is paymaster.FeeMode.OVPP:
        assert len(transfers) == 2
        assert (transfers[1].emitter, transfers[1].recipient, transfers[1].amount_units) == (
            chain.deployment.ovpp,
            payers.PAYEE,
            payment.fee_units,
        )
        assert [fee.fee_units for fee in fees] == [payment.fee_units]
    else:
        assert len(transfers) == 1
        assert fees == []
    assert chain.native(payer.account) == 0
    assert chain.balance(chain.deployment.stablecoin, payers.PAYEE) == payment.amount_units + fee_in_token
    charged = next(event for event in told if isinstance(event, events.BudgetCharged))
    assert budget - chain.budget() == charged.cost_wei
    assert done.actual_gas_cost_wei <= charged.cost_wei <= done.actual_gas_cost_wei * 102 // 100
    assert payer.session() == accounts.SessionState(
        is_installed=True,
        is_revoked=False,
        is_frozen=False,
        spent_total_units=payment.leaving_units,
        spent_in_period_units=payment.leaving_units,
        period=0,
        lane_sequence=0,
    )


def test_later_operations_need_no_install_signature(chain: chain_fixture.Chain) -> None:
    payer = payers.make(chain)
    mode = paymaster.FeeMode.STABLECOIN
    chain.handle_ops(payer.pay_operation(mode, payer.payment(mode)))

    chain.handle_ops(payer.pay_operation(mode, payer.payment(mode, name="two"), installs=False))

    assert chain.balance(chain.deployment.stablecoin, payers.PAYEE) == 2 * 50_030_000


def _refusal_of(receipt: chain_fixture.Receipt, operation_hash: bytes) -> str | None:
    for event in receipt.of(operation_hash):
        if isinstance(event, events.UserOperationRevertReason):
            return reverts.name_of(event.revert_data)
    return None


@pytest.mark.parametrize(
    ("amount_units", "fee_units", "error"),
    [
        (100_000_000, 1, "AbovePaymentLimit"),
        (50_000_000, 1_000_001, "AboveFeeLimit"),
        (0, 0, "NothingToPay"),
    ],
)
def test_payment_beyond_the_policy_is_refused_and_nothing_moves(
    chain: chain_fixture.Chain, amount_units: int, fee_units: int, error: str
) -> None:
    payer = payers.make(chain)
    mode = paymaster.FeeMode.STABLECOIN
    operation = payer.pay_operation(mode, payer.payment(mode, amount_units=amount_units, fee_units=fee_units))

    receipt = chain.handle_ops(operation)

    assert _refusal_of(receipt, payer.hash(operation)) == error
    assert chain.balance(chain.deployment.stablecoin, payer.account) == 1_000 * payers.ONE
    assert payer.session().spent_total_units == 0


def test_period_and_total_limits_count_over_operations(chain: chain_fixture.Chain) -> None:
    payer = payers.make(chain, max_total_units=200 * payers.ONE)
    mode = paymaster.FeeMode.UTILITY

    def pay(amount: int, name: str) -> str | None:
        operation = payer.pay_operation(mode, payer.payment(mode, amount_units=amount * payers.ONE, name=name))
        return _refusal_of(chain.handle_ops(operation), payer.hash(operation))

    assert [pay(100, "a"), pay(51, "b"), pay(50, "c")] == [None, "AbovePeriodLimit", None]
    chain.move_to(payer.policy.starts_at + payer.policy.period_seconds)
    assert [pay(51, "d"), pay(50, "e")] == ["AboveTotalLimit", None]
    assert chain.balance(chain.deployment.stablecoin, payers.PAYEE) == 200 * payers.ONE
    assert payer.session().period == 1


def test_session_not_installed_is_refused_by_the_entry_point(chain: chain_fixture.Chain) -> None:
    payer = payers.make(chain)
    mode = paymaster.FeeMode.UTILITY
    operation = payer.pay_operation(mode, payer.payment(mode), installs=False)

    with pytest.raises(chain_fixture.RefusedByNode) as refused:
        chain.handle_ops(operation)

    assert "SessionNotLive" in reverts.describe(refused.value.revert_data)


def test_session_installed_by_another_is_refused(chain: chain_fixture.Chain) -> None:
    payer = payers.make(chain)
    stranger = dataclasses.replace(payers.make(chain, "eve"), policy=payer.policy)
    mode = paymaster.FeeMode.UTILITY
    unsigned = payer.operation(payments.encode_pay_bill(payment=payer.payment(mode)), mode=mode)
    forged = dataclasses.replace(payer, owner=stranger.owner, salt=payer.salt)
    forged_leave = forged.leave()
    operation = dataclasses.replace(
        unsigned, signature=b"\x01" + words.signature(payer.key.sign(payer.hash(unsigned))) + forged_leave
    )

    with pytest.raises(chain_fixture.RefusedByNode) as refused:
        chain.handle_ops(operation)

    assert reverts.describe(refused.value.revert_data) == "FailedOp: opIndex 0, reason AA24 signature error"


@pytest.mark.parametrize("when", ["before", "after"])
def test_session_outside_its_life_is_refused(chain: chain_fixture.Chain, when: str) -> None:
    now = chain.now()
    life = {"starts_at": now + 1_000, "ends_at": now + 90_000} if when == "before" else {"ends_at": now - 1}
    payer = payers.make(chain, "ada", **life)
    mode = paymaster.FeeMode.UTILITY

    with pytest.raises(chain_fixture.RefusedByNode) as refused:
        chain.handle_ops(payer.pay_operation(mode, payer.payment(mode)))

    assert reverts.describe(refused.value.revert_data) == "FailedOp: opIndex 0, reason AA22 expired or not due"


def test_owner_revokes_and_the_session_never_pays_again(chain: chain_fixture.Chain) -> None:
    payer = payers.make(chain)
    mode = paymaster.FeeMode.UTILITY
    chain.handle_ops(payer.pay_operation(mode, payer.payment(mode)))
    session_id = sessions.session_id(policy=payer.policy)
    revoke = payer.operation(accounts.encode_revoke_sessions(session_ids=[session_id]), mode=mode)

    receipt = chain.handle_ops(payer.signed_by_owner(revoke))

    assert any(isinstance(event, events.SessionRevoked) for event in receipt.of(payer.hash(revoke)))
    with pytest.raises(chain_fixture.RefusedByNode) as refused:
        chain.handle_ops(payer.pay_operation(mode, payer.payment(mode, name="two")))
    assert "SessionNotLive" in reverts.describe(refused.value.revert_data)
    assert chain.balance(chain.deployment.stablecoin, payers.PAYEE) == 50 * payers.ONE


def test_session_key_can_call_nothing_but_payments(chain: chain_fixture.Chain) -> None:
    payer = payers.make(chain)
    steal = accounts.Call(to=chain.deployment.stablecoin, data=words.selector("transfer(address,uint256)"))
    operation = payer.signed_by_key(
        payer.operation(accounts.encode_execute_batch(calls=[steal]), mode=paymaster.FeeMode.UTILITY)
    )

    with pytest.raises(chain_fixture.RefusedByNode) as refused:
        chain.handle_ops(operation)

    assert "NotASessionCall" in reverts.describe(refused.value.revert_data)


def test_fee_other_than_the_quote_is_refused(chain: chain_fixture.Chain) -> None:
    payer = payers.make(chain)
    mode = paymaster.FeeMode.STABLECOIN
    call_data = payments.encode_pay_bill(payment=payer.payment(mode))
    operation = payer.signed_by_key(payer.operation(call_data, mode=mode, fee_units=29_999))

    with pytest.raises(chain_fixture.RefusedByNode) as refused:
        chain.handle_ops(operation)

    assert "FeeDiffersFromQuote: fee 30000, quotedFee 29999" in reverts.describe(refused.value.revert_data)


def test_operation_changed_after_sponsoring_is_refused(chain: chain_fixture.Chain) -> None:
    payer = payers.make(chain)
    mode = paymaster.FeeMode.UTILITY
    sponsored = payer.operation(payments.encode_pay_bill(payment=payer.payment(mode)), mode=mode)
    changed = dataclasses.replace(sponsored, max_fee_per_gas=sponsored.max_fee_per_gas + 1)

    with pytest.raises(chain_fixture.RefusedByNode) as refused:
        chain.handle_ops(payer.signed_by_key(changed))

    assert reverts.describe(refused.value.revert_data) == "FailedOp: opIndex 0, reason AA34 signature error"
