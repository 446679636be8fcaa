"""Starts a stack in order, keeps it running, and stops it in the reverse order."""

import asyncio
import contextlib
import fcntl
import os
import pathlib
import signal
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping

from openvpp.stack import console, errors, layout, plan, prepared, process, reach

SERVICE_ANSWERS_WITHIN_S = 60.0
PATIENCE_S = 90.0
HTTP_OK = 200
POLL_S = 0.2
STOP_SIGNAL = signal.SIGTERM
FUNDS_WEI = 10**21


class Supervisor:
    """One stack while it runs."""

    def __init__(self, *, stack: plan.Plan) -> None:
        self._plan = stack
        self._processes: list[process.Process] = []
        self._stop_asked = asyncio.Event()
        self._started = time.monotonic()

    async def run(self, *, when_ready: Callable[[], None] | None = None) -> int:
        """Run until asked to stop; the exit code is 1 when the stack could not be brought up."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._ask_to_stop)
        exit_code = 0
        bringing_up = asyncio.create_task(self._bring_up())
        asked = asyncio.create_task(self._stop_asked.wait())
        try:
            await asyncio.wait({bringing_up, asked}, return_when=asyncio.FIRST_COMPLETED)
            if bringing_up.done():
                bringing_up.result()
                if when_ready is not None:
                    when_ready()
                await asked
        except errors.UnableToRunError as error:
            console.complain(str(error))
            exit_code = 1
        finally:
            await _cancel(bringing_up, asked)
            await self._stop_all()
        return exit_code

    async def _bring_up(self) -> None:
        for name, service in self._plan.services.items():
            await asyncio.to_thread(service.prepare)
            self._start(self._plan.service_program(name))
        for name, service in self._plan.services.items():
            await self._until_answers(name, service.answers)
        is_prepared = await asyncio.to_thread(prepared.is_done, self._plan)
        if not is_prepared:
            await asyncio.to_thread(self._fund_deployer)
            await self._steps_together(
                self._step("deploy", "-m", "contracts.deploy"),
                self._step("migrate", "manage.py", "migrate", "--no-input", "--verbosity", "1"),
            )
            if self._plan.roles:
                await self._step("roles", "manage.py", "make_roles", *self._plan.roles)
        await asyncio.to_thread(self._write_run_file)
        for program in self._plan.processes():
            self._start(program)
            if program.name == "signer" and not is_prepared:  # the seed makes keys, and only the signer can
                await self._until_answers("signer", self._signer_answers)
                await self._step("seed", "manage.py", "seed_local")
                await asyncio.to_thread(prepared.remember, self._plan)
        await self._until_ready()

    def _signer_answers(self) -> bool:
        status, _ = reach.status(f"{self._plan.environment['SIGNER_URL']}/health")
        return status > 0

    def _start(self, program: process.Program) -> None:
        running = process.Process(
            program=program,
            voice=console.Voice(name=program.name, directory=self._plan.paths.logs),
            on_change=self._record,
            others=self._processes,
        )
        self._processes.append(running)
        running.start()

    async def _until_answers(self, name: str, answers: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SERVICE_ANSWERS_WITHIN_S
        while not await asyncio.to_thread(answers):
            if time.monotonic() > deadline:
                raise errors.UnableToRunError(
                    f"{name} does not answer: see {self._plan.paths.logs / name}.log, or start over with `make reset`."
                )
            await asyncio.sleep(POLL_S)
        console.say(f"{name} answers")

    async def _step(self, name: str, *arguments: str) -> None:
        console.say(f"{name} …")
        program = self._plan.step(name, *arguments)
        exit_code = await process.run_once(program, console.Voice(name=name, directory=self._plan.paths.logs))
        if exit_code:
            raise errors.UnableToRunError(
                f"The step `{name}` failed ({process.describe(exit_code)}): its reason stands above and in "
                f"{self._plan.paths.logs / name}.log."
            )

    async def _steps_together(self, *steps: Coroutine[object, object, None]) -> None:
        """Run independent steps at once; the first that fails ends the others."""
        tasks = [asyncio.create_task(step) for step in steps]
        try:
            await asyncio.gather(*tasks)
        finally:
            await _cancel(*tasks)

    def _fund_deployer(self) -> None:
        """On a development chain, give the deployer's fresh key coins; a real chain's deployer brings its own.

        :raises UnableToRunError: the key is fresh and the chain gives nothing away.
        """
        if "DEPLOYER_KEY_FILE" not in self._plan.deployer:
            return
        address = _address_of(layout.read_secret(pathlib.Path(self._plan.deployer["DEPLOYER_KEY_FILE"])))
        try:
            reach.call(self._plan.environment["CHAIN_RPC_URL"], "anvil_setBalance", address, hex(FUNDS_WEI))
        except (OSError, ValueError) as error:
            raise errors.UnableToRunError(
                "The chain at CHAIN_RPC_URL gives no coins away: name the file of a key that has some with "
                "DEPLOYER_KEY_FILE=."
            ) from error

    def _write_run_file(self) -> None:
        """What an outside client needs to be pointed at this stack; the seed adds clients and people."""
        known = layout.read_json(self._plan.paths.run_file)
        environment = self._plan.environment
        chain_id = int(environment["CHAIN_ID"])
        deployment = layout.read_json(self._plan.paths.deployments / f"{chain_id}.json")
        contracts = deployment.get("contracts", {})
        if "people" in known and known.get("chain_id") == chain_id and known.get("contracts") != contracts:
            raise errors.UnableToRunError(
                "The contracts of this version stand at other addresses than those that the local data is about: start "
                "over with `make reset`, or go back to the version that made the data."
            )
        base_url = environment["BASE_URL"]
        layout.write_json(
            self._plan.paths.run_file,
            known
            | {
                "base_url": base_url,
                "ws_url": f"ws{base_url.removeprefix('http')}/ws/v1/notifications/",
                "rpc_url": f"{base_url}/rpc/v1/{chain_id}",
                "node_url": environment["CHAIN_RPC_URL"],
                "chain_id": chain_id,
                "contracts": contracts,
            },
        )

    async def _until_ready(self) -> None:
        """Wait for the web's word that everything answers, and say now and then what is missing."""
        url = f"{self._plan.base_url}/health/ready"
        said_at = time.monotonic()
        while True:
            status, body = await asyncio.to_thread(reach.status, url)
            if status == HTTP_OK:
                self._say_ready()
                return
            if time.monotonic() - said_at > PATIENCE_S:
                said_at = time.monotonic()
                console.complain(f"Not ready yet: {url} answers {status or 'nothing'} {body.strip()[:500]}")
                self._say_failing()
            await asyncio.sleep(POLL_S)

    def _say_failing(self) -> None:
        for running in self._processes:
            if running.restarts and running.last_exit is not None:
                console.complain(f"{running.program.name} keeps ending ({process.describe(running.last_exit)}).")

    def _say_ready(self) -> None:
        console.say(f"Ready after {time.monotonic() - self._started:.0f} s.")
        if console.is_hushed():
            return
        base_url = self._plan.base_url
        lines = [
            f"  {base_url}/               where everything is",
            f"  {base_url}/admin/         the utility's people",
            f"  {base_url}/api/v1/docs/   the API of the mobile app",
            f"  {base_url}/health/ready   what is up",
        ]
        people = layout.read_json(self._plan.paths.run_file).get("people")
        if people:
            lines.append(f"  People and passwords: {self._plan.paths.run_file}")
        lines.append("In another terminal: make demo. Ctrl-C stops everything.")
        for line in lines:
            console.say(line)
        self._say_failing()

    def _ask_to_stop(self) -> None:
        if self._stop_asked.is_set():
            return
        console.say("stopping …")
        self._stop_asked.set()

    async def _stop_all(self) -> None:
        for running in reversed(self._processes):
            await running.stop()
        self._plan.paths.processes_file.unlink(missing_ok=True)
        console.say("stopped")

    def _record(self) -> None:
        """Keep the running processes' numbers for the start after a supervisor that was killed."""
        alive = {
            running.program.name: {"pid": running.pid, "started_at": running.started_at}
            for running in self._processes
            if running.pid is not None
        }
        layout.write_json(self._plan.paths.processes_file, alive)


