"""`var/run.json`: what an outside client needs to be pointed at a running stack. Private to its owner."""

import json
import os
import pathlib
import secrets
from typing import Any

from openvpp.stack import layout


def path() -> pathlib.Path:
    """Return where the running stack keeps it."""
    return layout.Layout(var=layout.default_var()).run_file


def read() -> dict[str, Any]:
    """Return what is known, or nothing when there is no file yet."""
    return dict(layout.read_json(path()))


def write(*, known: dict[str, Any]) -> None:
    """Replace the file in one step, readable by its owner only."""
    path().parent.mkdir(parents=True, exist_ok=True)
    layout.write_private(path(), json.dumps(known, indent=2) + os.linesep)


def fresh_password() -> str:
    """Return a random password."""
    return secrets.token_urlsafe(15)
