"""The bill lane and the relayer keys' own paymaster, on a real chain."""

import dataclasses

import pytest

from contracts.bindings import events, lane, paymaster, payments, reverts, words
from tests import chain_fixture
from tests.chain import payer as payers

STABLECOIN = paymaster.FeeMode.STABLECOIN
LANE_KEY = chain_fixture.SPONSOR.address


def _intent(
    payer: payers.Payer,
    name: str,
    *,
    amount_units: int = 40 * payers.ONE,
    sequence: int = 0,
    installs: bool = False,
    key: chain_fixture.Key | None = None,
) -> lane.Intent:
    payment = payer.payment(STABLECOIN, amount_units=amount_units, name=name)
    deadline = payer.chain.now() + 600
    digest = payments.bill_payment_digest(
        payment=payment,
        sequence=sequence,
        deadline=deadline,
        chain_id=payer.chain.chain_id,
        account=payer.account,
    )
    return lane.Intent(
        account=payer.account,
        payment=payment,
        deadline=deadline,
        key_signature=words.signature((key or payer.key).sign(digest)),
        leave=payer.leave() if installs else None,
    )


def _send(chain: chain_fixture.Chain, *intents: lane.Intent) -> chain_fixture.Receipt:
    data = lane.encode_pay_bills(intents=intents, gas_for_each=150_000)
    assert lane.decode_pay_bills(call_data=data) == intents
    return chain.send(chain.deployment.bill_lane, data, sender=LANE_KEY)


def _deployed(chain: chain_fixture.Chain, name: str) -> payers.Payer:
    payer = payers.make(chain, name)
    operation = payer.pay_operation(STABLECOIN, payer.payment(STABLECOIN, amount_units=payers.ONE))
    assert chain.handle_ops(operation).succeeded
    return payer


def test_bundle_pays_each_and_refuses_one_alone(chain: chain_fixture.Chain) -> None:
    ada, ben, eve = (_deployed(chain, name) for name in ("ada", "ben", "eve"))
    before = chain.balance(chain.deployment.stablecoin, payers.PAYEE)

    receipt = _send(
        chain,
        _intent(ada, "a"),
        _intent(eve, "e", key=chain_fixture.RELAYER),
        _intent(ben, "b"),
        _intent(ada, "a2", sequence=1, amount_units=50 * payers.ONE),
    )

    paid = [event for event in receipt.logs if isinstance(event, events.BillPaid)]
    assert [(event.payer, event.amount_units) for event in paid] == [
        (ada.account, 40 * payers.ONE),
        (ben.account, 40 * payers.ONE),
        (ada.account, 50 * payers.ONE),
    ]
    refused = [event for event in receipt.logs if isinstance(event, events.IntentRefused)]
    assert [(event.index, event.account, reverts.name_of(event.reason)) for event in refused] == [
        (1, eve.account, "NotSignedBy")
    ]
    moved = chain.balance(chain.deployment.stablecoin, payers.PAYEE) - before
    assert moved == 130 * payers.ONE + 3 * 30_000
    assert ada.session().lane_sequence == 2


def test_both_paths_count_on_the_same_limits(chain: chain_fixture.Chain) -> None:
    ada = _deployed(chain, "ada")
    _send(chain, _intent(ada, "a", amount_units=99 * payers.ONE))

    receipt = chain.handle_ops(
        ada.pay_operation(STABLECOIN, ada.payment(STABLECOIN, amount_units=50 * payers.ONE, name="b"))
    )

    reasons = [event for event in receipt.logs if isinstance(event, events.UserOperationRevertReason)]
    assert reverts.describe(reasons[0].revert_data) == "AbovePeriodLimit: units 150090000, limit 150000000"
    assert ada.session().spent_total_units == 100 * payers.ONE + 60_000


def test_lane_installs_a_session(chain: chain_fixture.Chain) -> None:
    ada = _deployed(chain, "ada")
    second = dataclasses.replace(ada, policy=dataclasses.replace(ada.policy, salt=99))

    receipt = _send(chain, _intent(second, "a", installs=True))

    assert any(isinstance(event, events.SessionInstalled) for event in receipt.logs)
    assert second.session().spent_total_units == 40 * payers.ONE + 30_000


def test_bundle_shares_payee_and_tokens(chain: chain_fixture.Chain) -> None:
    ada = payers.make(chain)
    other = dataclasses.replace(ada, policy=dataclasses.replace(ada.policy, payee=b"\x09" * 20))

    with pytest.raises(lane.UnableToPackBundle, match="share payee"):
        lane.encode_pay_bills(intents=[_intent(ada, "a"), _intent(other, "b")], gas_for_each=1)
    with pytest.raises(lane.UnableToPackBundle, match="does not fit"):
        lane.encode_pay_bills(intents=[_intent(ada, "a")], gas_for_each=2**24)


def test_relayer_key_needs_no_sponsor_and_others_are_refused(chain: chain_fixture.Chain) -> None:
    ada = _deployed(chain, "ada")
    relay = chain.deployment.relay_paymaster
    owner = chain_fixture.DEPLOYER.address
    allowance = paymaster.encode_set_allowance(
        relayer=chain_fixture.RELAYER.address, max_fee_per_gas_wei=10**10, max_cost_wei=10**16
    )
    assert chain.send(relay, allowance, sender=owner).succeeded
    assert chain.send(relay, paymaster.encode_deposit(), sender=owner, value_wei=10**18).succeeded
    payment = ada.payment(STABLECOIN, name="cheap")
    operation = dataclasses.replace(
        ada.operation(payments.encode_pay_bill(payment=payment)),
        paymaster_and_data=paymaster.encode_relayed_data(relay_paymaster=relay, verification_gas_limit=40_000),
    )
    operation = ada.signed_by_key(operation, installs=False)

    with pytest.raises(chain_fixture.RefusedByNode) as refused:
        chain.handle_ops(operation, sender=LANE_KEY)
    assert "PriceNotAllowed" in reverts.describe(refused.value.revert_data)
    receipt = chain.handle_ops(operation)

    done = receipt.of(ada.hash(operation))[-1]
    assert isinstance(done, events.UserOperationEvent)
    assert done.success
    assert done.paymaster == relay
