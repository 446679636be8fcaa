"""Logs and refusals read back, from encodings made by eth_abi."""

import eth_abi
import pytest

from contracts import abi
from contracts.bindings import events, reverts, words

ALICE, BOB, TOKEN = b"\xaa" * 20, b"\xbb" * 20, b"\xcc" * 20
REFERENCE = b"0123456789abcdef"


def _abi(types: list[str], values: list[object]) -> bytes:
    encoded: bytes = eth_abi.encode(types, values)  # type: ignore[attr-defined]
    return encoded


def _topics(signature: str, *indexed: bytes) -> list[bytes]:
    return [events.topic_of(signature), *indexed]


def test_every_event_that_we_read_is_in_an_abi() -> None:
    known = {
        events.topic_of(f"{entry['name']}({','.join(argument['type'] for argument in entry['inputs'])})")
        for contract in abi.CONTRACTS
        for entry in abi.load(contract).abi
        if entry["type"] == "event"
    }

    assert set(events._DECODERS) <= known


def test_bill_paid() -> None:
    event = events.decode_rpc_log(
        log={
            "address": "0x" + ALICE.hex(),
            "topics": [
                "0x" + topic.hex()
                for topic in _topics(
                    "BillPaid(bytes16,address,address,uint256,uint256)",
                    REFERENCE + bytes(16),
                    words.address(ALICE),
                    words.address(TOKEN),
                )
            ],
            "data": "0x" + _abi(["uint256", "uint256"], [5, 6]).hex(),
            "logIndex": "0x1f",
        }
    )

    assert event == events.BillPaid(
        emitter=ALICE, log_index=31, reference=REFERENCE, payer=ALICE, token=TOKEN, amount_units=5, fee_units=6
    )


def test_user_operation_revert_reason() -> None:
    event = events.decode_log(
        address=TOKEN,
        topics=_topics("UserOperationRevertReason(bytes32,address,uint256,bytes)", b"\x01" * 32, words.address(ALICE)),
        data=_abi(["uint256", "bytes"], [9, b"why"]),
    )

    assert event == events.UserOperationRevertReason(
        emitter=TOKEN, user_operation_hash=b"\x01" * 32, sender=ALICE, nonce=9, revert_data=b"why"
    )


def test_strangers_logs_are_none_of_ours() -> None:
    erc721 = _topics("Transfer(address,address,uint256)", *[bytes(32)] * 3)
    assert events.decode_log(address=TOKEN, topics=erc721, data=b"") is None
    assert events.decode_log(address=TOKEN, topics=[b"\x01" * 32], data=b"") is None
    assert events.decode_log(address=TOKEN, topics=[], data=b"") is None


def test_malformed_log_is_refused() -> None:
    topics = _topics("Transfer(address,address,uint256)", words.address(ALICE), words.address(BOB))
    with pytest.raises(events.UnableToReadLog, match="malformed"):
        events.decode_log(address=TOKEN, topics=topics, data=b"\x01")
    with pytest.raises(events.UnableToReadLog, match="no log"):
        events.decode_rpc_log(log={"address": None})


def test_events_are_told_apart_by_operation() -> None:
    def transfer(units: int) -> events.Transfer:
        return events.Transfer(emitter=TOKEN, sender=ALICE, recipient=BOB, amount_units=units)

    def done(name: bytes) -> events.UserOperationEvent:
        return events.UserOperationEvent(
            emitter=TOKEN,
            user_operation_hash=name,
            sender=ALICE,
            paymaster=BOB,
            nonce=0,
            success=True,
            actual_gas_cost_wei=1,
            actual_gas_used=1,
        )

    told = [transfer(1), events.BeforeExecution(emitter=TOKEN), transfer(2), None, done(b"a"), transfer(3), done(b"b")]

    assert events.of_operation(events=told, user_operation_hash=b"a") == (transfer(2), done(b"a"))
    assert events.of_operation(events=told, user_operation_hash=b"b") == (transfer(3), done(b"b"))
    assert events.of_operation(events=told, user_operation_hash=b"c") == ()


def test_refusals_in_words() -> None:
    limit = words.selector("AbovePaymentLimit(uint256,uint256)") + _abi(["uint256", "uint256"], [5, 4])
    inner = words.selector("FailedOpWithRevert(uint256,string,bytes)") + _abi(
        ["uint256", "string", "bytes"], [3, "AA23 reverted", limit]
    )

    assert reverts.describe(limit) == "AbovePaymentLimit: units 5, limit 4"
    assert reverts.describe(inner) == (
        "FailedOpWithRevert: opIndex 3, reason AA23 reverted, inner (AbovePaymentLimit: units 5, limit 4)"
    )
    assert reverts.describe(words.selector("Error(string)") + _abi(["string"], ["no"])) == "no"
    assert reverts.describe(words.selector("Panic(uint256)") + words.uint(0x11)) == "Panic: arithmetic overflow"
    assert reverts.describe(b"") == "reverted without a reason"
    assert reverts.describe(b"\x01\x02\x03\x04") == "unknown error 0x01020304"
    assert reverts.describe(limit[:20]).startswith("malformed error 0x")
    assert reverts.name_of(limit) == "AbovePaymentLimit"
    assert reverts.name_of(b"\x01\x02\x03\x04") is None


def test_every_error_of_ours_can_be_described() -> None:
    samples = {"address": ALICE, "bool": True, "string": "text", "bytes": b""}
    for contract in abi.CONTRACTS:
        for entry in abi.load(contract).abi:
            if entry["type"] != "error":
                continue
            kinds = [argument["type"] for argument in entry["inputs"]]
            values: list[object] = [
                samples.get(kind, bytes(int(kind[5:] or 0)) if kind.startswith("bytes") else 7) for kind in kinds
            ]
            data = words.selector(f"{entry['name']}({','.join(kinds)})") + _abi(kinds, values)
            assert reverts.describe(data).startswith(entry["name"])
