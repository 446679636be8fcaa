"""What the relayer's questions make of nodes that differ, and where a bundle is sent that should not be seen."""

import datetime
from typing import Any

import pytest

from openvpp.core import errors, nodes
from relayer.adapters import chain, rpc

SECOND = datetime.timedelta(seconds=1)


class Several:
    """Stands in for nodes that make a quorum; each answers by a function of the call."""

    def __init__(self, *answers: Any) -> None:
        self._answers = answers
        self.told: list[tuple[Any, ...]] = []

    def agree(self, calls: Any) -> list[list[Any]]:
        return [[answer(*call) for call in calls] for answer in self._answers]

    everywhere = agree

    def broadcast(self, *call: object) -> None:
        self.told.append(call)

    call = broadcast


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Any:
    def put(several: Several) -> Several:
        monkeypatch.setattr(rpc, "node", lambda: several)
        return several

    return put


def block(number: int, hash_: str) -> dict[str, str]:
    return {"number": hex(number), "hash": hash_, "timestamp": "0x1"}


def test_the_head_is_the_lowest_of_a_quorum(use: Any) -> None:
    use(Several(lambda *_: block(7, "0xaa"), lambda *_: block(5, "0xbb")))
    assert (chain.head().number, chain.head().hash) == (5, "0xbb")


def test_a_block_counts_when_all_of_a_quorum_have_it_so(use: Any) -> None:
    def of(known: dict[int, str]) -> Any:
        def answer(_: str, parameters: Any) -> Any:
            number = int(parameters[0], 16)
            return block(number, known[number]) if number in known else None

        return answer

    use(Several(of({1: "0xaa", 2: "0xbb", 3: "0xcc"}), of({1: "0xaa", 2: "0xb0"})))
    assert chain.block_hashes(numbers=[1, 2, 3]) == ["0xaa", None, None]
    assert chain.block_hashes(numbers=[]) == []


def test_a_transaction_is_in_no_block_only_when_every_node_says_so(use: Any) -> None:
    use(Several(lambda *_: None, lambda *_: None))
    assert chain.have_none(hashes=["0x1", "0x2"])
    use(Several(lambda *_: None, lambda _, parameters: {"status": "0x1"} if parameters == ("0x2",) else None))
    assert not chain.have_none(hashes=["0x1", "0x2"])


def test_without_a_quorum_the_head_stands_still_and_nothing_is_judged(use: Any) -> None:
    use(Several(lambda *_: block(9, "0xaa"), lambda *_: block(8, "0xbb")))
    assert chain.head().number == 8
    several = use(Several())
    several.agree = several.everywhere = _no_quorum
    assert (chain.head().number, chain.head().hash) == (8, "0xbb")
    assert chain.block_hashes(numbers=[7, 8]) == [None, None]
    assert not chain.have_none(hashes=["0x1"])


def _no_quorum(_: object) -> list[list[Any]]:
    raise nodes.NoQuorum("1 nodes answer, 2 must.")


def test_a_refusal_where_a_healthy_node_never_refuses_is_no_answer(use: Any) -> None:
    use(Several(lambda *_: nodes.NodeRefused(code=-32000, message="no", data=b"")))
    with pytest.raises(errors.Unreachable):
        chain.head()


def test_a_young_bundle_goes_to_the_private_node_alone_and_an_old_one_to_all(
    use: Any, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    public, private = use(Several()), Several()
    settings.CHAIN_PRIVATE_FOR = 45 * SECOND
    monkeypatch.setattr(rpc, "private_node", lambda: private)
    chain.send(raw=b"\x02\x01", age=44 * SECOND)
    assert (len(private.told), len(public.told)) == (1, 0)
    chain.send(raw=b"\x02\x01", age=45 * SECOND)
    chain.send(raw=b"\x02\x02")
    assert (len(private.told), len(public.told)) == (1, 2)
    assert public.told[0] == ("eth_sendRawTransaction", "0x0201")
    monkeypatch.setattr(rpc, "private_node", lambda: None)
    chain.send(raw=b"\x02\x03", age=SECOND)
    assert len(public.told) == 3
