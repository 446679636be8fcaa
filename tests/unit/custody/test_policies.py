"""What each kind of key signs, and every refusal."""

import dataclasses
import os
from typing import Any

import pytest

from contracts.bindings import accounts, control, delegations, paymaster, payments, tokens, user_operations, words
from custody.domain import intents, policies, transactions
from tests import chain_fixture

CHAIN = 31337
NOW = 1_800_000_000
KEY = bytes.fromhex("aa" * 20)
ACCOUNT = bytes.fromhex("11" * 20)
OTHER = bytes.fromhex("99" * 20)
PAYEE = bytes.fromhex("22" * 20)
TOKEN = bytes.fromhex("33" * 20)
FEE_TOKEN = bytes.fromhex("44" * 20)
PAYOUTS = bytes.fromhex("55" * 20)
PAYMASTER = bytes.fromhex("66" * 20)
ENTRY_POINT = bytes.fromhex("4337084D9E255Ff0702461CF8895CE9E3b5Ff108")

SESSION = policies.Session(
    chain_id=CHAIN,
    account=ACCOUNT,
    payee=PAYEE,
    token=TOKEN,
    fee_token=FEE_TOKEN,
    max_per_payment_units=100,
    max_per_period_units=150,
    max_total_units=1000,
    max_fee_units=5,
    max_fee_in_fee_token_units=50,
    starts_at=NOW - 100,
    ends_at=NOW + 100,
    period_seconds=86400,
    salt=7,
)
OWNER = policies.WalletOwner(chain_id=CHAIN, salt=bytes(32), account=ACCOUNT, payee=PAYEE)
TREASURY = policies.TreasuryOwner(chain_id=CHAIN, salt=bytes(32), account=ACCOUNT, payouts=PAYOUTS, caps=())
GUARDIAN = policies.Guardian(chain_id=CHAIN, salt=bytes(32), account=ACCOUNT)
RELAYER = policies.Relayer(chain_id=CHAIN, entry_point=ENTRY_POINT, max_cost_wei=10**15)
SPONSOR = policies.Sponsor(chain_id=CHAIN, paymaster=PAYMASTER, max_cost_wei=10**15)


def operation(call_data: bytes = b"", **changes: Any) -> intents.UserOperation:
    built = user_operations.UserOperation(
        sender=ACCOUNT,
        nonce=0,
        call_data=call_data,
        verification_gas_limit=100_000,
        call_gas_limit=100_000,
        pre_verification_gas=50_000,
        max_priority_fee_per_gas=1,
        max_fee_per_gas=1000,
        paymaster_and_data=PAYMASTER + bytes(133),
    )
    chain_id = changes.pop("chain_id", CHAIN)
    return intents.UserOperation(
        chain_id=chain_id, entry_point=ENTRY_POINT, operation=dataclasses.replace(built, **changes)
    )


def payment(policy: dict[str, Any] | None = None, **changes: Any) -> bytes:
    made = payments.BillPayment(
        policy=dataclasses.replace(SESSION.on_chain(key=KEY), **(policy or {})),
        reference=bytes(16),
        amount_units=90,
        fee_units=5,
    )
    return payments.encode_pay_bill(payment=dataclasses.replace(made, **changes))


def verdict(policy: Any, intent: intents.Intent, timestamp: int = NOW) -> str:
    answer = policy.check(intent=intent, address=KEY, timestamp=timestamp)
    return "allowed" if isinstance(answer, policies.Allowed) else answer.code


def test_a_session_key_pays_within_its_limits_to_the_unit() -> None:
    assert verdict(SESSION, operation(payment())) == "allowed"
    assert verdict(SESSION, operation(payment(amount_units=95, fee_units=5))) == "allowed"
    assert verdict(SESSION, operation(payment(amount_units=100, fee_units=50, in_fee_token=True))) == "allowed"


