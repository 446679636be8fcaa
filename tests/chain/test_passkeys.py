"""Phones pay: raw P-256 signatures and passkeys, through the EntryPoint and on the lane."""

import dataclasses
from collections.abc import Callable

import pytest

from contracts.bindings import lane, paymaster, payments, sessions, words
from tests import chain_fixture
from tests.chain import payer as payers
from tests.chain import phone as phones

# A valid signature: sha256("123400"), r, s, x, y (Wycheproof ecdsa_secp256r1_sha256_p1363).
KNOWN = bytes.fromhex(
    "bb5a52f42f9c9261ed4361f59422a1e30036e7c32b270c8807a419feca605023"
    "0000000000000000000000000000000000000000000000000000000000000005"
    "0000000000000000000000000000000000000000000000000000000000000001"
    "a71af64de5126a4a4e02b7922d66ce9415ce88a4c9d25514d91082c8725ac957"
    "5d47723c8fbe580bb369fec9c2665d8e30a435b9932645482e7c9f11e872296b"
)
PHONE = phones.Phone(0x9407E)
SIGNERS = pytest.mark.parametrize("sign", [PHONE.sign, PHONE.attest], ids=["keystore", "passkey"])


def _payer(chain: chain_fixture.Chain) -> payers.Payer:
    ada = payers.make(chain)
    return dataclasses.replace(ada, policy=dataclasses.replace(ada.policy, key=PHONE.address))


def test_the_test_chain_has_the_precompile(chain: chain_fixture.Chain) -> None:
    assert chain.call((0x100).to_bytes(20, "big"), KNOWN) == words.uint(1)


@SIGNERS
def test_a_phone_pays_through_the_entry_point(chain: chain_fixture.Chain, sign: Callable[[bytes], bytes]) -> None:
    ada, mode = _payer(chain), paymaster.FeeMode.STABLECOIN
    for name, leave in (("one", ada.leave()), ("two", None)):
        payment = ada.payment(mode, name=name, amount_units=10 * payers.ONE)
        operation = ada.operation(payments.encode_pay_bill(payment=payment), mode=mode, fee_units=payment.fee_units)
        signature = sessions.encode_session_signature(key_signature=sign(ada.hash(operation)), leave=leave)
        chain.handle_ops(dataclasses.replace(operation, signature=signature))
    assert ada.session().spent_total_units == 2 * (10 * payers.ONE + 30_000)


@SIGNERS
def test_a_phone_pays_on_the_lane(chain: chain_fixture.Chain, sign: Callable[[bytes], bytes]) -> None:
    ada, mode = _payer(chain), paymaster.FeeMode.UTILITY
    by_another_key = payers.make(chain)
    chain.handle_ops(by_another_key.pay_operation(mode, by_another_key.payment(mode)))
    payment = ada.payment(mode, name="lane", amount_units=10 * payers.ONE)
    deadline = chain.now() + 600
    digest = payments.bill_payment_digest(
        payment=payment, sequence=0, deadline=deadline, chain_id=chain.chain_id, account=ada.account
    )
    intent = lane.Intent(
        account=ada.account, payment=payment, deadline=deadline, key_signature=sign(digest), leave=ada.leave()
    )
    call_data = lane.encode_pay_bills(intents=[intent], gas_for_each=400_000)
    assert lane.decode_pay_bills(call_data=call_data) == (intent,)
    chain.send(chain.deployment.bill_lane, call_data, sender=chain_fixture.SPONSOR.address)
    assert ada.session().spent_total_units == 10 * payers.ONE
