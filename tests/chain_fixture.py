"""A pytest plugin: a real chain (anvil) with the contracts on it, the same state at the start of every test.

`chain` belongs to one test: what it did is reverted afterwards. The node starts once per process, on a port that is
free. It mines each transaction at once; `OPENVPP_TEST_BLOCK_TIME_S` makes it mine by the clock.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import platform
import re
import subprocess
import threading
import urllib.request
from collections.abc import Iterator

import coincurve
import pytest

from contracts import deploy, deployments
from contracts.bindings import events, paymaster, tokens, user_operations, words

ROOT = pathlib.Path(__file__).resolve().parents[1]
STARTS_WITHIN_S = 30
CHAIN_ID = 31337
GENESIS = 1_767_225_600  # 2026-01-01T00:00:00Z
ETHER = 10**18
UTILITY_ID = 7


@dataclasses.dataclass(frozen=True)
class Key:
    """A secp256k1 key for tests."""

    secret: bytes

    @property
    def address(self) -> bytes:
        public = coincurve.PrivateKey(self.secret).public_key.format(compressed=False)[1:]
        return words.keccak(public)[12:]

    def sign(self, digest: bytes) -> bytes:
        """Return r, s, recovery id over a digest as it is."""
        signature: bytes = coincurve.PrivateKey(self.secret).sign_recoverable(digest, hasher=None)
        return signature


DEPLOYER = Key(words.keccak(b"deployer"))
RELAYER = Key(words.keccak(b"relayer"))
SPONSOR = Key(words.keccak(b"sponsor"))


class RefusedByNode(Exception):
    """The node answered with an error; `revert_data` is what the contract reverted with, if it did."""

    def __init__(self, message: str, revert_data: bytes) -> None:
        super().__init__(message)
        self.revert_data = revert_data


@dataclasses.dataclass(frozen=True)
class Receipt:
    """A transaction's receipt, its logs decoded; None stands for a log that is none of ours."""

    succeeded: bool
    gas_used: int
    block_number: int
    transaction_hash: str
    logs: tuple[events.Event | None, ...]

    def of(self, operation_hash: bytes) -> tuple[events.Event, ...]:
        return events.of_operation(events=self.logs, user_operation_hash=operation_hash)


@dataclasses.dataclass(frozen=True)
class Chain:
    """A node and the contracts on it. Deployer, relayer and sponsor have coins; `UTILITY_ID` has a budget."""

    rpc_url: str
    deployment: deployments.Deployment
    chain_id: int = CHAIN_ID

    def rpc(self, method: str, *parameters: object) -> object:
        """Return the node's answer.

        :raises RefusedByNode: if it is an error.
        """
        return _rpc(self.rpc_url, method, *parameters)

    def call(self, to: bytes, data: bytes, *, sender: bytes | None = None, value_wei: int = 0) -> bytes:
        """Return what a contract answers now."""
        call = _call_object(to, data, sender, value_wei)
        return _from_hex(self.rpc("eth_call", call, "latest"))

    def send(self, to: bytes, data: bytes, *, sender: bytes, value_wei: int = 0, gas: int = 15_000_000) -> Receipt:
        """Send a transaction from any address and wait until it is mined."""
        call = _call_object(to, data, sender, value_wei) | {"gas": hex(gas)}
        return _read_receipt(_mined(self, str(self.rpc("eth_sendTransaction", call))))

    def receipt(self, transaction_hash: str) -> Receipt:
        """Return the receipt of a transaction, once it is mined."""
        return _read_receipt(_mined(self, transaction_hash))

    def handle_ops(self, *operations: user_operations.UserOperation, sender: bytes = RELAYER.address) -> Receipt:
        """Send a bundle.

        :raises RefusedByNode: if the EntryPoint refuses it; nothing is sent then.
        """
        data = user_operations.encode_handle_ops(operations=operations, beneficiary=sender)
        self.call(self.deployment.entry_point, data, sender=sender)
        return self.send(self.deployment.entry_point, data, sender=sender)

    def balance(self, token: bytes, holder: bytes) -> int:
        """Return a balance in base units."""
        return words.read_uint(self.call(token, tokens.encode_balance_of(holder=holder)), 0)

    def native(self, holder: bytes) -> int:
        """Return a balance of native coin, in wei."""
        return int(str(self.rpc("eth_getBalance", words.checksummed(holder), "latest")), 16)

    def code(self, address: bytes) -> bytes:
        """Return the code at an address."""
        return _from_hex(self.rpc("eth_getCode", words.checksummed(address), "latest"))

    def now(self) -> int:
        """Return the latest block's time."""
        block = self.rpc("eth_getBlockByNumber", "latest", False)
        assert isinstance(block, dict)
        return int(block["timestamp"], 16)

    def move_to(self, timestamp: int) -> None:
        """Mine a block at a time to come."""
        self.rpc("evm_setNextBlockTimestamp", timestamp)
        self.rpc("evm_mine")

    def nonce(self, sender: bytes) -> int:
        """Return the next nonce of an account at the EntryPoint."""
        return words.read_uint(
            self.call(self.deployment.entry_point, user_operations.encode_get_nonce(sender=sender)), 0
        )

    def give(self, holder: bytes, amount_units: int) -> None:
        """Make development stablecoins for somebody."""
        data = tokens.encode_mint(to=holder, amount_units=amount_units)
        assert self.send(self.deployment.stablecoin, data, sender=DEPLOYER.address).succeeded

    def give_ovpp(self, holder: bytes, amount_units: int) -> None:
        """Move $OVPP from the treasury, which is the deployer, to somebody."""
        data = tokens.encode_transfer(to=holder, amount_units=amount_units)
        assert self.send(self.deployment.ovpp, data, sender=DEPLOYER.address).succeeded

    def budget(self, utility_id: int = UTILITY_ID) -> int:
        """Return what is left of a utility's budget, in wei."""
        return words.read_uint(self.call(self.deployment.paymaster, paymaster.encode_budget(utility_id=utility_id)), 0)