@pytest.mark.parametrize(
    ("intent", "code"),
    [
        (operation(payment(amount_units=96)), "above_limit"),
        (operation(payment(amount_units=101, fee_units=0)), "above_limit"),
        (operation(payment(amount_units=0)), "nothing_to_pay"),
        (operation(payment(amount_units=1, fee_units=6)), "above_fee_limit"),
        (operation(payment(amount_units=1, fee_units=51, in_fee_token=True)), "above_fee_limit"),
        (operation(payment({"payee": OTHER})), "other_payee"),
        (operation(payment({"token": OTHER})), "other_token"),
        (operation(payment({"fee_token": OTHER})), "other_fee_token"),
        (operation(payment({"max_total_units": 2000})), "other_policy"),
        (operation(payment({"salt": 8})), "other_policy"),
        (operation(payment({"key": OTHER})), "other_policy"),
        (operation(payment({"ends_at": NOW + 101})), "other_policy"),
        (operation(payment(), sender=OTHER), "other_account"),
        (operation(payment(), chain_id=1), "other_chain"),
        (operation(payment(), paymaster_and_data=b""), "not_sponsored"),
        (operation(payment() + b"\x00"), "other_call"),
        (operation(accounts.encode_execute_batch(calls=[accounts.Call(to=OTHER, value_wei=1)])), "other_call"),
        (operation(accounts.encode_revoke_sessions(session_ids=[bytes(32)])), "other_call"),
        (operation(tokens.encode_transfer(to=OTHER, amount_units=1)), "other_call"),
    ],
)
def test_a_session_key_refuses(intent: intents.Intent, code: str) -> None:
    assert verdict(SESSION, intent) == code


@pytest.mark.parametrize(
    ("timestamp", "code"),
    [(NOW - 101, "outside_session"), (NOW - 100, "allowed"), (NOW + 99, "allowed"), (NOW + 100, "outside_session")],
)
def test_a_session_key_signs_in_its_half_open_life_alone(timestamp: int, code: str) -> None:
    assert verdict(SESSION, operation(payment()), timestamp) == code


def test_a_session_without_a_second_fee_token_takes_no_fee_in_it() -> None:
    without = dataclasses.replace(SESSION, fee_token=words.ZERO_ADDRESS)
    call = payments.encode_pay_bill(
        payment=payments.BillPayment(
            policy=without.on_chain(key=KEY), reference=bytes(16), amount_units=1, fee_units=1, in_fee_token=True
        )
    )
    assert verdict(without, operation(call)) == "no_fee_token"


def install(account: bytes = ACCOUNT, chain_id: int = CHAIN, **changes: Any) -> intents.SessionInstall:
    policy = dataclasses.replace(SESSION.on_chain(key=KEY), **changes)
    return intents.SessionInstall(chain_id=chain_id, account=account, policy=policy, consent=bytes(32))


@pytest.mark.parametrize(
    ("intent", "code"),
    [
        (install(), "allowed"),
        (operation(accounts.encode_revoke_sessions(session_ids=[bytes(32)])), "allowed"),
        (operation(accounts.encode_freeze_sessions(session_ids=[bytes(32)])), "allowed"),
        (install(account=OTHER), "other_account"),
        (install(chain_id=1), "other_chain"),
        (install(payee=words.ZERO_ADDRESS), "policy_not_enforceable"),
        (install(period_seconds=60), "policy_not_enforceable"),
        (install(payee=OTHER), "other_payee"),
        (operation(accounts.encode_unfreeze_sessions(session_ids=[bytes(32)])), "other_call"),
        (operation(payment()), "other_call"),
        (operation(accounts.encode_execute_batch(calls=[accounts.Call(to=OTHER, value_wei=1)])), "other_call"),
        (operation(accounts.encode_revoke_sessions(session_ids=[]), sender=OTHER), "other_account"),
        (operation(accounts.encode_revoke_sessions(session_ids=[]), chain_id=1), "other_chain"),
        (operation(accounts.encode_revoke_sessions(session_ids=[]), paymaster_and_data=b""), "not_sponsored"),
    ],
)
def test_a_wallet_owner(intent: intents.Intent, code: str) -> None:
    assert verdict(OWNER, intent) == code


