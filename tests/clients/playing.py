"""A client's script, run by node as it is, with the relay's loop beside it."""

import json
import pathlib
import subprocess
import threading
from typing import Any

from tests.integration.relayer import conftest as relayers

WITHIN_S = 120


def play(relayer: relayers.Relayer, script: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Return what a script beside this module tells when it is asked this."""
    path = pathlib.Path(__file__).with_name(script)
    with subprocess.Popen(
        ["node", str(path), json.dumps(asked)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as node:
        pause = threading.Event()
        for _ in range(WITHIN_S * 5):
            if node.poll() is not None:
                break
            relayer.turn()
            relayer.mine()
            pause.wait(0.2)
        else:
            node.kill()
        told, problems = node.communicate()
        assert node.returncode == 0, problems
    found: dict[str, Any] = json.loads(told)
    return found
