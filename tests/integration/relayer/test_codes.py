"""Every error code of ERC-7769 from -32500 to -32521, each brought about on a real chain."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest

from contracts.bindings import words
from openvpp.core import clock
from relayer import models
from relayer.adapters import entities
from relayer.domain import codes, wire
from tests import chain_fixture
from tests.integration.relayer import application as applications
from tests.integration.relayer import test_strangers
from tests.integration.relayer.conftest import Relayer

pytestmark = pytest.mark.django_db(transaction=True)

stranger = test_strangers.stranger
AT = applications.ENTRY_POINT
ELSEWHERE = b"\x98" * 20
# Code that answers with the word that was pushed: MSTORE at 0, RETURN 32 bytes. YES pushes 0.
ANSWERS = "5f5260205ff3"
YES = "5f" + ANSWERS


@pytest.fixture(autouse=True)
def _deposits_are_looked_at() -> None:
    entities._read.cache_clear()


@dataclasses.dataclass(frozen=True)
class Case:
    """An account's code and an operation of its, and what is known of a paymaster elsewhere."""

    name: str
    code: str
    expected: int | None
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    deposit_wei: int = 0
    seen: int = 0


ELSEWHERE_PAYS = {"paymaster_and_data": ELSEWHERE + (50_000).to_bytes(16) + bytes(16)}
CASES = [
    Case("it is fine", YES, None),
    Case("the account reverts", "5f5ffd", -32500),
    Case("its nonce is used", YES, -32500, {"nonce": 1}),
    Case("it has no code", "", -32500),
    Case("nobody pays", YES, -32500, {"paymaster_and_data": b""}),
    Case("the paymaster has no code", YES, -32501, ELSEWHERE_PAYS, deposit_wei=10**18),
    Case("it asks the time", test_strangers.ASKS_THE_TIME, -32502),
    Case("it is over", "74" + "01" + "00" * 20 + ANSWERS, -32503),
    Case("it is not due yet", "7f" + "ff" * 6 + "00" * 26 + ANSWERS, -32503),
    Case("the paymaster is banned", YES, -32504, ELSEWHERE_PAYS, deposit_wei=10**18, seen=10_000),
    Case("it asks for its balance without a stake", "4750" + YES, -32505),
    Case("it names an aggregator", "73" + "98" * 20 + ANSWERS, -32506),
    Case("its signature is wrong", "6001" + ANSWERS, -32507),
    Case("the paymaster has no deposit", YES, -32508, ELSEWHERE_PAYS),
    Case("too little gas for its calldata", YES, -32602, {"pre_verification_gas": 21_000}),
    Case("more gas than is taken", YES, -32602, {"call_gas_limit": 2**39}),
    Case("a tip above its price", YES, -32602, {"max_priority_fee_per_gas": 2**90}),
]


def deposit(relayer: Relayer, wei: int) -> None:
    """Give the paymaster elsewhere a deposit."""
    data = words.selector("depositTo(address)") + words.address(ELSEWHERE)
    at, payer = relayer.chain.deployment.entry_point, chain_fixture.DEPLOYER.address
    assert relayer.chain.send(at, data, sender=payer, value_wei=wei).succeeded


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_refusal_has_its_code(relayer: Relayer, stranger: test_strangers.Stranger, case: Case) -> None:
    stranger.set_code(case.code)
    if case.deposit_wei:
        deposit(relayer, case.deposit_wei)
    models.Reputation.objects.create(
        chain_id=relayer.chain.chain_id,
        entity=words.checksummed(ELSEWHERE),
        seen=case.seen,
        included=0,
        counted_at=clock.get_now(),
    )
    sent = wire.write_operation(dataclasses.replace(stranger.operation(), **case.changes))
    answer = stranger.application.ask("eth_sendUserOperation", sent, AT)
    assert answer.get("error", {}).get("code") == case.expected, answer
    assert models.UserOperation.objects.exists() is (case.expected is None)


def test_a_deposit_for_one_is_not_taken_for_two(relayer: Relayer, stranger: test_strangers.Stranger) -> None:
    stranger.set_code(YES)
    relayer.chain.rpc("anvil_setCode", words.checksummed(ELSEWHERE), "0x60405f5260605ff3")  # no context, and yes
    first = dataclasses.replace(stranger.operation(), **ELSEWHERE_PAYS)  # type: ignore[arg-type] # fields by name
    gas = first.verification_gas_limit + first.call_gas_limit + first.pre_verification_gas + 50_000
    deposit(relayer, gas * first.max_fee_per_gas * 3 // 2)
    stranger.application.call("eth_sendUserOperation", wire.write_operation(first), AT)
    second = wire.write_operation(dataclasses.replace(first, nonce=1 << 64))
    assert stranger.application.code("eth_sendUserOperation", second, AT) == -32508
    assert models.UserOperation.objects.count() == 1


def test_an_execution_that_reverts_is_told_while_gas_is_estimated(stranger: test_strangers.Stranger) -> None:
    stranger.set_code("36600411600e57" + YES + "5b5f5ffd")  # reverts where there are fewer than four bytes
    sent = wire.write_operation(dataclasses.replace(stranger.operation(), call_data=b"\x01"))
    answer = stranger.application.ask("eth_estimateUserOperationGas", sent, AT)
    assert (answer["error"]["code"], answer["error"]["data"]) == (-32521, {"revertData": "0x"})


@pytest.mark.parametrize(
    ("errors", "code"),
    [
        (["AA10", "AA13", "AA14", "AA15", "AA20", "AA21", "AA23", "AA25", "AA26", "AA40", "AA90", "AA95"], -32500),
        (["AA30", "AA31", "AA33", "AA36"], -32501),
        (["AA22", "AA32"], -32503),
        (["AA24", "AA34"], -32507),
    ],
)
def test_every_error_of_the_entry_point_has_a_code(errors: list[str], code: int) -> None:
    assert {codes.of_entry_point(f"{each} of some kind") for each in errors} == {code}


@pytest.mark.parametrize("name", ["wallet_sendCalls", "wallet_getCapabilities", "wallet_grantPermissions"])
def test_an_api_key_is_nobodys_wallet(stranger: test_strangers.Stranger, name: str) -> None:
    assert stranger.application.code(name, {}) == -32601