BATCH = tokens.PayoutBatch(reference=bytes(16), token=TOKEN, recipients=(OTHER, PAYEE), amounts_units=(3, 4))
PAY = accounts.Call(to=PAYOUTS, data=tokens.encode_pay_batch(batch=BATCH))


def approve(units: int = 7, spender: bytes = PAYOUTS, token: bytes = TOKEN, value_wei: int = 0) -> accounts.Call:
    return accounts.Call(to=token, value_wei=value_wei, data=tokens.encode_approve(spender=spender, amount_units=units))


def batch(*calls: accounts.Call, **changes: Any) -> intents.UserOperation:
    return operation(accounts.encode_execute_batch(calls=calls), **changes)


@pytest.mark.parametrize(
    ("intent", "code"),
    [
        (batch(approve(), PAY), "allowed"),
        (batch(approve(8), PAY), "other_approval"),
        (batch(approve(6), PAY), "other_approval"),
        (batch(approve(spender=OTHER), PAY), "other_approval"),
        (batch(approve(token=OTHER), PAY), "other_approval"),
        (batch(approve(value_wei=1), PAY), "other_contract"),
        (batch(approve(), dataclasses.replace(PAY, to=OTHER)), "other_contract"),
        (batch(approve(), dataclasses.replace(PAY, value_wei=1)), "other_contract"),
        (batch(PAY), "other_call"),
        (batch(approve(), PAY, accounts.Call(to=OTHER, value_wei=1)), "other_call"),
        (batch(approve(), approve()), "other_call"),
        (operation(accounts.encode_execute_batch(calls=[approve(), PAY]) + bytes(32)), "other_encoding"),
        (batch(approve(), dataclasses.replace(PAY, data=PAY.data + bytes(32))), "other_encoding"),
        (batch(approve(), PAY, sender=OTHER), "other_account"),
        (batch(approve(), PAY, paymaster_and_data=b""), "not_sponsored"),
        (operation(payment()), "other_call"),
        (install(), "other_intent"),
    ],
)
def test_a_treasury_owner(intent: intents.Intent, code: str) -> None:
    assert verdict(TREASURY, intent) == code


def guarding(data: bytes, **changes: Any) -> intents.UserOperation:
    return batch(accounts.Call(to=OTHER, data=data), **changes)


CANCEL = accounts.encode_cancel_change(call=control.encode_recover(previous_owner=KEY, owner=PAYEE))
SIGNED = bytes(63) + b"\x01" + b"\x1b"


@pytest.mark.parametrize(
    ("intent", "code"),
    [
        (guarding(control.encode_hold_sessions(session_ids=[bytes(32)])), "allowed"),
        (guarding(accounts.encode_revoke_sessions(session_ids=[bytes(32)])), "allowed"),
        (guarding(control.encode_schedule_recovery(owner=PAYEE)), "allowed"),
        (guarding(control.encode_recover(previous_owner=KEY, owner=PAYEE)), "allowed"),
        (guarding(control.encode_call_as_customer(call=CANCEL, signature=SIGNED)), "allowed"),
        (guarding(control.encode_call_as_customer(call=control.encode_cancel_exit(), signature=SIGNED)), "other_call"),
        (guarding(control.encode_schedule_recovery(owner=PAYEE) + bytes(1)), "other_call"),
        (guarding(control.encode_recover(previous_owner=KEY, owner=PAYEE) + bytes(32)), "other_call"),
        (guarding(control.encode_cancel_exit()), "other_call"),
        (guarding(control.encode_exit()), "other_call"),
        (guarding(control.encode_set_guardian(guardian=PAYEE)), "other_call"),
        (guarding(accounts.encode_upgrade(implementation=PAYEE)), "other_call"),
        (guarding(accounts.encode_change_owner(owner=PAYEE)), "other_call"),
        (guarding(tokens.encode_transfer(to=PAYEE, amount_units=1)), "other_call"),
        (guarding(b""), "other_call"),
        (batch(accounts.Call(to=OTHER, value_wei=1, data=control.encode_schedule_recovery(owner=PAYEE))), "other_call"),
        (batch(*[accounts.Call(to=OTHER, data=control.encode_schedule_recovery(owner=PAYEE))] * 2), "other_call"),
        (operation(control.encode_schedule_recovery(owner=PAYEE)), "other_call"),
        (guarding(control.encode_schedule_recovery(owner=PAYEE), sender=OTHER), "other_account"),
        (guarding(control.encode_schedule_recovery(owner=PAYEE), chain_id=1), "other_chain"),
        (guarding(control.encode_schedule_recovery(owner=PAYEE), paymaster_and_data=b""), "not_sponsored"),
        (install(), "other_intent"),
    ],
)
def test_a_guardian(intent: intents.Intent, code: str) -> None:
    assert verdict(GUARDIAN, intent) == code


