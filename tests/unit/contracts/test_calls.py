"""Calldata of accounts, payments, paymaster and tokens against eth_abi, and back."""

import eth_abi
import pytest
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from contracts.bindings import accounts, paymaster, payments, sessions, tokens, user_operations, words

ADDRESSES = st.binary(min_size=20, max_size=20)
WORDS = st.binary(min_size=32, max_size=32)
REFERENCES = st.binary(min_size=16, max_size=16)
U96 = st.integers(0, 2**96 - 1)
U256 = st.integers(0, 2**256 - 1)
POLICIES = st.builds(
    sessions.SessionPolicy,
    key=ADDRESSES,
    payee=ADDRESSES,
    token=ADDRESSES,
    fee_token=ADDRESSES,
    max_per_payment_units=U96,
    max_per_period_units=U96,
    max_total_units=U96,
    max_fee_units=U96,
    max_fee_in_fee_token_units=U96,
    starts_at=st.integers(0, 2**40 - 1),
    ends_at=st.integers(0, 2**40 - 1),
    period_seconds=st.integers(0, 2**32 - 1),
    salt=st.integers(0, 2**48 - 1),
)
PAYMENTS = st.builds(
    payments.BillPayment,
    policy=POLICIES,
    reference=REFERENCES,
    amount_units=U256,
    fee_units=U256,
    in_fee_token=st.booleans(),
)
SIGNATURE = bytes(31) + b"\x01" + bytes(31) + b"\x02" + b"\x1b"
LEAVE = sessions.encode_leave(consent=b"\xc0" * 32, owner_signature=SIGNATURE)
INSTALL_FIELDS = {
    "key": "address",
    "payee": "address",
    "token": "address",
    "feeToken": "address",
    "maxPerPayment": "uint96",
    "maxPerPeriod": "uint96",
    "maxTotal": "uint96",
    "maxFee": "uint96",
    "maxFeeInFeeToken": "uint96",
    "startsAt": "uint40",
    "endsAt": "uint40",
    "periodSeconds": "uint32",
    "salt": "uint48",
    "consent": "bytes32",
}


def _abi(types: list[str], values: list[object]) -> bytes:
    encoded: bytes = eth_abi.encode(types, values)  # type: ignore[attr-defined]
    return encoded


def _words_of(policy: sessions.SessionPolicy) -> list[bytes]:
    packed = sessions.pack(policy=policy)
    return [packed[i : i + 32] for i in range(0, 160, 32)]


def _typed(domain: dict[str, object], name: str, fields: dict[str, str], message: dict[str, object]) -> bytes:
    signable = encode_typed_data(
        domain, {name: [{"name": field, "type": kind} for field, kind in fields.items()]}, message
    )
    return words.keccak(b"\x19\x01" + signable.header + signable.body)


def _account_domain(account: bytes) -> dict[str, object]:
    return {
        "name": "OpenVPP Account",
        "version": "1",
        "chainId": 31337,
        "verifyingContract": words.checksummed(account),
    }


@given(policy=POLICIES)
def test_policy_survives_packing(policy: sessions.SessionPolicy) -> None:
    assert sessions.unpack(packed=sessions.pack(policy=policy)) == policy


@given(policy=POLICIES, consent=st.binary(min_size=32, max_size=32), account=ADDRESSES)
def test_install_digest_is_eip_712(policy: sessions.SessionPolicy, consent: bytes, account: bytes) -> None:
    values = [
        words.checksummed(policy.key),
        words.checksummed(policy.payee),
        words.checksummed(policy.token),
        words.checksummed(policy.fee_token),
        policy.max_per_payment_units,
        policy.max_per_period_units,
        policy.max_total_units,
        policy.max_fee_units,
        policy.max_fee_in_fee_token_units,
        policy.starts_at,
        policy.ends_at,
        policy.period_seconds,
        policy.salt,
        consent,
    ]
    message = dict(zip(INSTALL_FIELDS, values, strict=True))

    digest = sessions.session_install_digest(policy=policy, consent=consent, chain_id=31337, account=account)

    assert digest == _typed(_account_domain(account), "SessionInstall", INSTALL_FIELDS, message)


