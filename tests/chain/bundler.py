"""An outside bundler, Alto, beside the test chain: it is no code of ours and knows nothing of our contracts."""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

from contracts.bindings import user_operations, words
from tests import chain_fixture

EXECUTOR = chain_fixture.Key(words.keccak(b"outside bundler"))

_ALTO = chain_fixture.ROOT / "contracts/node_modules/@pimlico/alto/esm/cli/alto.js"
_LOOPBACK = pathlib.Path(__file__).with_name("loopback.cjs")
_WITHIN_S = 90


class RefusedByBundler(Exception):
    """The bundler answered with an error; `code` is ERC-7769's."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclasses.dataclass(frozen=True)
class Bundler:
    """A running bundler."""

    url: str
    entry_point: str

    def send(self, operation: user_operations.UserOperation) -> bytes:
        """Send an operation and return the hash that the bundler knows it by.

        :raises RefusedByBundler: if it does not accept it.
        """
        answer = self.rpc("eth_sendUserOperation", to_json(operation), self.entry_point)
        return bytes.fromhex(str(answer).removeprefix("0x"))

    def transaction_of(self, operation_hash: bytes) -> str:
        """Wait until an operation is included and return the hash of the transaction that it came in."""
        pause = threading.Event()
        for _ in range(_WITHIN_S * 20):
            answer = self.rpc("eth_getUserOperationReceipt", "0x" + operation_hash.hex())
            if isinstance(answer, dict):
                return str(answer["receipt"]["transactionHash"])
            pause.wait(0.05)
        message = f"0x{operation_hash.hex()} was not included"
        raise AssertionError(message)

    def rpc(self, method: str, *parameters: object) -> object:
        """Return the bundler's answer.

        :raises RefusedByBundler: if it is an error.
        """
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=_WITHIN_S) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            answer = json.load(error)
        if (refusal := answer.get("error")) is not None:
            raise RefusedByBundler(refusal["message"], refusal.get("code", 0))
        return answer["result"]


@contextlib.contextmanager
def running(chain: chain_fixture.Chain, directory: pathlib.Path) -> Iterator[Bundler]:
    """Start the bundler on a free port of loopback, and end it afterwards; its log goes into a directory.

    Its safe mode stays off: in this release it misreads its own simulation of EntryPoint v0.8 on every node.
    """
    chain.rpc("anvil_setBalance", words.checksummed(EXECUTOR.address), hex(100 * chain_fixture.ETHER))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    entry_point = words.checksummed(chain.deployment.entry_point)
    options = {
        "entrypoints": entry_point,
        "executor-private-keys": "0x" + EXECUTOR.secret.hex(),
        "utility-private-key": "0x" + EXECUTOR.secret.hex(),
        "refilling-wallets": "false",
        "rpc-url": chain.rpc_url,
        "port": str(port),
        "safe-mode": "false",
        "block-time": "100",
        "min-entity-stake": "1",
        "log-level": "warn",
    }
    command = [shutil.which("node") or "node", "--require", str(_LOOPBACK), str(_ALTO)]
    with (directory / "alto.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *(f"--{name}={value}" for name, value in options.items())],
            cwd=directory,
            env={"PATH": os.environ["PATH"], "HOME": str(directory)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            bundler = Bundler(f"http://127.0.0.1:{port}", entry_point)
            _wait(bundler, process, directory / "alto.log")
            yield bundler
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def to_json(operation: user_operations.UserOperation) -> dict[str, str]:
    """Return an operation as ERC-7769 writes it for EntryPoints from v0.7 on."""
    fields = {
        "sender": words.checksummed(operation.sender),
        "nonce": hex(operation.nonce),
        "callData": _hex(operation.call_data),
        "callGasLimit": hex(operation.call_gas_limit),
        "verificationGasLimit": hex(operation.verification_gas_limit),
        "preVerificationGas": hex(operation.pre_verification_gas),
        "maxFeePerGas": hex(operation.max_fee_per_gas),
        "maxPriorityFeePerGas": hex(operation.max_priority_fee_per_gas),
        "signature": _hex(operation.signature),
    }
    if made_by := operation.init_code:
        fields |= {"factory": words.checksummed(made_by[:20]), "factoryData": _hex(made_by[20:])}
    if paid_by := operation.paymaster_and_data:
        fields |= {
            "paymaster": words.checksummed(paid_by[:20]),
            "paymasterVerificationGasLimit": hex(int.from_bytes(paid_by[20:36], "big")),
            "paymasterPostOpGasLimit": hex(int.from_bytes(paid_by[36:52], "big")),
            "paymasterData": _hex(paid_by[52:]),
        }
    return fields


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _wait(bundler: Bundler, process: subprocess.Popen[bytes], log: pathlib.Path) -> None:
    pause = threading.Event()
    for _ in range(_WITHIN_S * 20):
        try:
            bundler.rpc("eth_supportedEntryPoints")
        except OSError:
            if process.poll() is not None:
                break
            pause.wait(0.05)
        else:
            return
    message = f"the bundler did not start: {log.read_text(errors='replace')[-2000:]}"
    raise RuntimeError(message)
