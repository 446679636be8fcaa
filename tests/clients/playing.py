"""A client's script, run by node as it is, with something else going on beside it."""

import json
import pathlib
import subprocess
import threading
from collections.abc import Callable, Sequence
from typing import Any

WITHIN_S = 120


def play(turns: Sequence[Callable[[], object]], script: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Return what a script beside this module tells when it is asked this; `turns` are taken as long as it runs."""
    path = pathlib.Path(__file__).with_name(script)
    with subprocess.Popen(
        ["node", str(path), json.dumps(asked)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as node:
        pause = threading.Event()
        for _ in range(WITHIN_S * 5):
            if node.poll() is not None:
                break
            for turn in turns:
                turn()
            pause.wait(0.2)
        else:
            node.kill()
        told, problems = node.communicate()
        assert node.returncode == 0, problems
    found: dict[str, Any] = json.loads(told)
    return found
