"""Several nodes of one chain: who is asked, who is told, who is left alone, and who is never believed."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from openvpp.core import errors, nodes

CHAIN_ID = 31337
ADDRESSES = ("http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3")


class Line:
    """Stands in for the HTTP client of one node, which may be away, behind, busy or on another chain."""

    def __init__(self) -> None:
        self.chain_id = CHAIN_ID
        self.head = 100
        self.failure: Exception | None = None
        self.refusal: dict[str, object] | None = None
        self.asked: list[str] = []

    def post(self, *, path: str, body: Any) -> Any:
        if isinstance(body, list):
            return [self._answer(each) for each in body]
        return self._answer(body)

    def _answer(self, request: dict[str, Any]) -> dict[str, object]:
        method = request["method"]
        self.asked.append(method)
        if self.failure is not None:
            raise self.failure
        if self.refusal is not None and method == "eth_sendRawTransaction":
            return {"id": request["id"], "error": self.refusal}
        found = {"eth_chainId": hex(self.chain_id), "eth_blockNumber": hex(self.head)}
        return {"id": request["id"], "result": found.get(method, id(self))}

    def times(self, method: str) -> int:
        return self.asked.count(method)


@pytest.fixture(autouse=True)
def _settings(settings: Any) -> None:
    settings.CHAIN_ID = CHAIN_ID
    settings.CHAIN_RPC_MOST_BEHIND = 3


def made(count: int, *, quorum: int = 1) -> tuple[nodes.Pool, list[Line]]:
    pool, lines = nodes.Pool(urls=ADDRESSES[:count], quorum=quorum), [Line() for _ in range(count)]
    for node, line in zip(pool._nodes, lines, strict=True):
        node._client = node._probe._client = line  # type: ignore[assignment]
    return pool, lines


def probe(pool: nodes.Pool) -> None:
    """Ask all nodes for their heads, as happens every few seconds."""
    pool._next_probe = 0
    for node in pool._nodes:
        node.probed_at = 0
    pool._probe_in_time()
    wait_until(lambda: all(node.probed_at for node in pool._nodes))


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_reading_asks_the_first_node_once_and_no_other() -> None:
    pool, (first, second) = made(2)
    assert [pool.call("eth_call") for _ in range(5)] == [id(first)] * 5
    assert (first.times("eth_call"), second.times("eth_call")) == (5, 0)
    assert (first.times("eth_chainId"), second.times("eth_chainId")) == (1, 1)


def test_a_node_that_fails_is_passed_over_within_the_call_and_then_left_alone_for_longer_each_time() -> None:
    pool, (first, second) = made(2)
    pool.call("eth_call")
    first.failure = errors.Unreachable("away")
    assert [pool.call("eth_call") for _ in range(3)] == [id(second)] * 3
    assert first.times("eth_call") == 2
    rests = []
    for _ in range(4):
        pool._nodes[0].silent_until = 0
        pool.call("eth_call")
        rests.append(round(pool._nodes[0].silent_until - time.monotonic(), 1))
    assert rests == [1.0, 2.0, 4.0, 8.0]
    first.failure, pool._nodes[0].silent_until = None, 0
    assert pool.call("eth_call") == id(first)
    assert pool._nodes[0].failures == 0


def test_a_lone_node_that_failed_is_asked_again_at_once_but_not_before_the_time_that_it_asked_for() -> None:
    pool, (only,) = made(1)
    pool.call("eth_call")
    only.failure = errors.Unreachable("away")
    with pytest.raises(errors.Unreachable, match="away"):
        pool.call("eth_call")
    only.failure = None
    assert pool.call("eth_call") == id(only)
    only.failure = errors.Unreachable("answered 429", retry_after_seconds=7)
    with pytest.raises(errors.Unreachable, match="429"):
        pool.call("eth_call")
    only.failure = None
    asked = only.times("eth_call")
    with pytest.raises(errors.Unreachable, match="can be used now"):
        pool.call("eth_call")
    assert only.times("eth_call") == asked
    pool._nodes[0].patient_until = pool._nodes[0].silent_until = 0
    assert pool.call("eth_call") == id(only)


def test_a_node_of_another_chain_is_never_used_and_none_but_such_is_an_error() -> None:
    pool, (first, second) = made(2)
    first.chain_id = 1
    assert pool.call("eth_call") == id(second)
    assert pool.broadcast("eth_sendRawTransaction", "0x02") == id(second)
    assert (first.times("eth_call"), first.times("eth_sendRawTransaction")) == (0, 0)
    assert pool.chain_id() == CHAIN_ID
    second.chain_id = 5
    probe(pool)
    with pytest.raises(errors.Unreachable, match="on another chain"):
        pool.call("eth_call")
    assert pool.chain_id() == 1
    first.chain_id = CHAIN_ID
    assert pool.call("eth_call") == id(first)


def test_a_node_that_falls_behind_is_not_read_from_but_told_of_transactions() -> None:
    pool, (first, second) = made(2)
    pool.call("eth_call")
    first.head, second.head = 100, 103
    probe(pool)
    assert pool.call("eth_call") == id(first)
    second.head = 104
    probe(pool)
    wait_until(lambda: pool._nodes[0].is_behind)
    assert pool.call("eth_call") == id(second)
    pool.broadcast("eth_sendRawTransaction", "0x02")
    wait_until(lambda: first.times("eth_sendRawTransaction") == second.times("eth_sendRawTransaction") == 1)
    first.head = 104
    probe(pool)
    wait_until(lambda: not pool._nodes[0].is_behind)
    assert pool.call("eth_call") == id(first)


def test_one_node_that_runs_ahead_of_a_quorum_does_not_put_the_others_behind() -> None:
    pool, lines = made(3, quorum=2)
    pool.call("eth_call")
    lines[2].head = 1_000_000
    probe(pool)
    assert [node.is_behind for node in pool._nodes] == [False, False, False]


def test_a_quorum_answers_or_nothing_counts() -> None:
    pool, lines = made(3, quorum=2)
    assert pool.agree([("eth_call", ())]) == [[id(lines[0])], [id(lines[1])]]
    lines[0].failure = errors.Unreachable("away")
    assert pool.agree([("eth_call", ())]) == [[id(lines[1])], [id(lines[2])]]
    lines[2].failure = errors.Unreachable("away")
    for ask in (pool.agree, pool.everywhere):
        with pytest.raises(nodes.NoQuorum, match="1 nodes answer, 2 must"):
            ask([("eth_call", ())])
    lines[1].failure = errors.Unreachable("away")
    for ask in (pool.agree, pool.everywhere):
        with pytest.raises(errors.Unreachable) as failure:
            ask([("eth_call", ())])
        assert not isinstance(failure.value, nodes.NoQuorum)


def test_a_broadcast_is_taken_when_one_node_takes_it_and_refused_when_all_that_answer_refuse() -> None:
    pool, lines = made(3)
    pool.call("eth_call")
    lines[0].failure = errors.Unreachable("away")
    lines[1].refusal = {"code": -32000, "message": "nonce too low"}
    assert pool.broadcast("eth_sendRawTransaction", "0x02") == id(lines[2])
    lines[2].refusal = lines[1].refusal
    with pytest.raises(nodes.NodeRefused, match="nonce too low"):
        pool.broadcast("eth_sendRawTransaction", "0x02")
    for line in lines:
        line.failure = errors.Unreachable("away")
    with pytest.raises(errors.Unreachable):
        pool.broadcast("eth_sendRawTransaction", "0x02")


def test_addresses_are_separated_by_commas_or_spaces_and_each_counts_once() -> None:
    assert nodes.addresses("http://a:1, http://b:2  http://a:1") == ("http://a:1", "http://b:2")
    assert nodes.addresses("http://a:1") == ("http://a:1",)


def test_health_names_no_address() -> None:
    pool, (first, _) = made(2)
    first.chain_id = 1
    pool.call("eth_call")
    assert [(each["node"], each["chain_id"], each["is_used"]) for each in pool.health()] == [
        ("node 1", 1, False),
        ("node 2", CHAIN_ID, True),
    ]
    assert "127.0.0.1" not in str(pool.health())


@pytest.mark.parametrize(
    "answers",
    [
        None,
        "no",
        {"result": "0x1"},
        [{"id": 1, "result": "0x1"}],
        [{"id": 1, "result": "0x1"}, {"id": 1, "result": "0x2"}],
        [{"id": 1, "result": "0x1"}, {"id": None, "error": {"code": -32600, "message": "no"}}],
        [{"id": 1, "result": "0x1"}, {"id": [2], "result": "0x2"}],
        [{"id": 1, "result": "0x1"}, 2],
    ],
)
def test_a_batch_of_which_a_call_is_not_answered_is_no_answer(answers: object) -> None:
    node, line = nodes.Node(url=ADDRESSES[0]), Said(answers)
    node._client = line  # type: ignore[assignment]

    with pytest.raises(errors.Unreachable, match="did not answer every call"):
        node.batch([("eth_call", ()), ("eth_call", ())])


def test_answers_are_told_by_their_numbers_whatever_their_order() -> None:
    node = nodes.Node(url=ADDRESSES[0])
    refused = {"code": 3, "message": "execution reverted", "data": "0x1234"}
    node._client = Said([{"id": 2, "error": refused}, {"id": 1, "error": None, "result": "0x1"}])  # type: ignore[assignment]

    first, second = node.batch([("eth_call", ()), ("eth_call", ())])

    assert first == "0x1"
    assert (second.code, second.data, str(second)) == (3, b"\x12\x34", "execution reverted")


class Said:
    """Stands in for the HTTP client of a node, which says one thing."""

    def __init__(self, answers: object) -> None:
        self._answers = answers

    def post(self, *, path: str, body: Any) -> Any:
        return self._answers