@given(payment=PAYMENTS, sequence=st.integers(0, 2**32 - 1), deadline=st.integers(0, 2**40 - 1), account=ADDRESSES)
def test_payment_digest_is_eip_712(payment: payments.BillPayment, sequence: int, deadline: int, account: bytes) -> None:
    fields = {
        "sessionId": "bytes32",
        "ref": "bytes16",
        "amount": "uint256",
        "fee": "uint256",
        "inFeeToken": "bool",
        "sequence": "uint32",
        "deadline": "uint40",
    }
    message = {
        "sessionId": sessions.session_id(policy=payment.policy),
        "ref": payment.reference,
        "amount": payment.amount_units,
        "fee": payment.fee_units,
        "inFeeToken": payment.in_fee_token,
        "sequence": sequence,
        "deadline": deadline,
    }

    digest = payments.bill_payment_digest(
        payment=payment, sequence=sequence, deadline=deadline, chain_id=31337, account=account
    )

    assert digest == _typed(_account_domain(account), "BillPayment", fields, message)


@given(payment=PAYMENTS)
def test_pay_bill_there_and_back(payment: payments.BillPayment) -> None:
    encoded = payments.encode_pay_bill(payment=payment)

    values = [_words_of(payment.policy), payment.reference, payment.amount_units, payment.fee_units]
    assert encoded[4:] == _abi(["bytes32[5]", "bytes16", "uint256", "uint256", "bool"], [*values, payment.in_fee_token])
    assert payments.decode_pay_bill(call_data=encoded) == payment


@given(payment=PAYMENTS, where=st.integers(0, 291))
def test_pay_bill_cut_short_is_refused(payment: payments.BillPayment, where: int) -> None:
    encoded = payments.encode_pay_bill(payment=payment)

    with pytest.raises(accounts.UnableToReadCall):
        payments.decode_pay_bill(call_data=encoded[:where])
    with pytest.raises(accounts.UnableToReadCall):
        payments.decode_pay_bill(call_data=encoded + b"\x00")


@given(payment=PAYMENTS, deadline=st.integers(0, 2**40 - 1))
def test_pay_bill_signed_is_abi_encoded(payment: payments.BillPayment, deadline: int) -> None:
    encoded = payments.encode_pay_bill_signed(payment=payment, deadline=deadline, key_signature=SIGNATURE, leave=LEAVE)

    assert encoded[4:] == _abi(
        ["bytes32[5]", "(bytes16,uint256,uint256,bool)", "uint40", "bytes"],
        [
            _words_of(payment.policy),
            (payment.reference, payment.amount_units, payment.fee_units, payment.in_fee_token),
            deadline,
            SIGNATURE + LEAVE,
        ],
    )


@given(calls=st.lists(st.builds(accounts.Call, to=ADDRESSES, value_wei=U256, data=st.binary(max_size=100)), max_size=4))
def test_batch_there_and_back(calls: list[accounts.Call]) -> None:
    encoded = accounts.encode_execute_batch(calls=calls)

    batch = _abi(["(address,uint256,bytes)[]"], [[(call.to, call.value_wei, call.data) for call in calls]])
    assert encoded[4:] == _abi(["bytes32", "bytes"], [b"\x01" + bytes(31), batch])
    assert accounts.decode_execute_batch(call_data=encoded) == tuple(calls)


@given(data=st.binary(max_size=300))
def test_garbage_is_no_batch(data: bytes) -> None:
    head = accounts.encode_execute_batch(calls=[])[:36]

    for garbage in (data, head + data):
        try:
            accounts.decode_execute_batch(call_data=garbage)
        except accounts.UnableToReadCall:
            continue


@given(reference=REFERENCES, token=ADDRESSES, paid=st.lists(st.tuples(ADDRESSES, U256), min_size=1, max_size=5))
def test_payout_batch_there_and_back(reference: bytes, token: bytes, paid: list[tuple[bytes, int]]) -> None:
    batch = tokens.PayoutBatch(
        reference=reference,
        token=token,
        recipients=tuple(recipient for recipient, _ in paid),
        amounts_units=tuple(amount for _, amount in paid),
    )

    encoded = tokens.encode_pay_batch(batch=batch)

    assert encoded[4:] == _abi(
        ["bytes16", "address", "address[]", "uint256[]"],
        [reference, token, list(batch.recipients), list(batch.amounts_units)],
    )
    assert tokens.decode_pay_batch(call_data=encoded) == batch


