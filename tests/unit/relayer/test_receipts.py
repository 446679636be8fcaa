"""Receipts of bundles cut into those of their operations, with marks that only the EntryPoint can set."""

from typing import Any

from contracts.bindings import events, words
from relayer.domain import receipts, refusals

ENTRY_POINT = bytes.fromhex("4337084D9E255Ff0702461CF8895CE9E3b5Ff108")
ACCOUNT = bytes.fromhex("11" * 20)
FIRST, SECOND = "0x" + "aa" * 32, "0x" + "bb" * 32
BEFORE = events.topic_of("BeforeExecution()")
OPERATION = events.topic_of("UserOperationEvent(bytes32,address,address,uint256,bool,uint256,uint256)")
REVERTED = events.topic_of("UserOperationRevertReason(bytes32,address,uint256,bytes)")


def log(emitter: bytes, *topics: bytes, data: bytes = b"") -> dict[str, Any]:
    return {
        "address": "0x" + emitter.hex(),
        "topics": ["0x" + topic.hex() for topic in topics],
        "data": "0x" + data.hex(),
    }


def operation(hash_: str, *, success: bool = True, emitter: bytes = ENTRY_POINT) -> dict[str, Any]:
    data = words.uint(0) + words.flag(success) + words.uint(1_000) + words.uint(10)
    return log(emitter, OPERATION, bytes.fromhex(hash_[2:]), words.address(ACCOUNT), bytes(32), data=data)


def reverted(hash_: str, reason: bytes) -> dict[str, Any]:
    data = words.arguments((words.uint(0), words.dynamic(reason)))
    return log(ENTRY_POINT, REVERTED, bytes.fromhex(hash_[2:]), words.address(ACCOUNT), data=data)


def read(*logs: dict[str, Any], status: str = "0x1") -> receipts.BundleReceipt:
    receipt = {
        "transactionHash": "0x" + "01" * 32,
        "blockNumber": "0x10",
        "blockHash": "0x" + "02" * 32,
        "status": status,
        "gasUsed": "0x5208",
        "effectiveGasPrice": "0x7",
        "logs": [each | {"logIndex": hex(index)} for index, each in enumerate(logs)],
    }
    return receipts.read(receipt=receipt, entry_point=ENTRY_POINT)


def test_each_operation_gets_the_logs_of_its_own_execution() -> None:
    noise = log(ACCOUNT, b"\x07" * 32)
    found = read(noise, log(ENTRY_POINT, BEFORE), noise, operation(FIRST), noise, noise, operation(SECOND))
    assert [each.user_operation_hash for each in found.operations] == [FIRST, SECOND]
    assert [[one.log_index for one in each.logs] for each in found.operations] == [[2, 3], [4, 5, 6]]
    assert (found.block_number, found.gas_used, found.gas_price_wei, found.has_reverted) == (16, 21_000, 7, False)
    assert found.operations[0].gas_cost_wei == 1_000


def test_an_account_cannot_set_the_entry_points_marks() -> None:
    forged = operation(SECOND, emitter=ACCOUNT)
    found = read(log(ENTRY_POINT, BEFORE), forged, operation(FIRST))
    assert [each.user_operation_hash for each in found.operations] == [FIRST]
    assert [one.log_index for one in found.operations[0].logs] == [1, 2]


def test_a_call_that_reverted_tells_why() -> None:
    reason = words.selector("Error(string)") + words.arguments((words.dynamic(b"no money"),))
    found = read(log(ENTRY_POINT, BEFORE), reverted(FIRST, reason), operation(FIRST, success=False), operation(SECOND))
    assert [(each.succeeded, each.reason) for each in found.operations] == [(False, "no money"), (True, "")]


def test_a_bundle_that_reverted_executed_nothing() -> None:
    found = read(status="0x0")
    assert (found.has_reverted, found.operations) == (True, ())


def failed_op(index: int, reason: bytes) -> bytes:
    parts = (words.uint(index), words.dynamic(reason))
    return words.selector("FailedOp(uint256,string)") + words.arguments(parts)


def test_the_entry_points_refusal_names_the_operation_and_what_to_do_with_it() -> None:
    expected = {
        b"AA25 invalid account nonce": refusals.Meaning.NONCE,
        b"AA22 expired or not due": refusals.Meaning.WINDOW,
        b"AA32 paymaster expired or not due": refusals.Meaning.WINDOW,
        b"AA31 paymaster deposit too low": refusals.Meaning.DEPOSIT,
        b"AA24 signature error": refusals.Meaning.FINAL,
        b"AA33 reverted": refusals.Meaning.FINAL,
    }
    for reason, meaning in expected.items():
        refusal = refusals.read(failed_op(3, reason))
        assert (refusal.index, refusal.meaning) == (3, meaning)
        assert reason.decode() in refusal.reason


def test_what_is_no_refusal_of_an_operation_condemns_none() -> None:
    for data in (b"", b"\x01\x02\x03\x04", words.selector("Error(string)"), failed_op(0, b"AA25")[:40]):
        refusal = refusals.read(data)
        assert (refusal.index, refusal.meaning) == (None, refusals.Meaning.UNCLEAR)