def transaction(**changes: Any) -> intents.Transaction:
    built = transactions.Transaction(
        chain_id=CHAIN,
        nonce=0,
        max_priority_fee_per_gas_wei=1,
        max_fee_per_gas_wei=10**9,
        gas_limit=10**6,
        to=ENTRY_POINT,
        value_wei=0,
        data=user_operations.encode_handle_ops(operations=[operation().operation], beneficiary=KEY),
    )
    return intents.Transaction(transaction=dataclasses.replace(built, **changes))


def authorization(chain_id: int = CHAIN) -> delegations.Authorization:
    return delegations.Authorization(chain_id=chain_id, delegate=OTHER, nonce=0, signature=bytes(65))


OWN = chain_fixture.Key(b"\x07" * 32)


def test_a_relayer_key_gives_its_own_account_no_code() -> None:
    bare = authorization()
    own = dataclasses.replace(bare, signature=OWN.sign(bare.digest()))
    data = user_operations.encode_handle_ops(operations=[], beneficiary=OWN.address)
    found = RELAYER.check(intent=transaction(data=data, authorizations=(bare, own)), address=OWN.address, timestamp=NOW)
    assert found == policies.Denied("own_authorization", "The key gives its own account no code.")


@pytest.mark.parametrize(
    ("intent", "code"),
    [
        (transaction(), "allowed"),
        (transaction(authorizations=(authorization(), authorization(0))), "allowed"),
        (transaction(authorizations=(authorization(), authorization(1))), "other_authorization"),
        (transaction(authorizations=(authorization(),) * 101), "too_many_authorizations"),
        (transaction(authorizations=(authorization(),), to=OTHER), "other_call"),
        (transaction(gas_limit=10**6 + 1), "above_cost_limit"),
        (transaction(chain_id=1), "other_chain"),
        (transaction(to=OTHER), "other_call"),
        (transaction(value_wei=1), "other_call"),
        (transaction(data=b""), "other_call"),
        (transaction(data=user_operations.encode_deposit_of(holder=KEY)), "other_call"),
        (transaction(data=user_operations.encode_handle_ops(operations=[], beneficiary=OTHER)), "other_beneficiary"),
        (operation(payment()), "other_intent"),
        (install(), "other_intent"),
    ],
)
def test_a_relayer_key(intent: intents.Intent, code: str) -> None:
    assert verdict(RELAYER, intent) == code


RELAY_PAYMASTER = bytes.fromhex("77" * 20)
REFILL = policies.Refill(
    chain_id=CHAIN,
    entry_point=ENTRY_POINT,
    paymaster=PAYMASTER,
    relay_paymaster=RELAY_PAYMASTER,
    max_per_transfer_wei=10**18,
    max_per_day_wei=10**19,
)
DEPOSIT = user_operations.encode_deposit_to(account=PAYMASTER)


