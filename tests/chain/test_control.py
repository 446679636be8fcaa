"""Exit from custody, the guardian, and sessions that make other calls, on a real chain."""

import dataclasses

import pytest

from contracts.bindings import accounts, calls, control, paymaster, payments, reverts, sessions, tokens, words
from tests import chain_fixture
from tests.chain import payer as payers
from tests.chain import phone as phones

MODE = paymaster.FeeMode.UTILITY
PHONE = phones.Phone(0xC0570)
GUARDIAN = chain_fixture.Key(words.keccak(b"guardian"))
TWO_DAYS = control.CUSTODIAN_DELAY_SECONDS
BRINGER = chain_fixture.SPONSOR.address


def _deployed(chain: chain_fixture.Chain) -> payers.Payer:
    ada = payers.make(chain)
    for who in (ada.owner.address, GUARDIAN.address):
        chain.rpc("anvil_setBalance", words.checksummed(who), hex(10**18))
    assert chain.handle_ops(ada.pay_operation(MODE, ada.payment(MODE, amount_units=payers.ONE))).succeeded
    chain.send(ada.account, accounts.encode_enrol_customer(customer=PHONE.address), sender=ada.owner.address)
    chain.send(ada.account, control.encode_set_guardian(guardian=GUARDIAN.address), sender=ada.owner.address)
    return ada


def test_a_customers_passkey_takes_the_account_out_of_custody(chain: chain_fixture.Chain) -> None:
    ada, heir = _deployed(chain), payers.make(chain, "heir")
    call = control.encode_announce_exit(owner=heir.owner.address, keeps_guardian=False)
    digest = control.customer_call_digest(call=call, nonce=0, chain_id=chain.chain_id, account=ada.account)
    chain.send(ada.account, control.encode_call_as_customer(call=call, signature=PHONE.attest(digest)), sender=BRINGER)
    with pytest.raises(chain_fixture.RefusedByNode) as refused:
        chain.call(ada.account, control.encode_cancel_exit(), sender=ada.owner.address)
    assert reverts.name_of(refused.value.revert_data) == "ExitIsPending"

    chain.move_to(chain.now() + TWO_DAYS)
    chain.send(ada.account, control.encode_exit(), sender=BRINGER)

    assert ada.session() == accounts.SessionState(
        is_installed=False,
        is_revoked=False,
        is_frozen=False,
        spent_total_units=0,
        spent_in_period_units=0,
        period=0,
        lane_sequence=0,
    )
    with pytest.raises(chain_fixture.RefusedByNode) as refused:
        chain.handle_ops(ada.pay_operation(MODE, ada.payment(MODE, name="two")))
    assert "AA24" in reverts.describe(refused.value.revert_data)
    operation = ada.operation(payments.encode_pay_bill(payment=ada.payment(MODE, name="two")), mode=MODE)
    leave = sessions.encode_leave(
        consent=payers.CONSENT,
        owner_signature=heir.owner.sign(
            sessions.session_install_digest(
                policy=ada.policy, consent=payers.CONSENT, chain_id=chain.chain_id, account=ada.account
            )
        ),
    )
    signature = sessions.encode_session_signature(key_signature=ada.key.sign(ada.hash(operation)), leave=leave)
    assert chain.handle_ops(dataclasses.replace(operation, signature=signature)).succeeded


def test_a_guardian_holds_sessions_for_a_week(chain: chain_fixture.Chain) -> None:
    ada = _deployed(chain)
    ids = [sessions.session_id(policy=ada.policy)]
    chain.send(ada.account, control.encode_hold_sessions(session_ids=ids), sender=GUARDIAN.address)
    assert ada.session().is_frozen
    chain.move_to(chain.now() + control.HOLD_SECONDS)
    assert not ada.session().is_frozen
    assert chain.handle_ops(ada.pay_operation(MODE, ada.payment(MODE, name="two"))).succeeded


def test_a_session_calls_what_its_rules_let_through(chain: chain_fixture.Chain) -> None:
    ada = _deployed(chain)
    token = chain.deployment.ovpp
    rules = [
        calls.CallRule(
            target=token,
            selector=tokens.encode_transfer(to=payers.PAYEE, amount_units=0)[:4],
            bounds=(
                calls.WordBound(
                    index=0, least=int.from_bytes(payers.PAYEE, "big"), most=int.from_bytes(payers.PAYEE, "big")
                ),
                calls.WordBound(index=1, least=1, most=5),
            ),
        ),
        *(calls.CallRule(target=token, selector=bytes([0, 0, 0, n])) for n in range(1, 5)),
    ]
    for rule in rules[:1]:
        allow = control.encode_allow_calls(target=rule.target, selector=rule.selector)
        chain.send(ada.account, accounts.encode_schedule_change(call=allow), sender=ada.owner.address)
        chain.move_to(chain.now() + TWO_DAYS)
        chain.send(ada.account, allow, sender=ada.owner.address)
    policy = calls.CallPolicy(
        key=PHONE.address,
        starts_at=chain.now() - 10,
        ends_at=chain.now() + 3600,
        max_calls=2,
        salt=1,
        rules=calls.root_of(rules=rules),
    )
    digest = calls.session_install_digest(
        policy=policy, consent=payers.CONSENT, chain_id=chain.chain_id, account=ada.account
    )
    leave = sessions.encode_leave(consent=payers.CONSENT, owner_signature=ada.owner.sign(digest))
    data = tokens.encode_transfer(to=payers.PAYEE, amount_units=5)
    call_data = calls.encode_call(policy=policy, rules=rules, which=0, data=data)
    operation = ada.operation(call_data, mode=MODE)
    signature = sessions.encode_session_signature(key_signature=PHONE.attest(ada.hash(operation)), leave=leave)
    before = chain.balance(token, payers.PAYEE)
    assert chain.handle_ops(dataclasses.replace(operation, signature=signature)).succeeded
    assert chain.balance(token, payers.PAYEE) == before + 5
    state = chain.call(ada.account, accounts.encode_session(session_id=calls.session_id(policy=policy)))
    assert accounts.decode_session(result=state).is_installed
