"""Operations as they come over the wire: every field read exactly, or refused by its name."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.bindings import delegations, user_operations
from relayer.domain import codes, own_accounts, wire
from tests import chain_fixture

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


def authorized(**changes: object) -> tuple[dict[str, object], delegations.Authorization]:
    """Return an operation of an account that says whose code it runs, and what it says."""
    key = chain_fixture.Key(b"\x01" * 32)
    bare = delegations.Authorization(chain_id=1, delegate=b"\x77" * 20, nonce=3, signature=bytes(65))
    said = dataclasses.replace(bare, signature=key.sign(bare.digest()))
    operation = dataclasses.replace(OPERATION, sender=key.address, init_code=b"\x77\x02".ljust(20, b"\0") + b"\x01")
    fields = wire.write_operation(operation, said)
    return fields | {"eip7702Auth": fields["eip7702Auth"] | changes}, said


def test_the_hash_of_a_delegated_sender_names_its_delegate() -> None:
    fields, said = authorized()
    assert fields["factory"] == "0x7702"
    received = wire.read_operation(fields)
    assert received.authorization == said
    named = dataclasses.replace(received.operation, init_code=said.delegate + b"\x01")
    entry_point = b"\x99" * 20
    assert received.hash(chain_id=1, entry_point=entry_point) == user_operations.hash_user_operation(
        operation=named, chain_id=1, entry_point=entry_point
    )
    plain = wire.read_operation({name: value for name, value in fields.items() if not name.startswith("factory")})
    assert plain.hash(chain_id=1, entry_point=entry_point) == user_operations.hash_user_operation(
        operation=plain.operation, chain_id=1, entry_point=entry_point
    )


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("chainId", "0x2", "eip7702Auth is not signed by the sender"),
        ("nonce", "0x4", "eip7702Auth is not signed by the sender"),
        ("address", "0x" + "78" * 20, "eip7702Auth is not signed by the sender"),
        ("yParity", "0x2", "yParity does not fit in 1 bits"),
        ("r", "0x0", "eip7702Auth is not signed by the sender"),
        ("s", "0x" + "f" * 64, "eip7702Auth is not signed by the sender"),
        ("s", None, "s is no hexadecimal quantity"),
        ("chainId", 1, "chainId is no hexadecimal quantity"),
        ("chainId", "0x1_0", "chainId is no hexadecimal quantity"),
        ("address", None, "address is no address"),
    ],
)
def test_an_authorisation_is_the_senders_own_and_whole(name: str, value: object, complaint: str) -> None:
    fields, _ = authorized(**{name: value})
    with pytest.raises(codes.RefusedCall) as refused:
        wire.read_operation(fields)
    assert refused.value.code == codes.Code.BAD_PARAMETERS
    assert refused.value.message == f"{complaint}."


def test_an_authorisation_may_be_unsigned_while_gas_is_estimated_and_stands_beside_no_other_factory() -> None:
    fields, said = authorized(r=None, s=None, yParity="0x1")
    read = wire.read_operation(fields, is_partial=True).authorization
    assert read == dataclasses.replace(said, signature=bytes(64) + b"\x01")
    with pytest.raises(codes.RefusedCall, match="factory makes the sender"):
        wire.read_operation(authorized()[0] | {"factory": "0x" + "22" * 20})
    with pytest.raises(codes.RefusedCall, match="eip7702Auth is no object"):
        wire.read_operation(fields | {"eip7702Auth": "0x"})


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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("factory", "0x77 02" + "0" * 36),
        ("factory", "0x\t7702" + "0" * 36),
        ("sender", "0x" + "11" * 19 + " 11"),
        ("callData", "0x12 34"),
    ],
)
def test_blanks_between_digits_are_refused(name: str, value: str) -> None:
    """A factory so written was the mark of EIP-7702 without the authorisation that its hash needs."""
    written = wire.write_operation(OPERATION) | {name: value}
    with pytest.raises(codes.RefusedCall):
        wire.read_operation(written)