@pytest.mark.parametrize(
    ("intent", "code"),
    [
        (transaction(to=OTHER, data=b"", value_wei=1), "allowed"),
        (transaction(data=DEPOSIT, value_wei=1), "allowed"),
        (transaction(data=user_operations.encode_deposit_to(account=RELAY_PAYMASTER), value_wei=1), "allowed"),
        (transaction(to=OTHER, data=b"", value_wei=10**18), "above_cost_limit"),
        (transaction(to=OTHER, data=b"", chain_id=1), "other_chain"),
        (transaction(data=user_operations.encode_deposit_to(account=OTHER), value_wei=1), "other_call"),
        (transaction(data=user_operations.encode_deposit_to(account=bytes(20)), value_wei=1), "other_call"),
        (transaction(to=OTHER, data=DEPOSIT, value_wei=1), "other_call"),
        (transaction(data=DEPOSIT + bytes(1), value_wei=1), "other_call"),
        (transaction(data=b"", value_wei=1), "other_call"),
        (transaction(), "other_call"),
        (operation(payment()), "other_intent"),
        (install(), "other_intent"),
    ],
)
def test_a_refill_key(intent: intents.Intent, code: str) -> None:
    assert verdict(REFILL, intent) == code


def sponsorship(chain_id: int = CHAIN, max_fee_per_gas: int = 1000, **changes: Any) -> intents.Sponsorship:
    granted = paymaster.Sponsorship(
        paymaster=PAYMASTER,
        mode=paymaster.FeeMode.UTILITY,
        utility_id=1,
        valid_after=0,
        valid_until=NOW + 60,
        fee_units=0,
        verification_gas_limit=60_000,
        post_op_gas_limit=25_000,
    )
    return intents.Sponsorship(
        chain_id=chain_id,
        operation=operation(payment(), max_fee_per_gas=max_fee_per_gas).operation,
        sponsorship=dataclasses.replace(granted, **changes),
    )


@pytest.mark.parametrize(
    ("intent", "code"),
    [
        (sponsorship(), "allowed"),
        (sponsorship(chain_id=1), "other_chain"),
        (sponsorship(paymaster=OTHER), "other_paymaster"),
        (sponsorship(valid_until=NOW), "expired"),
        (sponsorship(max_fee_per_gas=10**10), "above_cost_limit"),
        (transaction(), "other_intent"),
    ],
)
def test_a_sponsor(intent: intents.Intent, code: str) -> None:
    assert verdict(SPONSOR, intent) == code


@pytest.mark.parametrize("policy", [SESSION, OWNER, TREASURY, RELAYER, SPONSOR])
def test_a_policy_reads_back_as_it_was_written_and_takes_no_unknown_field(policy: Any) -> None:
    written = policy.to_json()
    purpose = written["tag"].partition("/")[0]
    assert policies.parse(purpose=purpose, value=written) == policy
    for wrong in (
        written | {"more": 1},
        written | {"tag": "session/2"},
        written | {"chain_id": -1},
        written | {"chain_id": True},
    ):
        with pytest.raises(policies.UnableToReadPolicy):
            policies.parse(purpose=purpose, value=wrong)
    for name in written.keys() - {"tag", "fee_token", "max_fee_in_fee_token_units"}:
        with pytest.raises(policies.UnableToReadPolicy):
            policies.parse(purpose=purpose, value={key: value for key, value in written.items() if key != name})


@pytest.mark.parametrize("intent", [operation(payment()), install(), transaction(), sponsorship()])
def test_an_intent_crosses_the_wire_unchanged(intent: intents.Intent) -> None:
    assert intents.parse(intent.to_json()) == intent
    assert intents.parse(intent.to_json()).digest() == intent.digest()


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"kind": "hash", "digest": "0x" + os.urandom(32).hex()},
        {"kind": "user_operation"},
        {"kind": "session_install", "chain_id": 1, "account": "0x11", "policy": "0x"},
        transaction().to_json() | {"nonce": -1},
        transaction().to_json() | {"nonce": "1"},
        transaction().to_json() | {"data": "deadbeef"},
    ],
)
def test_what_is_no_intent_is_refused(wish: dict[str, Any]) -> None:
    with pytest.raises(intents.UnableToReadIntent):
        intents.parse(wish)
