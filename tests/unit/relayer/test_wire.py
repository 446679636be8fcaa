"""Operations as they come over the wire: every field read exactly, or refused by its name."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.bindings import user_operations
from relayer.domain import codes, own_accounts, wire

ADDRESS = st.binary(min_size=20, max_size=20).filter(lambda raw: any(raw[2:]))
GAS = st.integers(0, 2**40 - 1)
PRICE = st.integers(0, 2**96 - 1)
OPERATION = user_operations.UserOperation(
    sender=b"\x11" * 20,
    nonce=5,
    init_code=b"\x22" * 20 + b"\x01",
    call_data=b"\x33",
    verification_gas_limit=1,
    call_gas_limit=2,
    pre_verification_gas=3,
    max_priority_fee_per_gas=4,
    max_fee_per_gas=5,
    paymaster_and_data=b"\x44" * 20 + (6).to_bytes(16) + (7).to_bytes(16) + b"\x55",
    signature=b"\x66",
)


@given(
    st.builds(
        user_operations.UserOperation,
        sender=ADDRESS,
        nonce=st.integers(0, 2**256 - 1),
        init_code=st.one_of(st.just(b""), st.builds(lambda a, b: a + b, ADDRESS, st.binary(max_size=40))),
        call_data=st.binary(max_size=100),
        verification_gas_limit=GAS,
        call_gas_limit=GAS,
        pre_verification_gas=GAS,
        max_priority_fee_per_gas=PRICE,
        max_fee_per_gas=PRICE,
        paymaster_and_data=st.one_of(
            st.just(b""),
            st.builds(
                lambda a, v, p, d: a + v.to_bytes(16) + p.to_bytes(16) + d, ADDRESS, GAS, GAS, st.binary(max_size=40)
            ),
        ),
        signature=st.binary(max_size=80),
    )
)
def test_what_is_written_is_read_back(operation: user_operations.UserOperation) -> None:
    assert wire.read_operation(wire.write_operation(operation)).operation == operation


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sender", "0x11"),
        ("sender", None),
        ("nonce", "5"),
        ("nonce", "0x" + "f" * 65),
        ("callGasLimit", "0x-1"),
        ("callGasLimit", 2),
        ("callData", "0x0"),
        ("signature", None),
        ("paymasterPostOpGasLimit", None),
        ("factory", "0x7702"),
    ],
)
def test_a_bad_field_is_named(name: str, value: object) -> None:
    fields: dict[str, object] = dict(wire.write_operation(OPERATION))
    with pytest.raises(codes.RefusedCall) as refused:
        wire.read_operation(fields | {name: value})
    assert refused.value.code == codes.Code.BAD_PARAMETERS
    assert refused.value.message.startswith("eip7702Auth" if value == "0x7702" else name)


def test_the_hash_of_a_delegated_sender_names_its_delegate() -> None:
    delegate = b"\x77" * 20
    fields: dict[str, object] = dict(wire.write_operation(OPERATION))
    fields |= {"factory": "0x7702", "eip7702Auth": {"address": "0x" + delegate.hex()}}
    received = wire.read_operation(fields)
    assert received.operation.init_code == b"\x77\x02".ljust(20, b"\0") + b"\x01"
    named = dataclasses.replace(OPERATION, init_code=delegate + b"\x01")
    entry_point = b"\x99" * 20
    assert received.hash(chain_id=1, entry_point=entry_point) == user_operations.hash_user_operation(
        operation=named, chain_id=1, entry_point=entry_point
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [("AA10 x", -32500), ("AA24 x", -32507), ("AA22", -32503), ("AA33", -32501), ("AA34", -32507), ("AA32", -32503)],
)
def test_errors_of_the_entry_point_have_their_code(error: str, code: int) -> None:
    assert codes.of_entry_point(error) == code


def test_an_account_is_ours_by_its_code_and_by_what_its_slot_names() -> None:
    known, other, factory = b"\xaa" * 20, b"\xbb" * 20, b"\xcc" * 20
    code = own_accounts._HEAD + known + own_accounts._TAIL + b"\xdd" * 20

    def is_known(code: bytes, word: bytes = bytes(32), init_code: bytes = b"") -> bool:
        standing = own_accounts.Standing(code=code, implementation_word=word)
        return own_accounts.is_known(standing=standing, init_code=init_code, factory=factory, implementations=(known,))

    assert is_known(code)
    assert is_known(code, known.rjust(32, b"\0"))
    assert not is_known(code, other.rjust(32, b"\0"))
    assert not is_known(code.replace(known, other))
    assert is_known(code.replace(known, other), known.rjust(32, b"\0"))
    assert not is_known(code + b"\0")
    assert not is_known(code[:-1])
    assert is_known(b"", init_code=factory + b"\x01")
    assert not is_known(b"", init_code=other)
    assert not is_known(b"\xef\x01\x00" + known)
