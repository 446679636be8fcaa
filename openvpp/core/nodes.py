"""The chain's nodes: JSON-RPC to one of them, and to several with health, failover and a quorum.

What a node is worth is learnt from what it is asked anyway, and from one small question every few seconds that nobody
waits for. A node that fails is left alone for a while, twice as long each time; one that asks for patience gets it; one
on another chain is never used; one that has fallen behind is not read from.
"""

import functools
import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from django.conf import settings

from openvpp.core import errors, http, tally

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 5.0
PROBE_TIMEOUT_SECONDS = 1.5
# How often nodes are asked for chain and head; a lone node, which has none to be compared with, less often.
PROBE_SECONDS = 2.0
PROBE_LONE_SECONDS = 20.0
_FIRST_SILENCE_SECONDS = 0.5
_LONGEST_SILENCE_SECONDS = 30.0
_LONGEST_PATIENCE_SECONDS = 300.0
# What a node gets that says, without a time, that it is asked too much.
_BUSY_SECONDS = 1.0
_RATE_LIMITED = {-32005, 429}

type Call = tuple[str, Sequence[object]]


class NodeRefused(errors.Refused):
    """The node answered with an error; `data` is the revert data, if a call reverted."""

    def __init__(self, *, code: int, message: str, data: bytes) -> None:
        super().__init__(message)
        self.code = code
        self.data = data


class NoQuorum(errors.Unreachable):
    """Some nodes answer, but fewer than must agree."""


