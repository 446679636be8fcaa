"""Several programs that are killed at once: those that go first are up before the others begin."""

import asyncio
import os
import pathlib
import signal
import sys
import time

import pytest

from openvpp.stack import console, process

SCRIPT = "import time; time.sleep({}); print('up', flush=True); time.sleep(60)"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(console._SPEAKING, "processes", False)
    monkeypatch.setattr(process, "BACKOFF_S", (0.0, 0.05, 0.1))
    monkeypatch.setattr(process, "HEAD_START_S", 0.1)


def program(name: str, *, after_s: float, goes_first: bool) -> process.Program:
    command = [sys.executable, "-S", "-c", SCRIPT.format(after_s)]
    return process.Program(name=name, command=command, environment=dict(os.environ), goes_first=goes_first)


async def started(known: list[process.Process]) -> None:
    for _ in range(1000):
        if all(each.pid is not None for each in known):
            return
        await asyncio.sleep(0.005)
    raise AssertionError("they did not start")


async def restarted(known: list[process.Process], *, within_s: float = 10) -> dict[str, float]:
    """Kill them all; return after how many seconds each was started again."""
    before = {each.program.name: each.pid for each in known}
    began = time.monotonic()
    for pid in before.values():
        assert pid is not None
        os.killpg(pid, signal.SIGKILL)
    seen: dict[str, float] = {}
    while len(seen) < len(known):
        assert time.monotonic() - began < within_s
        await asyncio.sleep(0.005)
        for each in known:
            if each.pid not in (None, before[each.program.name]):
                seen.setdefault(each.program.name, time.monotonic() - began)
    return seen


def test_the_others_wait_for_the_first_word_of_those_that_go_first(tmp_path: pathlib.Path) -> None:
    async def play() -> dict[str, float]:
        known: list[process.Process] = []
        for name, after_s, goes_first in (("web", 0.0, False), ("signer", 0.4, True)):
            wanted = program(name, after_s=after_s, goes_first=goes_first)
            voice = console.Voice(name=name, directory=tmp_path)
            known.append(process.Process(program=wanted, voice=voice, on_change=lambda: None, others=known))
            known[-1].start()
        await started(known)
        try:
            return await restarted(known)
        finally:
            for each in known:
                await each.stop()

    seen = asyncio.run(play())
    assert seen["signer"] < 0.3
    assert seen["web"] > seen["signer"] + 0.4


def test_one_that_never_speaks_holds_the_others_up_for_a_while_only(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "STARTS_WITHIN_S", 0.3)
    voice = console.Voice(name="signer", directory=tmp_path)
    silent = process.Process(
        program=program("signer", after_s=60, goes_first=True), voice=voice, on_change=lambda: None
    )

    async def play() -> list[bool]:
        silent.start()
        await started([silent])
        try:
            early = silent.wants_room
            await asyncio.sleep(0.35)
            return [early, silent.wants_room]
        finally:
            await silent.stop()

    assert asyncio.run(play()) == [True, False]
