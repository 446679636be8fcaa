"""`kill -9` of web, worker or relay at any moment of a payment: paid exactly once, and the books equal the chain."""

import dataclasses
import datetime
import json
import os
import pathlib
import re
import secrets
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from contracts.bindings import tokens, words
from openvpp.demo.adapters import phone
from tests.stack import canaries, remains, running

pytestmark = pytest.mark.stack
PAID_WITHIN_S = 90.0
DUE_CENTS = 321
DUE_UNITS = 3_210_000
MOMENTS = ("queued", "submitted", "mined", "succeeded")
# The other pairs are played by `make verify`.
EVERY_TIME = {
    ("relay", "submitted"),
    ("relay", "mined"),
    ("tell", "mined"),
    ("worker", "reserved"),
}
BOOKS = (
    "import json; from billing import queries; from customers import models; "
    "u = models.Utility.objects.get(slug='harbor'); t = u.tokens.get(pays_bills=True); "
    "print(json.dumps(queries.get_balances(utility_id=u.pk).get(('treasury', f'{u.chain_id}:{t.address}'), 0)))"
)


@dataclasses.dataclass(frozen=True)
class Payer:
    """Ada with her app, on a stack whose processes are about to be killed."""

    stack: running.Stack
    app: phone.Api
    billing_system: phone.Api
    account: str
    sign_in_secrets: dict[str, str]

    def bill(self) -> dict[str, Any]:
        """Receive a new bill of DUE_CENTS."""
        starts_on = datetime.date(2001, 1, 1) + datetime.timedelta(days=secrets.randbelow(8000))
        body = {
            "account": self.account,
            "number": f"drill-{uuid.uuid4().hex[:12]}",
            "starts_on": str(starts_on),
            "ends_on": str(starts_on + datetime.timedelta(days=1)),
            "due_on": "2030-01-01",
            "currency": "USD",
            "amount_due": f"{DUE_CENTS / 100:.2f}",
            "lines": [{"label": "Energy", "amount": f"{DUE_CENTS / 100:.2f}"}],
        }
        key = str(uuid.uuid4())
        return dict(patiently(lambda: self.billing_system.post("bills/received/", body, key=key)))

    def start(self, bill: dict[str, Any], *, key: str) -> Callable[[], dict[str, Any]]:
        """Quote a bill; return what sends the payment, the same request each time."""
        quote = patiently(
            lambda: self.app.post(f"bills/{bill['id']}/quotes/", {"token": "devUSD", "fee_mode": "utility"})
        )
        body = {"quote_id": quote["quote_id"], "amount_units": quote["amount_units"]}
        return lambda: dict(self.app.post(f"bills/{bill['id']}/payments/", body, key=key))

    def operation(self, payment: dict[str, Any]) -> dict[str, Any]:
        return dict(patiently(lambda: self.app.get(f"operations/{payment['operation_id']}/")))

    def wait_for(self, payment: dict[str, Any], *states: str) -> dict[str, Any]:
        return wait_until(lambda: found if (found := self.operation(payment))["state"] in states else None)

    def treasury_units(self) -> int:
        run = self.stack.run_file
        data = tokens.encode_balance_of(holder=words.parse_address(run["utility"]["treasury_address"]))
        call = {"to": run["contracts"]["stablecoin"], "data": "0x" + data.hex()}
        return int(self.stack.call_chain("eth_call", call, "latest"), 16)

    def executions(self, operation: dict[str, Any]) -> int:
        """How often the chain executed an operation."""
        run = self.stack.run_file
        topic = "0x" + words.keccak(b"UserOperationEvent(bytes32,address,address,uint256,bool,uint256,uint256)").hex()
        query = {
            "address": run["contracts"]["entry_point"],
            "topics": [topic, operation["user_operation_hash"]],
            "fromBlock": "0x0",
        }
        return len(self.stack.call_chain("eth_getLogs", query))

    def booked_units(self) -> int:
        return int(json.loads(self.stack.manage("shell", "-v0", "-c", BOOKS).strip().splitlines()[-1]))

    def kill(self, name: str) -> None:
        os.killpg(self.stack.pids()[name], signal.SIGKILL)


@pytest.fixture(scope="module")
def payer(stack: running.Stack) -> Payer:
    run = stack.run_file
    ada = run["people"]["ada"]
    browser = canaries.WatchedBrowser(base_url=stack.base_url)
    signed_in = browser.tokens(client=run["oauth"]["mobile"], email=ada["email"], password=ada["password"])
    system = phone.system_token(base_url=stack.base_url, client=run["oauth"]["head_end"])
    return Payer(
        stack=stack,
        app=phone.Api(base_url=stack.base_url, token=signed_in.access, key=browser.key),
        billing_system=phone.Api(base_url=stack.base_url, token=system.access),
        account=ada["account"],
        sign_in_secrets=browser.seen | {"access token of the billing system": system.access},
    )


@pytest.mark.parametrize(
    ("victim", "moment"),
    [
        pytest.param(victim, moment, marks=[] if (victim, moment) in EVERY_TIME else [pytest.mark.drill])
        for victim in ("relay", "tell", "worker", "web", "signer")
        for moment in ("reserved", "queued", "submitted", "mined")
    ],
)
def test_a_process_killed_on_the_way_costs_time_and_nothing_else(payer: Payer, victim: str, moment: str) -> None:
    before = payer.treasury_units()
    bill = payer.bill()
    payment = patiently(payer.start(bill, key=str(uuid.uuid4())))
    if moment != "reserved":
        payer.wait_for(payment, *MOMENTS[MOMENTS.index(moment) :])
    payer.kill(victim)
    assert_paid_once(payer, bill=bill, payment=payment, before=before)