@contextlib.contextmanager
def running(directory: pathlib.Path, *options: str) -> Iterator[Chain]:
    """Start a node that logs into a directory, with anvil's own options, put the contracts on it; end it afterwards."""
    log = directory / "anvil.log"
    with log.open("wb") as output:
        process = subprocess.Popen([*_command(), *options], stdout=output, stderr=subprocess.STDOUT)
        try:
            yield _prepare(_wait_for_url(process, log))
        finally:
            process.terminate()
            process.wait(timeout=10)


@pytest.fixture(scope="session")
def chain_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """Start a node and put the contracts on it, once."""
    with running(tmp_path_factory.mktemp("chain")) as started:
        yield started


@pytest.fixture
def chain(chain_node: Chain) -> Iterator[Chain]:
    """Lend the chain to one test, as it was after deployment."""
    snapshot = chain_node.rpc("evm_snapshot")
    yield chain_node
    assert chain_node.rpc("evm_revert", snapshot) is True


def create(chain: Chain, contract: str, arguments: bytes, *, source: str = "Peers") -> bytes:
    """Create a contract that forge compiled for tests and return its address."""
    artifact = ROOT / "contracts" / "out" / f"{source}.sol" / f"{contract}.json"
    if not artifact.exists():
        forge = ROOT / "contracts" / "node_modules" / ".bin" / "forge"
        subprocess.run([str(forge), "build"], cwd=ROOT / "contracts", check=True, capture_output=True)
    built = json.loads(artifact.read_text())
    return create_code(chain, _from_hex(built["bytecode"]["object"]) + arguments)


def create_code(chain: Chain, code: bytes) -> bytes:
    """Create a contract from its creation code and return its address."""
    call = {"from": words.checksummed(DEPLOYER.address), "data": "0x" + code.hex(), "gas": hex(15_000_000)}
    receipt = _mined(chain, str(chain.rpc("eth_sendTransaction", call)))
    assert receipt["status"] == "0x1"
    return words.parse_address(str(receipt["contractAddress"]))


def _mined(chain: Chain, transaction_hash: str) -> dict[str, object]:
    pause = threading.Event()
    for _ in range(2_000):
        receipt = chain.rpc("eth_getTransactionReceipt", transaction_hash)
        if isinstance(receipt, dict):
            return receipt
        pause.wait(0.01)
    message = f"{transaction_hash} was not mined"
    raise AssertionError(message)


def _command() -> list[str]:
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    package = f"anvil-{platform.system().lower()}-{machine}"
    binary = ROOT / "contracts" / "node_modules" / "@foundry-rs" / package / "bin" / "anvil"
    block_time = os.environ.get("OPENVPP_TEST_BLOCK_TIME_S")
    return [
        str(binary),
        "--host=127.0.0.1",
        "--port=0",
        "--accounts=0",
        f"--chain-id={CHAIN_ID}",
        f"--timestamp={GENESIS}",
        "--auto-impersonate",
        *([f"--block-time={block_time}"] if block_time else []),
    ]


def _wait_for_url(process: subprocess.Popen[bytes], log: pathlib.Path) -> str:
    pause = threading.Event()
    for _ in range(STARTS_WITHIN_S * 20):
        found = re.search(r"Listening on (127\.0\.0\.1:\d+)", log.read_text(errors="replace"))
        if found:
            return f"http://{found[1]}"
        if process.poll() is not None:
            break
        pause.wait(0.05)
    message = f"anvil did not start: {log.read_text(errors='replace')[-2000:]}"
    raise RuntimeError(message)


def _prepare(rpc_url: str) -> Chain:
    for key in (DEPLOYER, RELAYER, SPONSOR):
        _rpc(rpc_url, "anvil_setBalance", words.checksummed(key.address), hex(10_000 * ETHER))
    chain = Chain(rpc_url, deploy.deploy(rpc_url=rpc_url, deployer_key=DEPLOYER.secret))
    for data in (
        paymaster.encode_set_sponsor(sponsor=SPONSOR.address, is_allowed=True),
        paymaster.encode_set_budget(utility_id=UTILITY_ID, budget_wei=ETHER),
    ):
        assert chain.send(chain.deployment.paymaster, data, sender=DEPLOYER.address).succeeded
    return chain


def _call_object(to: bytes, data: bytes, sender: bytes | None, value_wei: int) -> dict[str, str]:
    call = {"to": words.checksummed(to), "data": "0x" + data.hex(), "value": hex(value_wei)}
    return call if sender is None else call | {"from": words.checksummed(sender)}


def _rpc(rpc_url: str, method: str, *parameters: object) -> object:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode()
    request = urllib.request.Request(rpc_url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        answer = json.load(response)
    if (error := answer.get("error")) is not None:
        data = error.get("data")
        raise RefusedByNode(error["message"], _from_hex(data) if isinstance(data, str) else b"")
    return answer["result"]


def _read_receipt(receipt: dict[str, object]) -> Receipt:
    logs = receipt["logs"]
    assert isinstance(logs, list)
    return Receipt(
        succeeded=receipt["status"] == "0x1",
        gas_used=int(str(receipt["gasUsed"]), 16),
        block_number=int(str(receipt["blockNumber"]), 16),
        transaction_hash=str(receipt["transactionHash"]),
        logs=tuple(events.decode_rpc_log(log=log) for log in logs),
    )


def _from_hex(text: object) -> bytes:
    return bytes.fromhex(str(text).removeprefix("0x"))