@given(
    sender=ADDRESSES,
    nonce=U256,
    call_data=st.binary(max_size=100),
    utility_id=st.integers(0, 2**64 - 1),
    mode=st.sampled_from(list(paymaster.FeeMode)),
    fee=st.integers(0, 2**128 - 1),
)
def test_sponsor_digest_is_eip_712(  # noqa: PLR0917
    sender: bytes, nonce: int, call_data: bytes, utility_id: int, mode: paymaster.FeeMode, fee: int
) -> None:
    operation = user_operations.UserOperation(
        sender=sender,
        nonce=nonce,
        call_data=call_data,
        verification_gas_limit=1,
        call_gas_limit=2,
        pre_verification_gas=3,
        max_priority_fee_per_gas=4,
        max_fee_per_gas=5,
    )
    sponsorship = paymaster.Sponsorship(
        paymaster=b"\x11" * 20,
        mode=mode,
        utility_id=utility_id,
        program_id=utility_id // 2,
        valid_after=6,
        valid_until=7,
        fee_units=fee,
        verification_gas_limit=8,
        post_op_gas_limit=9,
    )
    fields = {
        "sender": "address",
        "nonce": "uint256",
        "initCodeHash": "bytes32",
        "callDataHash": "bytes32",
        "accountGasLimits": "bytes32",
        "preVerificationGas": "uint256",
        "gasFees": "bytes32",
        "paymasterFieldsHash": "bytes32",
    }
    message = {
        "sender": words.checksummed(sender),
        "nonce": nonce,
        "initCodeHash": words.keccak(b""),
        "callDataHash": words.keccak(call_data),
        "accountGasLimits": operation.account_gas_limits,
        "preVerificationGas": 3,
        "gasFees": operation.gas_fees,
        "paymasterFieldsHash": words.keccak(paymaster.encode_paymaster_data(sponsorship=sponsorship)),
    }
    domain: dict[str, object] = {
        "name": "OpenVPP Paymaster",
        "version": "1",
        "chainId": 31337,
        "verifyingContract": "0x" + "11" * 20,
    }

    digest = paymaster.sponsor_digest(operation=operation, sponsorship=sponsorship, chain_id=31337)

    assert digest == _typed(domain, "SponsoredOperation", fields, message)
    with_data = paymaster.sponsored(operation=operation, sponsorship=sponsorship, sponsor_signature=SIGNATURE)
    assert paymaster.sponsor_digest(operation=with_data, sponsorship=sponsorship, chain_id=31337) == digest
    assert len(with_data.paymaster_and_data) == 20 + 32 + 45 + 65


@pytest.mark.parametrize("field", ["max_per_payment_units", "max_fee_units", "starts_at", "period_seconds", "salt"])
def test_policy_field_that_does_not_fit_is_refused(field: str) -> None:
    fields: dict[str, int] = {
        "max_per_payment_units": 1,
        "max_per_period_units": 1,
        "max_total_units": 1,
        "max_fee_units": 1,
        "starts_at": 1,
        "ends_at": 2,
        "period_seconds": 0,
        "salt": 1,
    }
    policy = sessions.SessionPolicy(
        key=bytes(20), payee=bytes(20), token=bytes(20), fee_token=bytes(20), **(fields | {field: 2**96})
    )

    with pytest.raises(ValueError, match="does not fit"):
        sessions.pack(policy=policy)


def test_signature_is_normalised_or_refused() -> None:
    low, high = SIGNATURE[:64], SIGNATURE[:32] + b"\xff" * 32
    assert words.signature(low + b"\x00")[64] == 27
    assert words.signature(low + b"\x1c")[64] == 28
    with pytest.raises(ValueError, match="lower half"):
        words.signature(high + b"\x1b")
    with pytest.raises(ValueError, match="last byte"):
        words.signature(low + b"\x05")
    with pytest.raises(ValueError, match="65 bytes"):
        words.signature(low)


def test_address_checksum() -> None:
    text = "0x4337084D9E255Ff0702461CF8895CE9E3b5Ff108"
    assert words.checksummed(words.parse_address(text.lower())) == text
    with pytest.raises(ValueError, match="checksum"):
        words.parse_address(text.replace("D9E", "d9E"))
    with pytest.raises(ValueError, match="20 bytes"):
        words.parse_address("0x12")
