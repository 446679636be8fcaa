"""`make run` as a person meets it: one stack is started, hurt, stopped and started again."""

import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from tests import stack_fixture
from tests.stack_fixture import stack

__all__ = ["stack"]

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("stack")]
PROCESSES = ("provider", "signer", "web", "worker", "beat", "relay", "tell")
COMES_BACK_WITHIN_S = 120


def wait_for(stack: stack_fixture.Stack, name: str, *, instead_of: int) -> None:
    deadline = time.monotonic() + COMES_BACK_WITHIN_S
    while stack.pids().get(name, instead_of) == instead_of:
        assert time.monotonic() < deadline, f"{name} did not come back"
        time.sleep(0.1)


def test_first_start_tells_an_outside_client_where_everything_is(stack: stack_fixture.Stack) -> None:
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
    assert sorted(stack.pids()) == sorted([*PROCESSES, "postgres", "redis", "chain"])


def test_chain_has_no_account_whose_key_is_public(stack: stack_fixture.Stack) -> None:
    first_of_anvil = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"

    assert stack.call_chain("eth_accounts") == []
    assert stack.call_chain("eth_getBalance", first_of_anvil, "latest") == "0x0"


def test_secrets_are_private_and_only_the_signer_is_told_where_its_key_is(stack: stack_fixture.Stack) -> None:
    for path in (stack.var, stack.var / "secrets"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for path in (stack.var / "secrets").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    with_key = {process.pid for process in stack.processes() if "KEK_FILE" in process.environ()}
    group = stack.pids()["signer"]
    assert group in with_key
    assert {os.getpgid(pid) for pid in with_key} == {group}


def test_second_start_says_that_it_runs_already(stack: stack_fixture.Stack) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "openvpp.stack", "run"],
        cwd=stack_fixture.ROOT,
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


@pytest.mark.parametrize("name", PROCESSES)
def test_killed_process_is_shown_and_comes_back(stack: stack_fixture.Stack, name: str) -> None:
    killed = stack.pids()[name]

    os.kill(killed, signal.SIGKILL)
    wait_for(stack, name, instead_of=killed)
    stack.wait_until_ready()

    assert f"{name} ended (killed by SIGKILL); starting it again in" in stack.output.read_text()


@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_killed_service_comes_back_with_its_data(stack: stack_fixture.Stack, name: str) -> None:
    people = stack.run_file["people"]
    killed = stack.pids()[name]

    os.kill(killed, signal.SIGKILL)
    wait_for(stack, name, instead_of=killed)
    stack.wait_until_ready()

    counted = stack.manage("shell", "-v0", "-c", "from customers import models; print(models.User.objects.count())")
    assert int(counted.split()[-1]) >= len(people)


def test_interrupt_leaves_no_process_and_the_next_start_keeps_everything(stack: stack_fixture.Stack) -> None:
    before = stack.run_file
    block_number = int(stack.call_chain("eth_blockNumber"), 16)
    code = stack.call_chain("eth_getCode", before["contracts"]["ovpp"], "latest")

    assert stack.stop(signal.SIGINT) == 0
    assert stack.processes() == []

    stack.start()
    assert stack.run_file == before
    assert int(stack.call_chain("eth_blockNumber"), 16) >= block_number
    assert stack.call_chain("eth_getCode", before["contracts"]["ovpp"], "latest") == code


def test_killed_supervisor_leaves_nothing_that_the_next_start_does_not_end(stack: stack_fixture.Stack) -> None:
    before = {process.pid for process in stack.processes()}

    stack.supervisor.kill()
    stack.supervisor.wait()
    stack.start()

    assert before & {process.pid for process in stack.processes()} == set()
    assert sorted(stack.pids()) == sorted([*PROCESSES, "postgres", "redis", "chain"])