@contextlib.contextmanager
def only_one(paths: layout.Layout) -> Iterator[None]:
    """Hold the stack's lock.

    :raises UnableToRunError: another supervisor holds it.
    """
    paths.make()
    descriptor = os.open(paths.lock_file, os.O_RDWR | os.O_CREAT, layout.PRIVATE_FILE)
    with os.fdopen(descriptor, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            where = layout.read_json(paths.run_file).get("base_url", "a port that it has not chosen yet")
            holder = file.read().strip() or "unknown"
            raise errors.UnableToRunError(
                f"The stack of this directory runs already (process {holder}, {where}): use it, or stop it with Ctrl-C "
                "in its terminal."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def is_running(paths: layout.Layout) -> bool:
    """Whether some supervisor holds the lock of these paths."""
    try:
        with only_one(paths):
            return False
    except errors.UnableToRunError:
        return True


def run(*, variables: Mapping[str, str], when_ready: Callable[[], None] | None = None) -> int:
    """Run the stack that `variables` describe until a signal ends it; returns the exit code."""
    paths = layout.Layout(var=layout.default_var())
    with only_one(paths):
        end_leftovers(paths)
        stack = plan.make(var=paths.var, variables=variables)

        async def main() -> int:
            return await Supervisor(stack=stack).run(when_ready=when_ready)

        return asyncio.run(main())


def end_leftovers(paths: layout.Layout) -> None:
    """End what a killed supervisor left before ports are looked at: it may still hold the web port."""
    ended = process.end_leftovers(layout.read_json(paths.processes_file))
    if ended:
        console.say(f"ended what an earlier start left running: {', '.join(ended)}")


def _address_of(private_key: str) -> str:
    import coincurve  # noqa: PLC0415
    import sha3  # noqa: PLC0415

    public = coincurve.PrivateKey(bytes.fromhex(private_key.removeprefix("0x"))).public_key.format(compressed=False)
    return f"0x{sha3.keccak_256(public[1:]).digest()[-20:].hex()}"


async def _cancel(*tasks: asyncio.Task[None] | asyncio.Task[bool]) -> None:
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, errors.UnableToRunError):
            await task
