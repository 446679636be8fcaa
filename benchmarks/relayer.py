"""The relayer and Alto (Pimlico's bundler, from npm) under one load, one after the other on one chain.

`python -m benchmarks.relayer [--operations 1000] [--at-once 32] [--rounds 3] [--long 5000] [--alone 0]`. Each operation
is the first of an account of its own, sponsored and signed, and goes in by `eth_sendUserOperation`; blocks come each
second and have room. Ours are bundler, relay and signer, each a process of its own; PostgreSQL runs without fsync and
is reported apart. Neither traces rules: Alto's safe mode takes nothing on this chain. An operation counts as included
when its event is seen in a block. Before the rounds both get a few operations a second, for the median time to a
receipt, and after them once `--long` operations, where waiting for blocks weighs less; `--alone` as many more are for
ours only. The last line is `RESULT` and JSON: medians over the rounds, ours divided by Alto's where it says ratio.
"""

import argparse
import dataclasses
import json
import os
import statistics

os.environ["OPENVPP_TEST_BLOCK_TIME_S"] = "1"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openvpp.settings.test")

import django
import psutil
from rich.console import Console

from benchmarks import grounds, load, wishes
from contracts import deployments
from tests import chain_fixture, services_fixture
from tests.chain import bundler as bundlers

TRICKLE_PER_S = 5.0
TRICKLED = 60


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """How much is sent."""

    operations: int
    at_once: int
    rounds: int
    long: int
    alone: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """What one bundler showed."""

    rounds: list[load.Load]
    receipt_median_s: float
    long: load.Load | None


def run(*, asked: Asked, console: Console) -> dict[str, object]:
    """Measure both, alternating."""
    services_fixture.start()
    directory = grounds.make_directory()
    with grounds.Node(directory) as chain:
        deployments.write(chain.deployment, directory=directory, code_hashes={})
        grounds.configure(directory=directory, chain=chain)
        from django.core import management  # noqa: PLC0415 - after the environment is set

        django.setup()
        management.call_command("migrate", verbosity=0)
        with grounds.Processes(directory) as processes, bundlers.running(chain, directory) as alto:
            utility_id = grounds.provision(directory=directory, chain=chain)
            ours = load.Target(
                name="ours",
                url=f"{processes.url}/rpc/v1/{chain.chain_id}",
                headers={"Authorization": f"Bearer {grounds.make_token(utility_id)}"},
                processes=list(processes),
            )
            peer = load.Target(name="Alto", url=alto.url, headers={}, processes=_alto_processes())
            return _measure(ours, peer, chain=chain, utility_id=utility_id, asked=asked, console=console)


def _measure(
    ours: load.Target,
    peer: load.Target,
    *,
    chain: chain_fixture.Chain,
    utility_id: int,
    asked: Asked,
    console: Console,
) -> dict[str, object]:
    def loaded(target: load.Target, count: int) -> load.Load:
        made = wishes.make_operations(chain=chain, count=count, utility_id=utility_id)
        found = load.measure(chain=chain, target=target, made=made, at_once=asked.at_once)
        console.print(f"{target.name}, {count} operations: {found}")
        return found

    def trickled(target: load.Target) -> float:
        made = wishes.make_operations(chain=chain, count=TRICKLED, utility_id=utility_id)
        found = load.trickle(chain=chain, target=target, made=made, rate=TRICKLE_PER_S)
        console.print(f"{target.name}, {TRICKLE_PER_S:g} a second: receipt after {found} s")
        return found

    receipts = {target.name: trickled(target) for target in (ours, peer)}
    rounds: dict[str, list[load.Load]] = {"ours": [], "Alto": []}
    postgres = -_postgres_cpu_s()
    for number in range(asked.rounds):
        for target in (ours, peer) if number % 2 == 0 else (peer, ours):
            rounds[target.name].append(loaded(target, asked.operations))
    postgres += _postgres_cpu_s()
    found = {
        target.name: Found(
            rounds=rounds[target.name],
            receipt_median_s=receipts[target.name],
            long=loaded(target, asked.long) if asked.long else None,
        )
        for target in (ours, peer)
    }
    alone = loaded(ours, asked.alone) if asked.alone else None
    sizes = [f"{' '.join(each.cmdline()[1:3])} {each.memory_info().rss / 2**20:.0f} MB" for each in ours.processes]
    console.print("ours: " + ", ".join(sizes))
    per_1000 = 1000 * postgres / (asked.rounds * asked.operations)
    return _result(ours=found["ours"], peer=found["Alto"], alone=alone, postgres_cpu_s_per_1000=round(per_1000, 2))


def _result(*, ours: Found, peer: Found, alone: load.Load | None, postgres_cpu_s_per_1000: float) -> dict[str, object]:
    def median(found: Found, name: str) -> float:
        return float(statistics.median(getattr(each, name) for each in found.rounds))

    def ratio(name: str) -> float:
        return round(median(ours, name) / median(peer, name), 3)

    long: dict[str, object] = {}
    if ours.long is not None and peer.long is not None:
        long = {
            "long_included_per_s": ours.long.included_per_s,
            "long_included_ratio": round(ours.long.included_per_s / peer.long.included_per_s, 3),
        }
    fields = [field.name for field in dataclasses.fields(load.Load)]
    return {
        "accepted_ratio": ratio("accepted_per_s"),
        "included_ratio": ratio("included_per_s"),
        "ack_p99_ratio": ratio("ack_p99_s"),
        "inclusion_p99_ratio": ratio("inclusion_p99_s"),
        "cpu_s_per_1000": median(ours, "cpu_s_per_1000"),
        "rss_ratio": ratio("rss_mb"),
        "included_per_s": median(ours, "included_per_s"),
        "accepted_per_s": median(ours, "accepted_per_s"),
        "receipt_median_ratio": round(ours.receipt_median_s / peer.receipt_median_s, 3),
        "receipt_median_s": ours.receipt_median_s,
        **long,
        "alone_included_per_s": None if alone is None else alone.included_per_s,
        "postgres_cpu_s_per_1000_of_both": postgres_cpu_s_per_1000,
        "load_average": round(os.getloadavg()[0], 1),
        "peer": {
            "name": "Alto",
            "receipt_median_s": peer.receipt_median_s,
            "long_included_per_s": None if peer.long is None else peer.long.included_per_s,
            **{name: median(peer, name) for name in fields},
        },
        "ours": {name: median(ours, name) for name in fields},
    }


def _alto_processes() -> list[psutil.Process]:
    found = [each for each in psutil.Process().children() if any("alto.js" in part for part in each.cmdline())]
    return [*found, *(child for each in found for child in each.children(recursive=True))]


def _postgres_cpu_s() -> float:
    """Return what the PostgreSQL that these benchmarks started has used."""
    found = [each for each in psutil.Process().children(recursive=True) if each.name() == "postgres"]
    return grounds.used_by(found).cpu_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--long", type=int, default=5000, help="operations of the long run; 0 for none")
    parser.add_argument("--alone", type=int, default=0, help="operations of one more run of ours alone")
    given = parser.parse_args()
    asked = Asked(
        operations=given.operations, at_once=given.at_once, rounds=given.rounds, long=given.long, alone=given.alone
    )
    print("RESULT " + json.dumps(run(asked=asked, console=Console(stderr=True))))


if __name__ == "__main__":
    main()