def test_web_killed_while_it_answers_the_same_request_again_pays_once(payer: Payer) -> None:
    before = payer.treasury_units()
    bill = payer.bill()
    send = payer.start(bill, key=str(uuid.uuid4()))
    first = threading.Thread(target=lambda: _quietly(send))
    first.start()
    # Nothing tells when a request is half answered; whatever the kill meets, the bill is paid once.
    threading.Event().wait(0.03)
    payer.kill("web")
    first.join()
    assert_paid_once(payer, bill=bill, payment=patiently(send), before=before)


def test_everything_killed_at_once_pays_once(payer: Payer) -> None:
    before = payer.treasury_units()
    bill = payer.bill()
    payment = patiently(payer.start(bill, key=str(uuid.uuid4())))
    for victim in ("relay", "tell", "worker", "signer", "revoker", "web"):
        payer.kill(victim)
    assert_paid_once(payer, bill=bill, payment=payment, before=before)


def test_afterwards_the_books_equal_the_chain(payer: Payer) -> None:
    assert payer.booked_units() == payer.treasury_units() > 0


def test_afterwards_no_secret_stands_in_the_database_redis_a_log_or_a_core(payer: Payer) -> None:
    stack = payer.stack
    run = stack.run_file
    files = {path.name: path.read_text().strip() for path in (stack.var / "secrets").iterdir() if path.is_file()}
    known = files | {f"password of {name}": person["password"] for name, person in run["people"].items()}
    known |= {"client secret": run["oauth"]["head_end"]["client_secret"]} | payer.sign_in_secrets
    ben = run["people"]["ben"]
    known |= canaries.of_second_factors(base_url=stack.base_url, email=ben["email"], password=ben["password"])
    kinds = {
        "authorization code",
        "code verifier",
        "request URI",
        "cookie __Host-sessionid" if "cookie __Host-sessionid" in known else "cookie sessionid",
        "first access_token",
        "second access_token",
        "first refresh_token",
        "second refresh_token",
        "first id_token",
        "TOTP secret",
        "recovery code 0",
        "app's session token",
        "client secret",
        "key-encryption-key",
        "postgres-signer-password",
    }
    assert kinds <= known.keys(), kinds - known.keys()
    assert all(len(secret) >= 8 for secret in known.values())
    environment = json.loads((stack.var / "environment.json").read_text())
    owner = remains.as_owner(environment["DATABASE_URL"], password=files["postgres-password"])
    private_keys = remains.open_every_key(stack, environment | {"DATABASE_URL": owner})
    assert len(private_keys) >= len(run["people"]) - 3
    dump = subprocess.run(
        [str(remains.PG_DUMP), "--inserts", f"--dbname={owner}"], capture_output=True, check=True, text=True, timeout=60
    ).stdout
    logs = "\n".join(path.read_text(errors="replace") for path in (stack.var / "log").rglob("*") if path.is_file())
    places = {
        "the dump": dump,
        "the logs": logs,
        "the output": stack.output.read_text(errors="replace"),
        "Redis": remains.read_redis(environment["REDIS_URL"]),
    }
    found = [
        f"{name} in {place}"
        for name, secret in (known | private_keys).items()
        for place, text in places.items()
        if remains.stands(secret, text)
    ]
    assert found == []
    # They hold their own secrets in memory; what they must never have had are keys, and what opens them. The signer,
    # which has them, writes no core, and nobody else may read its memory.
    never = private_keys | {name: files[name] for name in ("key-encryption-key", "deployer-key")}
    pids = payer.stack.pids()
    for process in pids.keys() - {"signer", "postgres", "redis", "chain"}:
        memory = remains.read_memory(pids[process])
        assert b"openvpp" in memory
        assert [f"{name} in {process}" for name, secret in never.items() if remains.holds(memory, secret)] == []
    limits = pathlib.Path(f"/proc/{pids['signer']}/limits").read_text()
    assert re.search(r"Max core file size +0 +0 ", limits)


def assert_paid_once(payer: Payer, *, bill: dict[str, Any], payment: dict[str, Any], before: int) -> None:
    operation = payer.wait_for(payment, "succeeded", "failed")
    assert (operation["state"], operation["failure"]) == ("succeeded", "")
    assert payer.executions(operation) == 1
    assert payer.treasury_units() - before == DUE_UNITS
    assert patiently(lambda: payer.app.get(f"bills/{bill['id']}/"))["state"] == "paid"


def wait_until[T](look: Callable[[], T | None]) -> T:
    """Look every 50 ms until there is something, for PAID_WITHIN_S at most: processes of others tell nobody."""
    deadline, pause = time.monotonic() + PAID_WITHIN_S, threading.Event()
    while not (found := look()):
        assert time.monotonic() < deadline, f"nothing after {PAID_WITHIN_S:.0f} seconds"
        pause.wait(0.05)
    return found


def patiently[T](call: Callable[[], T]) -> T:
    """Call until a process that was killed is back."""
    deadline, pause = time.monotonic() + PAID_WITHIN_S, threading.Event()
    while True:
        try:
            return call()
        except httpx.TransportError:
            assert time.monotonic() < deadline
        except phone.UnableToPlay as refusal:
            is_passing = any(f"answered {status}" in refusal.detail for status in (500, 502, 503, 409, 429))
            if not is_passing or time.monotonic() > deadline:
                raise
        pause.wait(0.2)


def _quietly(call: Callable[[], object]) -> None:
    try:
        call()
    except (httpx.TransportError, phone.UnableToPlay):
        return
