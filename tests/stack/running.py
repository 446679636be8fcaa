"""A whole stack as `make run` starts it, in a directory of the tests'."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import Any

import psutil

ROOT = pathlib.Path(__file__).resolve().parents[2]
READY_WITHIN_S = 400
STOPS_WITHIN_S = 90
PROCESSES = ("provider", "signer", "web", "worker", "beat", "relay", "revoker", "tell")
# A stack brings its own services and settings: none of the test run's may reach it.
OWN = ("DATABASE_URL", "REDIS_URL", "CHAIN_RPC_URL", "DJANGO_SETTINGS_MODULE", "PORT", "FORCE_COLOR")


class Stack:
    """A supervisor in a process of its own."""

    def __init__(self, *, var: pathlib.Path, port: int) -> None:
        self.var = var
        self.base_url = f"http://127.0.0.1:{port}"
        self.output = var.parent / "output.log"
        self._port = port
        self._supervisor: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name not in OWN}
        return inherited | {"OPENVPP_VAR_DIR": str(self.var), "PORT": str(self._port)}

    @property
    def supervisor(self) -> subprocess.Popen[bytes]:
        assert self._supervisor is not None
        return self._supervisor

    @property
    def run_file(self) -> dict[str, Any]:
        return dict(json.loads((self.var / "run.json").read_text()))

    def start(self) -> float:
        """Start it; returns the seconds until it was ready."""
        started = time.monotonic()
        with self.output.open("ab") as output:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-m", "openvpp.stack", "run"],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.wait_until_ready()
        return time.monotonic() - started

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ask it to stop and return its exit code."""
        if self.supervisor.poll() is None:
            self.supervisor.send_signal(number)
        return self.supervisor.wait(STOPS_WITHIN_S)

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while self.status("/health/ready") != 200:
            assert self.supervisor.poll() is None, self.output.read_text()[-4000:]
            assert time.monotonic() < deadline, self.output.read_text()[-4000:]
            time.sleep(0.2)

    def status(self, path: str) -> int:
        try:
            with urllib.request.urlopen(f"{self.base_url}{path}", timeout=5) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def pids(self) -> dict[str, int]:
        """The running processes by name."""
        recorded = json.loads((self.var / "processes.json").read_text())
        return {name: entry["pid"] for name, entry in recorded.items()}

    def processes(self) -> list[psutil.Process]:
        """Every process that has to do with this stack, whoever is its parent now."""
        found = []
        for process in psutil.process_iter():
            try:
                of_ours = process.environ().get("OPENVPP_VAR_DIR") == str(self.var)
            except psutil.Error:
                continue
            if of_ours and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found

    def manage(self, *arguments: str) -> str:
        """What a management command prints, run with this stack's environment."""
        return subprocess.run(
            [sys.executable, "-m", "openvpp.stack", "exec", "--", "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout

    def call_chain(self, method: str, *params: object) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self.run_file["node_url"], body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=5) as response:
            return json.load(response)["result"]

    def end(self) -> None:
        """Leave nothing behind, whatever the test did."""
        if self._supervisor is not None and self._supervisor.poll() is None:
            self._supervisor.send_signal(signal.SIGTERM)
            try:
                self._supervisor.wait(STOPS_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._supervisor.kill()
        for process in self.processes():
            process.kill()
