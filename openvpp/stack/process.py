"""One supervised process: started, listened to, restarted when it ends by itself, stopped with everything it began."""

import asyncio
import contextlib
import ctypes
import dataclasses
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence

import psutil

from openvpp.stack import console, layout

BACKOFF_S = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
LONG_LIVED_S = 10.0
HEAD_START_S = 1.0
STARTS_WITHIN_S = 6.0
POLL_S = 0.02
GONE_WITHIN_S = 5.0
LINE_LIMIT_BYTES = 1024 * 1024
_PR_SET_PDEATHSIG = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Program:
    """What to run, and how it wants to be stopped."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within_s: float = 10.0
    goes_first: bool = False  # where several have ended at once, the others leave it the processors for its start


class Process:
    """A `Program` that is kept running until `stop`."""

    def __init__(
        self,
        *,
        program: Program,
        voice: console.Voice,
        on_change: Callable[[], None],
        others: Collection["Process"] = (),
    ) -> None:
        self.program = program
        self.restarts = 0
        self.last_exit: int | None = None
        self.started_at: float | None = None
        self._voice = voice
        self._on_change = on_change
        self._others = others
        self._started = 0.0
        self._first_word: float | None = None
        self._child: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None and self._child.returncode is None else None

    @property
    def wants_room(self) -> bool:
        """Whether it goes first and was started a moment ago: until a while after its first word."""
        up = self._started + STARTS_WITHIN_S if self._first_word is None else self._first_word + HEAD_START_S
        return self.program.goes_first and time.monotonic() < up

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_running(), name=self.program.name)

    async def stop(self) -> None:
        """End the process and every process of its group, asking first."""
        self._stopping.set()
        child = self._child
        if child is not None and child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(self.program.stop_signal)
            try:
                async with asyncio.timeout(self.program.stop_within_s):
                    await until_ended(child)
            except TimeoutError:
                self._voice.line(f"did not stop within {self.program.stop_within_s:.0f} s: killed")
        if child is not None:
            _signal_group(child.pid, signal.SIGKILL)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._on_change()

    async def _keep_running(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            self._started, self._first_word = time.monotonic(), None
            self._child = await spawn(self.program)
            self.started_at = started_at(self._child.pid)
            self._on_change()
            await listen(self._child, self._hear)
            self.last_exit = await until_ended(self._child)
            _signal_group(self._child.pid, signal.SIGKILL)
            if self._stopping.is_set():
                return
            failures = 0 if time.monotonic() - self._started > LONG_LIVED_S else failures + 1
            pause_s = BACKOFF_S[min(failures + (not self.program.goes_first), len(BACKOFF_S) - 1)]
            self.restarts += 1
            console.complain(
                f"{self.program.name} ended ({describe(self.last_exit)}); starting it again in {pause_s} s"
            )
            self._on_change()
            await asyncio.sleep(pause_s)
            while not self.program.goes_first and any(other.wants_room for other in self._others):  # noqa: ASYNC110
                await asyncio.sleep(POLL_S)

    def _hear(self, line: str) -> None:
        self._first_word = self._first_word or time.monotonic()
        self._voice.line(line)


async def run_once(program: Program, voice: console.Voice) -> int:
    """Run `program` to its end and return its exit code; it ends too when the waiting is cancelled."""
    child = await spawn(program)
    try:
        await listen(child, voice.line)
        return await until_ended(child)
    finally:
        _signal_group(child.pid, signal.SIGKILL)


async def spawn(program: Program) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *program.command,
        cwd=layout.ROOT,
        env=dict(program.environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=LINE_LIMIT_BYTES,
        start_new_session=True,
        preexec_fn=_die_with_parent(program.stop_signal),
    )


async def until_ended(child: asyncio.subprocess.Process) -> int:
    """The exit code, as soon as there is one: asyncio's own `wait` also waits for every heir of the output pipe."""
    while child.returncode is None:  # noqa: ASYNC110, there is no event for it
        await asyncio.sleep(POLL_S)
    return child.returncode


async def listen(child: asyncio.subprocess.Process, hear: Callable[[str], None]) -> None:
    """Repeat what `child` says until it ends; a grandchild that still holds the pipe is not waited for."""
    if child.stdout is None:
        return
    ended = asyncio.create_task(until_ended(child))
    while True:
        reading = asyncio.create_task(child.stdout.readline())
        await asyncio.wait({reading, ended}, return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await asyncio.shield(reading)
        if not reading.done():
            reading.cancel()
            return
        try:
            line = reading.result()
        except ValueError:  # longer than the limit: dropped, the next one is read
            continue
        if not line:
            await ended
            return
        hear(line.decode(errors="replace"))


def describe(exit_code: int) -> str:
    if exit_code < 0:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-exit_code).name}"
    return f"exit code {exit_code}"


def end_leftovers(recorded: Mapping[str, object]) -> list[str]:
    """Kill the processes that an earlier supervisor recorded and could not stop; returns their names.

    A process counts as the recorded one only when it was started at the recorded time: numbers are used again. Where
    the process is gone, what it began may still be there, in a group of its number.
    """
    ended = []
    for name, entry in recorded.items():
        if not isinstance(entry, dict) or not isinstance(pid := entry.get("pid"), int):
            continue
        if started_at(pid) in {None, entry.get("started_at")} and _signal_group(pid, signal.SIGKILL):
            deadline = time.monotonic() + GONE_WITHIN_S
            while _signal_group(pid, signal.SIGKILL) and time.monotonic() < deadline:
                time.sleep(POLL_S)
            ended.append(name)
    return ended


def started_at(pid: int) -> float | None:
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def _signal_group(pid: int, number: signal.Signals) -> bool:
    """Whether there was anybody to signal."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _die_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """On Linux, have the kernel send `number` to the process when the supervisor dies, however it dies."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    supervisor = os.getpid()

    def ask_kernel() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(number))
        if os.getppid() != supervisor:
            os._exit(1)

    return ask_kernel
