"""`make demo`: plays a journey against the running stack, or against one that it starts and stops itself."""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping

from openvpp.stack import console, errors, layout, plan, supervisor

FEES = ("ovpp", "stablecoin", "utility")
JOURNEYS = ("bill", "event")


def play(*, variables: Mapping[str, str]) -> int:
    """Play the journey that `FEE` and `JOURNEY` choose; returns the journey's exit code.

    :raises UnableToRunError: a choice that does not exist, or no stack could be brought up.
    """
    arguments = _arguments(variables)
    paths = layout.Layout(var=layout.default_var())
    if supervisor.is_running(paths):
        return _journey(arguments, variables)
    console.hush(stack=False)
    result: list[int] = []

    def when_ready() -> None:
        console.hush(stack=True)

        def perform() -> None:
            result.append(_journey(arguments, variables))
            os.kill(os.getpid(), supervisor.STOP_SIGNAL)

        threading.Thread(target=perform, daemon=True).start()

    code = supervisor.run(variables=variables, when_ready=when_ready)
    return code or (result[0] if result else 1)


def _arguments(variables: Mapping[str, str]) -> list[str]:
    fee, journey = variables.get("FEE") or "ovpp", variables.get("JOURNEY") or "bill"
    if fee not in FEES:
        raise errors.UnableToRunError(f"FEE={fee} is not a fee mode: choose one of {', '.join(FEES)}.")
    if journey not in JOURNEYS:
        raise errors.UnableToRunError(f"JOURNEY={journey} does not exist: choose one of {', '.join(JOURNEYS)}.")
    return ["--fee", fee, "--journey", journey]


def _journey(arguments: list[str], variables: Mapping[str, str]) -> int:
    environment = plan.standing_environment(var=layout.default_var(), variables=variables)
    command = [sys.executable, "manage.py", "demo", *arguments]
    return subprocess.run(command, env=environment, cwd=layout.ROOT, check=False).returncode
