"""Load on a bundler, ours or another's: as many operations at once as asked for, or a few a second."""

import concurrent.futures
import dataclasses
import json
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

import httpx
import psutil

from benchmarks import grounds
from contracts.bindings import events, words
from relayer.domain import wire
from tests import chain_fixture, first_operations

POLL_S = 0.05
RECEIPT_POLL_S = 0.025
MOST_TOLD = 3
USER_OPERATION_EVENT = events.topic_of("UserOperationEvent(bytes32,address,address,uint256,bool,uint256,uint256)")
FINISHED_WITHIN_S = 600


@dataclasses.dataclass(frozen=True)
class Load:
    """What one load showed; latencies are 99th percentiles."""

    accepted_per_s: float
    included_per_s: float
    ack_p99_s: float
    inclusion_p99_s: float
    cpu_s_per_1000: float
    rss_mb: float
    refused: int


@dataclasses.dataclass(frozen=True)
class Target:
    name: str
    url: str
    headers: dict[str, str]
    processes: list[psutil.Process]


_local = threading.local()


def _send(target: Target, each: first_operations.Signed, *, entry_point: str) -> dict[str, Any]:
    return _ask(target, "eth_sendUserOperation", wire.write_operation(each.operation), entry_point)


def _ask(target: Target, method: str, *parameters: object) -> dict[str, Any]:
    clients: dict[str, httpx.Client] = _local.__dict__.setdefault("clients", {})
    if target.url not in clients:
        clients[target.url] = httpx.Client(headers=target.headers, timeout=120, trust_env=False)
    content = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters})
    answer: dict[str, Any] = (
        clients[target.url].post(target.url, content=content, headers={"Content-Type": "application/json"}).json()
    )
    return answer


def trickle(
    *, chain: chain_fixture.Chain, target: Target, made: Sequence[first_operations.Signed], rate: float
) -> float:
    """Return the median seconds from sending an operation to its receipt, sent at a steady rate."""
    begin = time.monotonic() + 0.2
    entry_point = words.checksummed(chain.deployment.entry_point)

    def follow(number: int) -> float:
        time.sleep(max(0.0, begin + number / rate - time.monotonic()))
        started = time.monotonic()
        answer = _send(target, made[number], entry_point=entry_point)
        if answer.get("result") != made[number].hash:
            message = f"{target.name} refused: {answer}"
            raise RuntimeError(message)
        while not _ask(target, "eth_getUserOperationReceipt", made[number].hash).get("result"):
            if time.monotonic() > started + FINISHED_WITHIN_S:
                message = f"{target.name} gives no receipt"
                raise RuntimeError(message)
            time.sleep(RECEIPT_POLL_S)
        return time.monotonic() - started

    with concurrent.futures.ThreadPoolExecutor(len(made)) as pool:
        return round(statistics.median(pool.map(follow, range(len(made)))), 3)


def measure(
    *, chain: chain_fixture.Chain, target: Target, made: Sequence[first_operations.Signed], at_once: int
) -> Load:
    sent: dict[str, float] = {}
    answers: list[float] = []

    def send(each: first_operations.Signed) -> None:
        started = time.monotonic()
        answer = _send(target, each, entry_point=words.checksummed(chain.deployment.entry_point))
        answers.append(time.monotonic() - started)
        if answer.get("result") == each.hash:
            sent[each.hash] = started
        elif len(refusals) < MOST_TOLD:
            refusals.append(answer)

    refusals: list[object] = []
    first_block = int(str(chain.rpc("eth_blockNumber")), 16) + 1
    before = grounds.used_by(target.processes)
    started = time.monotonic()
    watch = Watch(chain=chain, first_block=first_block, most=len(made))
    watch.start()
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        list(pool.map(send, made))
    accepted_s = time.monotonic() - started
    for refusal in refusals:
        print(target.name, "refused:", refusal, file=sys.stderr)
    watch.wait_for(set(sent))
    after = grounds.used_by(target.processes)
    seen = [watch.seen[each] for each in sent]
    return Load(
        accepted_per_s=round(len(sent) / accepted_s, 1),
        included_per_s=round(len(sent) / (max(seen) - started), 1),
        ack_p99_s=round(statistics.quantiles(answers, n=100)[98], 3),
        inclusion_p99_s=round(statistics.quantiles([watch.seen[each] - sent[each] for each in sent], n=100)[98], 3),
        cpu_s_per_1000=round(1000 * (after.cpu_s - before.cpu_s) / len(made), 2),
        rss_mb=round(after.rss_mb, 1),
        refused=len(made) - len(sent),
    )


class Watch(threading.Thread):
    """Looks at each block for operations that the EntryPoint executed."""

    def __init__(self, *, chain: chain_fixture.Chain, first_block: int, most: int) -> None:
        super().__init__(daemon=True)
        self._chain, self._next, self._most = chain, first_block, most
        self._entry_point = words.checksummed(chain.deployment.entry_point)
        self._is_over = threading.Event()
        self.seen: dict[str, float] = {}

    def run(self) -> None:
        while not self._is_over.wait(POLL_S):
            head = int(str(self._chain.rpc("eth_blockNumber")), 16)
            if head < self._next:
                continue
            query = {
                "address": self._entry_point,
                "topics": ["0x" + USER_OPERATION_EVENT.hex()],
                "fromBlock": hex(self._next),
                "toBlock": hex(head),
            }
            logs = self._chain.rpc("eth_getLogs", query)
            now = time.monotonic()
            self.seen |= {log["topics"][1]: now for log in logs if isinstance(log, dict)}  # type: ignore[attr-defined] # a node's JSON
            self._next = head + 1

    def wait_for(self, wanted: set[str]) -> None:
        """Wait until every operation was seen."""
        deadline = time.monotonic() + FINISHED_WITHIN_S
        while not wanted <= self.seen.keys():
            if time.monotonic() > deadline:
                message = f"{len(wanted - self.seen.keys())} operations are not included"
                raise RuntimeError(message)
            time.sleep(POLL_S)
        self._is_over.set()
