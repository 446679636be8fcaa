"""A stack that is hurt, stopped and started again."""

import os
import signal
import time

import pytest

from tests.stack import running

pytestmark = pytest.mark.stack
COMES_BACK_WITHIN_S = 120


def wait_for(stack: running.Stack, name: str, *, instead_of: int) -> None:
    deadline = time.monotonic() + COMES_BACK_WITHIN_S
    while stack.pids().get(name, instead_of) == instead_of:
        assert time.monotonic() < deadline, f"{name} did not come back"
        time.sleep(0.1)


@pytest.mark.parametrize("name", running.PROCESSES)
def test_killed_process_is_shown_and_comes_back(stack: running.Stack, name: str) -> None:
    killed, said = stack.pids()[name], len(stack.output.read_text())

    os.kill(killed, signal.SIGKILL)
    wait_for(stack, name, instead_of=killed)
    stack.wait_until_ready()

    assert f"{name} ended (killed by SIGKILL); starting it again in" in stack.output.read_text()[said:]


@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_killed_service_comes_back_with_its_data(stack: running.Stack, name: str) -> None:
    people = stack.run_file["people"]
    killed = stack.pids()[name]

    os.kill(killed, signal.SIGKILL)
    wait_for(stack, name, instead_of=killed)
    stack.wait_until_ready()

    counted = stack.manage("shell", "-v0", "-c", "from customers import models; print(models.User.objects.count())")
    assert int(counted.split()[-1]) >= len(people)


def test_interrupt_leaves_no_process_and_the_next_start_keeps_everything(stack: running.Stack) -> None:
    before = stack.run_file
    block_number = int(stack.call_chain("eth_blockNumber"), 16)
    code = stack.call_chain("eth_getCode", before["contracts"]["ovpp"], "latest")

    assert stack.stop(signal.SIGINT) == 0
    assert stack.processes() == []

    stack.start()
    assert stack.run_file == before
    assert int(stack.call_chain("eth_blockNumber"), 16) >= block_number
    assert stack.call_chain("eth_getCode", before["contracts"]["ovpp"], "latest") == code


def test_killed_supervisor_leaves_nothing_that_the_next_start_does_not_end(stack: running.Stack) -> None:
    before = {process.pid for process in stack.processes()}

    stack.supervisor.kill()
    stack.supervisor.wait()
    stack.start()

    assert before & {process.pid for process in stack.processes()} == set()
    assert sorted(stack.pids()) == sorted([*running.PROCESSES, "postgres", "redis", "chain"])
