"""Gas per payment of every way to pay a bill: real transactions on anvil, ours and the peers that npm brings.

Whole-transaction gas divided by n, for n = 1, 10, 50; a later operation of each account, one treasury that has a
balance already, plain OpenZeppelin ERC-20. `python -m benchmarks.gas`; the last line is `RESULT` and JSON.
"""

import dataclasses
import json
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

from benchmarks import gas_ours, gas_peers, gas_phones, gas_safe, rollup
from contracts import abi
from tests import chain_fixture

SIZES = (1, 10, 50)

Send = Callable[[int], tuple[chain_fixture.Receipt, bytes]]

# Gas per payment with a session key and the fee in a token, of contracts that npm does not bring: taken from our own
# field notes of November 2026 (their published bytecode under this same load), not measured in this run.
FIELD_NOTES = (
    ("EntryPoint v0.8: an operation that does nothing (field notes)", {1: 64_650, 10: 30_249, 50: 27_219}),
    ("Alchemy Modular Account v2 + PaymasterERC20, session key (field notes)", {1: 177_800, 10: 119_900, 50: 115_000}),
    ("Ithaca Porto, session key, own orchestrator (field notes)", {1: 149_000, 10: 114_300, 50: 111_100}),
)


@dataclasses.dataclass(frozen=True)
class Way:
    """One way to pay: `send` sends a bundle of n payments, and `size` reckons its calldata."""

    name: str
    send: Send


@dataclasses.dataclass(frozen=True)
class Measured:
    """One row of the table."""

    name: str
    gas: dict[int, int]
    calldata_bytes: int
    rollup_bytes: float


def measure(way: Way) -> Measured:
    """Send a bundle of each size and return what a payment took; sizes in bytes are those of n = 50."""
    gas: dict[int, int] = {}
    data = b""
    for size in SIZES:
        receipt, data = way.send(size)
        if not receipt.succeeded:
            message = f"{way.name}: the bundle of {size} failed"
            raise RuntimeError(message)
        gas[size] = round(receipt.gas_used / size)
    return Measured(way.name, gas, round(len(data) / SIZES[-1]), rollup.fjord_bytes(data) / SIZES[-1])


def show(rows: Sequence[Measured], others: dict[str, int]) -> None:
    """Print the tables."""
    console = Console(width=170)
    table = Table(title="gas per payment, whole transaction / n; cents at n = 50")
    columns = ["way", *(f"n={size}" for size in SIZES), "calldata B", "rollup B", *(c.name for c in rollup.CHAINS)]
    for column in columns:
        table.add_column(column, justify="left" if column == "way" else "right", no_wrap=True)
    for row in rows:
        cents = (chain.cost_cents(gas=row.gas[SIZES[-1]], rollup_bytes=row.rollup_bytes) for chain in rollup.CHAINS)
        gas = (f"{row.gas[size]:,}" for size in SIZES)
        table.add_row(row.name, *gas, str(row.calldata_bytes), f"{row.rollup_bytes:.0f}", *(f"{c:.3f}¢" for c in cents))
    for name, published in FIELD_NOTES:
        table.add_row(name, *(f"{published[size]:,}" for size in SIZES), "", "", "", "", "")
    console.print(table)
    for chain in rollup.CHAINS:
        console.print(
            f"{chain.name}: gas at {chain.gas_price_gwei} gwei, data at {chain.data_price_gwei} gwei per rollup byte, "
            f"native coin at ${chain.native_usd:,.0f}"
        )
    for name, used in others.items():
        console.print(f"{name}: {used:,} gas")


def main() -> int:
    """Run the benchmark; return the exit code."""
    built = subprocess.run(
        [str(abi.ROOT / "node_modules/.bin/forge"), "build"], cwd=abi.ROOT, capture_output=True, check=False, text=True
    )
    if built.returncode:
        sys.stderr.write(built.stderr)
        return 1
    with tempfile.TemporaryDirectory() as directory, chain_fixture.running(pathlib.Path(directory)) as chain:
        for size in (gas_ours.PAYEE, gas_peers.PAYEE):
            chain.give(size, 5)
            chain.give_ovpp(size, 5)
        ours = gas_ours.Ours(chain, accounts=SIZES[-1])
        peers = gas_peers.Peers(chain, accounts=SIZES[-1])
        phones = gas_phones.Phones(chain, accounts=SIZES[-1])
        ways = (
            *ours.ways().items(),
            *phones.ways(gas_phones.PRECOMPILE).items(),
            *peers.ways().items(),
            *_safes(chain, peers).items(),
        )
        rows = [measure(Way(name, send)) for name, send in ways]
        others = {
            "onboarding (account and first session)": ours.onboarding(),
            "payout batch of 100, per existing holder": round(ours.payout_batch(100) / 100),
            "payout to claim, one of a round of 1,000, existing holder": ours.claim(1_000),
        }
    rows[len(ours.ways()) + 1 : len(ours.ways()) + 1] = _without_precompile()
    show(rows, others)
    by_name = {row.name: {str(size): used for size, used in row.gas.items()} for row in rows}
    result = {
        "entrypoint": by_name[gas_ours.CHEAP],
        "bill_lane": by_name[gas_ours.LANE],
        "onboarding": others["onboarding (account and first session)"],
        "payout_batch_100": others["payout batch of 100, per existing holder"],
    }
    print("ROWS " + json.dumps(by_name))
    print("RESULT " + json.dumps(result))
    return 0


def _safes(chain: chain_fixture.Chain, peers: gas_peers.Peers) -> dict[str, Send]:
    try:
        return gas_safe.Safes(chain, peers=peers, accounts=SIZES[-1]).ways()
    except gas_safe.UnableToFetchSafe as error:
        sys.stderr.write(f"openvpp: no row for Safe: {error}\n")
        return {}


def _without_precompile() -> list[Measured]:
    """Return what a phone's payment takes on a chain that has no precompile for its curve."""
    option = gas_phones.WITHOUT_PRECOMPILE
    with tempfile.TemporaryDirectory() as directory, chain_fixture.running(pathlib.Path(directory), option) as chain:
        chain.give(gas_ours.PAYEE, 5)
        phones = gas_phones.Phones(chain, accounts=SIZES[-1])
        return [measure(Way(name, send)) for name, send in phones.ways(gas_phones.FALLBACK).items()]


if __name__ == "__main__":
    sys.exit(main())