class Node:
    """One endpoint of a chain.

    :raises errors.Unreachable: no answer, too slow, too many requests, or not JSON-RPC.
    """

    def __init__(self, *, url: str, timeout: float = TIMEOUT_SECONDS) -> None:
        self._client = http.Client(base_url=url, timeout=timeout)
        self._ids = itertools.count(1)

    def call(self, method: str, *parameters: object) -> Any:
        """Return the node's answer.

        :raises NodeRefused: it is an error.
        """
        (answer,) = self.batch([(method, parameters)])
        if isinstance(answer, NodeRefused):
            raise answer
        return answer

    def batch(self, calls: Sequence[Call]) -> list[Any]:
        """Return the answers in the order of the calls, a `NodeRefused` in the place of each error."""
        if not calls:
            return []
        requests = [
            {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": parameters}
            for method, parameters in calls
        ]
        try:
            answers = self._client.post(path="", body=requests if len(requests) > 1 else requests[0])
        except errors.Refused as refusal:
            raise errors.Unreachable(f"The node refused the request: {refusal.reason}") from None
        try:
            by_id = {answer["id"]: answer for answer in (answers if isinstance(answers, list) else [answers])}
            found = [by_id[request["id"]] for request in requests]
        except (KeyError, TypeError):
            raise errors.Unreachable("The node did not answer every call.") from None
        return [_result(answer) if "error" in answer else answer.get("result") for answer in found]


class _Watched(Node):
    """A node and what is known of its health."""

    def __init__(self, *, url: str, number: int) -> None:
        super().__init__(url=url)
        self._probe = Node(url=url, timeout=PROBE_TIMEOUT_SECONDS)
        self.name = f"node {number}"  # never its address, which may carry a secret
        self.chain_id: int | None = None
        self.head = 0
        self.probed_at = 0.0
        self.is_behind = False
        self.failures = 0
        self.silent_until = 0.0
        self.patient_until = 0.0

    def batch(self, calls: Sequence[Call]) -> list[Any]:
        """Ask, and remember how that went."""
        try:
            answers = super().batch(calls)
        except errors.Unreachable as error:
            self._note(error)
            raise
        self.failures = 0
        return answers

    def probe(self) -> None:
        """Ask for chain and head; nothing is raised."""
        try:
            chain_id, head = self._probe.batch([("eth_chainId", ()), ("eth_blockNumber", ())])
            found = int(chain_id, 16)
            self.head = int(head, 16)
        except errors.Unreachable as error:
            self._note(error)
            return
        except (TypeError, ValueError):
            self._note(errors.Unreachable("The node does not know its chain."))
            return
        if found not in {self.chain_id, settings.CHAIN_ID}:
            logger.error("%s is on chain %s, not %s; it is not used", self.name, found, settings.CHAIN_ID)
        self.chain_id, self.failures, self.silent_until = found, 0, 0.0
        self.probed_at = time.monotonic()

    def _note(self, error: errors.Unreachable) -> None:
        now = time.monotonic()
        tally.note("node_errors", self.name)
        self.failures += 1
        silence = min(_FIRST_SILENCE_SECONDS * 2 ** min(self.failures - 1, 10), _LONGEST_SILENCE_SECONDS)
        self.silent_until = now + silence
        if error.retry_after_seconds is not None:
            self.patient_until = now + min(error.retry_after_seconds, _LONGEST_PATIENCE_SECONDS)
        logger.warning("%s failed %s times in a row: %s", self.name, self.failures, error)


class Pool:
    """All endpoints of a chain; used as one `Node` is.

    :raises errors.Unreachable: none that may be used answers.
    """

    def __init__(self, *, urls: Sequence[str], quorum: int) -> None:
        self._nodes = [_Watched(url=url, number=number) for number, url in enumerate(urls, start=1)]
        self._quorum = quorum
        self._next_probe = 0.0

    def call(self, method: str, *parameters: object) -> Any:
        """Return the answer of the first healthy node that gives one.

        :raises NodeRefused: it is an error.
        """
        (answer,) = self.batch([(method, parameters)])
        if isinstance(answer, NodeRefused):
            raise answer
        return answer

    def batch(self, calls: Sequence[Call]) -> list[Any]:
        """Return the answers of one node, in the order of the calls, a `NodeRefused` in the place of each error."""
        if not calls:
            return []
        failure = None
        for node in self._readable():
            try:
                return node.batch(calls)
            except errors.Unreachable as error:
                failure = error
        raise failure or errors.Unreachable(f"No node of chain {settings.CHAIN_ID} can be used now.")

    def agree(self, calls: Sequence[Call]) -> list[list[Any]]:
        """Return what each of as many nodes as make a quorum answers to the same calls.

        :raises NoQuorum: too few answer.
        """
        if self._quorum == 1:
            return [self.batch(calls)]
        found = []
        for node in self._readable():
            try:
                found.append(node.batch(calls))
            except errors.Unreachable:
                continue
            if len(found) == self._quorum:
                return found
        raise self._too_few(len(found))

    def everywhere(self, calls: Sequence[Call]) -> list[list[Any]]:
        """Return what each usable node answers, the readable ones and those that have fallen behind; at least a quorum.

        :raises NoQuorum: too few answer.
        """
        found = [answer for answer in _at_once(self._usable(), lambda node: node.batch(calls)) if answer is not None]
        if len(found) < self._quorum:
            raise self._too_few(len(found))
        return found

    def _too_few(self, found: int) -> errors.Unreachable:
        said = f"{found} nodes answer, {self._quorum} must."
        return NoQuorum(said) if found else errors.Unreachable(said)

    def broadcast(self, method: str, *parameters: object) -> Any:
        """Tell every usable node; return as soon as one has taken it.

        :raises NodeRefused: all that answered refuse.
        """
        nodes = self._usable()
        if len(nodes) == 1:
            return nodes[0].call(method, *parameters)
        refusal: errors.Refused | None = None
        answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for node in nodes:
            _in_background(lambda node=node: answers.put(_outcome(node, method, parameters)))  # type: ignore[misc] # bound now
        for _ in nodes:
            answer = answers.get()
            if isinstance(answer, errors.Refused):
                refusal = answer
            elif not isinstance(answer, errors.Unreachable):
                return answer
        raise refusal or errors.Unreachable(f"No node of chain {settings.CHAIN_ID} takes it now.")

    @property
    def quorum(self) -> int:
        """Return how many nodes must say the same."""
        return self._quorum

    def chain_id(self) -> int:
        """Return the chain that the nodes are on: the one in the settings if any is, else another.

        :raises errors.Unreachable: none answers.
        """
        _at_once(self._nodes, _Watched.probe)
        known = {node.chain_id for node in self._nodes if node.chain_id is not None}
        if not known:
            raise errors.Unreachable("No node says which chain it is on.")
        return settings.CHAIN_ID if settings.CHAIN_ID in known else min(known)

    def health(self) -> list[dict[str, object]]:
        """Return what this process knows of each node, in the order of the settings."""
        now, ours = time.monotonic(), self._ours()
        return [
            {
                "node": node.name,
                "chain_id": node.chain_id,
                "head": node.head,
                "is_behind": node.is_behind,
                "failures": node.failures,
                "is_used": node in ours and not node.is_behind and not self._rests(node, now),
            }
            for node in self._nodes
        ]

    def _readable(self) -> list[_Watched]:
        usable = self._usable()
        return [node for node in usable if not node.is_behind] or usable

    def _usable(self) -> list[_Watched]:
        """Return the nodes on our chain that do not rest; if all of those do, the ones that did not ask for it."""
        ours = self._probe_in_time()
        now = time.monotonic()
        awake = [node for node in ours if not self._rests(node, now)]
        if awake or not ours:
            return self._or_raise(awake)
        return self._or_raise([node for node in ours if node.patient_until <= now])

    def _or_raise(self, nodes: list[_Watched]) -> list[_Watched]:
        if nodes:
            return nodes
        others = sorted({node.chain_id for node in self._nodes if node.chain_id not in {None, settings.CHAIN_ID}})
        said = f"; {len(others)} on another chain" if others else ""
        raise errors.Unreachable(f"No node of chain {settings.CHAIN_ID} can be used now{said}.")

    def _ours(self) -> list[_Watched]:
        chain_id = settings.CHAIN_ID
        return [node for node in self._nodes if node.chain_id == chain_id]

    @staticmethod
    def _rests(node: _Watched, now: float) -> bool:
        return max(node.silent_until, node.patient_until) > now

    def _probe_in_time(self) -> list[_Watched]:
        """Start a probe of every node when it is time, and return those on our chain; wait only while there is none."""
        now, ours = time.monotonic(), self._ours()
        if ours and now < self._next_probe:
            return ours
        self._next_probe = now + (PROBE_SECONDS if len(self._nodes) > 1 else PROBE_LONE_SECONDS)
        due = [node for node in self._nodes if node.patient_until <= now]
        if not ours:
            _at_once(due, _Watched.probe)
            self._compare()
            return self._ours()
        for node in due:
            if node.silent_until <= now or node not in ours:
                _in_background(lambda node=node: self._probe_and_compare(node))  # type: ignore[misc] # bound now
        return ours

    def _probe_and_compare(self, node: _Watched) -> None:
        node.probe()
        self._compare()

    def _compare(self) -> None:
        """Find who has fallen behind the highest head that a quorum has reached."""
        since = time.monotonic() - PROBE_SECONDS
        fresh = [node for node in self._ours() if node.probed_at >= since]
        heads = sorted((node.head for node in fresh), reverse=True)
        if len(heads) < max(self._quorum, 2):
            return
        for node in fresh:
            is_behind = node.head + settings.CHAIN_RPC_MOST_BEHIND < heads[self._quorum - 1]
            if is_behind != node.is_behind:
                logger.warning("%s %s the others", node.name, "has fallen behind" if is_behind else "is level with")
            node.is_behind = is_behind


def addresses(text: str) -> tuple[str, ...]:
    """Return the addresses that commas or spaces separate, in their order."""
    return tuple(dict.fromkeys(text.replace(",", " ").split()))


def node() -> Pool:
    """Return the chain's endpoints."""
    return _pool(settings.CHAIN_RPC_URL)


def private_node() -> Node | None:
    """Return the endpoint that keeps what it is sent to itself until it is in a block, if there is one."""
    return _private(settings.CHAIN_PRIVATE_RPC_URL) if settings.CHAIN_PRIVATE_RPC_URL else None


@functools.cache
def _pool(text: str) -> Pool:
    urls = addresses(text)
    return Pool(urls=urls, quorum=settings.CHAIN_QUORUM or (2 if len(urls) > 2 else 1))  # noqa: PLR2004 - of three, two


@functools.cache
def _private(url: str) -> Node:
    return Node(url=url)


def _at_once[T, N: Node](nodes: Sequence[N], ask: Callable[[N], T]) -> list[T | None]:
    """Ask all at once and wait for them; None stands for one that does not answer."""
    if len(nodes) == 1:
        return [_or_none(nodes[0], ask)]
    found: queue.SimpleQueue[tuple[int, T | None]] = queue.SimpleQueue()
    for number, each in enumerate(nodes):
        _in_background(lambda number=number, each=each: found.put((number, _or_none(each, ask))))  # type: ignore[misc] # bound now
    answers = dict(found.get() for _ in nodes)
    return [answers[number] for number in range(len(nodes))]


def _or_none[T, N: Node](node: N, ask: Callable[[N], T]) -> T | None:
    try:
        return ask(node)
    except (errors.Unreachable, errors.Refused):
        return None


def _outcome(node: Node, method: str, parameters: Sequence[object]) -> Any:
    try:
        return node.call(method, *parameters)
    except (errors.Unreachable, errors.Refused) as error:
        return error


def _in_background(work: Callable[[], object]) -> None:
    threading.Thread(target=work, daemon=True, name="nodes").start()


def _result(answer: Any) -> Any:
    error = answer.get("error")
    if error is None:
        return answer.get("result")
    if error.get("code") in _RATE_LIMITED:
        raise errors.Unreachable(
            f"The node is busy: {error.get('message')}", retry_after_seconds=_FIRST_SILENCE_SECONDS
        )
    return NodeRefused(code=int(error.get("code", 0)), message=str(error.get("message", "")), data=_revert_data(error))


def _revert_data(error: dict[str, Any]) -> bytes:
    data = error.get("data")
    if isinstance(data, dict):
        data = data.get("data")
    if not isinstance(data, str) or not data.startswith("0x"):
        return b""
    try:
        return bytes.fromhex(data[2:])
    except ValueError:
        return b""
