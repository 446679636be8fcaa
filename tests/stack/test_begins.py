"""`make run` as a person meets it first."""

import os
import stat
import subprocess
import sys

import pytest

from tests.stack import running

pytestmark = pytest.mark.stack


def test_first_start_tells_an_outside_client_where_everything_is(stack: running.Stack) -> None:
    told = stack.run_file

    assert told["base_url"] == stack.base_url
    assert told["ws_url"] == f"ws{stack.base_url.removeprefix('http')}/ws/v1/notifications/"
    assert told["chain_id"] == 31337
    assert told["rpc_url"] == f"{stack.base_url}/rpc/v1/31337"
    assert stack.call_chain("eth_chainId") == hex(31337)
    assert told["contracts"]["entry_point"] == "0x4337084D9E255Ff0702461CF8895CE9E3b5Ff108"
    assert len(stack.call_chain("eth_getCode", told["contracts"]["paymaster"], "latest")) > 2
    assert {"oauth", "people", "utility"} <= told.keys()
    assert stat.S_IMODE((stack.var / "run.json").stat().st_mode) == 0o600
    assert sorted(stack.pids()) == sorted([*running.PROCESSES, "postgres", "redis", "chain"])


def test_chain_has_no_account_whose_key_is_public(stack: running.Stack) -> None:
    first_of_anvil = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"

    assert stack.call_chain("eth_accounts") == []
    assert stack.call_chain("eth_getBalance", first_of_anvil, "latest") == "0x0"


def test_secrets_are_private_and_only_the_signer_is_told_where_its_key_is(stack: running.Stack) -> None:
    for path in (stack.var, stack.var / "secrets"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for path in (stack.var / "secrets").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    with_key = {process.pid for process in stack.processes() if "KEK_FILE" in process.environ()}
    group = stack.pids()["signer"]
    assert group in with_key
    assert {os.getpgid(pid) for pid in with_key} == {group}


def test_second_start_says_that_it_runs_already(stack: running.Stack) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "openvpp.stack", "run"],
        cwd=running.ROOT,
        env=stack.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert second.returncode == 1
    assert second.stderr == (
        f"openvpp  | The stack of this directory runs already (process {stack.supervisor.pid}, {stack.base_url}): "
        "use it, or stop it with Ctrl-C in its terminal.\n"
    )
    assert stack.status("/health/ready") == 200
