"""`make demo` against a whole stack: what it prints last is so, asked of the chain by somebody else."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.stack import running

pytestmark = pytest.mark.stack
DONE_WITHIN_S = 120
SETTLED_WITHIN_S = 10
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
BILL_KEYS = [
    "bill_id",
    "amount_due",
    "currency",
    "amount_units",
    "token",
    "fee_units",
    "fee_token",
    "fee_mode",
    "user_operation_hash",
    "transaction_hash",
    "block_number",
    "customer_native_wei_spent",
    "settled_in_s",
    "notices",
]
EVENT_KEYS = ["event_id", "devices", "reduced_kwh", "payout_units", "token", "transaction_hash", "paid_in_s"]
RATED = {0: "470.02"}


def play(stack: running.Stack, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "openvpp.stack", "exec", "--", "-W", "ignore", "manage.py", "demo", *arguments],
        cwd=running.ROOT,
        env=stack.environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=DONE_WITHIN_S,
    )


def last_line(stack: running.Stack, *arguments: str) -> dict[str, Any]:
    done = play(stack, *arguments)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def transfers(stack: running.Stack, transaction_hash: str, sender: str) -> dict[str, int]:
    """What a transaction moved away from `sender`, by token and recipient, all in lower case."""
    receipt = stack.call_chain("eth_getTransactionReceipt", transaction_hash)
    assert receipt["status"] == "0x1"
    moved: dict[str, int] = {}
    for log in receipt["logs"]:
        if log["topics"][0] == TRANSFER and f"0x{log['topics'][1][-40:]}" == sender.lower():
            place = f"{log['address'].lower()} to 0x{log['topics'][2][-40:]}"
            moved[place] = moved.get(place, 0) + int(log["data"], 16)
    return moved


@pytest.mark.parametrize(("place", "mode"), [(0, "ovpp"), (1, "stablecoin"), (2, "utility")])
def test_a_bill_is_paid_in_each_fee_mode(stack: running.Stack, place: int, mode: str) -> None:
    result = last_line(stack, "--fee", mode)

    run = stack.run_file
    wallet, treasury = run["people"]["ada"]["wallet"], run["utility"]["treasury_address"].lower()
    stablecoin, ovpp = run["contracts"]["stablecoin"].lower(), run["contracts"]["ovpp"].lower()
    assert list(result) == BILL_KEYS
    assert result["fee_mode"] == mode
    assert result["customer_native_wei_spent"] == 0
    assert int(stack.call_chain("eth_getBalance", wallet, "latest"), 16) == 0
    assert result["settled_in_s"] <= SETTLED_WITHIN_S
    assert result["notices"] == ["bill.issued", "payment.pending", "payment.paid"]
    assert result["amount_due"] == RATED.get(place, result["amount_due"])
    assert result["amount_units"] == int(result["amount_due"].replace(".", "")) * 10_000
    amount, fee = result["amount_units"], result["fee_units"]
    assert (fee > 0) == (mode != "utility")
    expected = {
        "ovpp": {f"{stablecoin} to {treasury}": amount, f"{ovpp} to {treasury}": fee},
        "stablecoin": {f"{stablecoin} to {treasury}": amount + fee},
        "utility": {f"{stablecoin} to {treasury}": amount},
    }[mode]
    assert transfers(stack, result["transaction_hash"], wallet) == expected
    receipt = stack.call_chain("eth_getTransactionReceipt", result["transaction_hash"])
    assert int(receipt["blockNumber"], 16) == result["block_number"]


def test_an_event_pays_to_the_unit(stack: running.Stack) -> None:
    result = last_line(stack, "--journey", "event")

    run = stack.run_file
    wallet, treasury = run["people"]["ben"]["wallet"].lower(), run["utility"]["program_treasury_address"]
    stablecoin = run["contracts"]["stablecoin"].lower()
    assert list(result) == EVENT_KEYS
    assert result["devices"] == 3
    # Two dollars a kWh, six decimals, each device rounded down; the one that did nothing earned nothing.
    assert abs(result["payout_units"] - round(result["reduced_kwh"] * 2_000_000)) <= 2
    assert result["payout_units"] > 1_000_000
    assert result["paid_in_s"] <= SETTLED_WITHIN_S
    moved = transfers(stack, result["transaction_hash"], treasury)
    assert moved == {f"{stablecoin} to {wallet}": result["payout_units"]}


def test_a_journey_that_cannot_be_played_says_so(stack: running.Stack) -> None:
    run = stack.run_file
    (stack.var / "run.json").write_text(json.dumps({**run, "base_url": "http://127.0.0.1:1"}))
    try:
        refused = play(stack)
    finally:
        (stack.var / "run.json").write_text(json.dumps(run))

    assert refused.returncode == 1
    assert "nothing answers at http://127.0.0.1:1" in refused.stdout
