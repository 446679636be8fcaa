"""What the person at the terminal sees, and the same in a file for each process."""

import os
import pathlib
import re
import sys
import threading

COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
LOG_LIMIT_BYTES = 20_000_000
_ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_LOCK = threading.Lock()
_SPEAKING = {"processes": True, "stack": True}


def colourful() -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    return sys.stdout.isatty() or bool(os.environ.get("FORCE_COLOR"))


def paint(text: str, colour: int) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m" if colourful() else text


class Voice:
    """One speaker: its lines carry its name, in its own colour, and go to its own log file too."""

    _width = 9
    _next_colour = 0

    def __init__(self, *, name: str, directory: pathlib.Path) -> None:
        self._name = name
        self._colour = COLOURS[Voice._next_colour % len(COLOURS)]
        Voice._next_colour += 1
        self._path = directory / f"{name}.log"

    def line(self, text: str) -> None:
        text = text.rstrip()
        with _LOCK:
            if _SPEAKING["processes"]:
                print(f"{paint(f'{self._name:<{self._width}}|', self._colour)} {text}", flush=True)
            self._keep(text)

    def _keep(self, text: str) -> None:
        if self._path.exists() and self._path.stat().st_size > LOG_LIMIT_BYTES:
            self._path.replace(self._path.with_suffix(".log.1"))
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "a") as file:
            file.write(_ESCAPE.sub("", text) + "\n")


def hush(*, stack: bool) -> None:
    """Keep what the processes say to their log files; with `stack`, say nothing of the stack's own either."""
    _SPEAKING.update(processes=False, stack=not stack)


def is_hushed() -> bool:
    return not _SPEAKING["processes"]


def say(text: str) -> None:
    """Tell how the stack does; while it is hushed, beside what a journey prints."""
    if not _SPEAKING["stack"]:
        return
    with _LOCK:
        print(f"{paint('openvpp  |', 1)} {text}", flush=True, file=sys.stdout if _SPEAKING["processes"] else sys.stderr)


def complain(text: str) -> None:
    with _LOCK:
        print(f"{paint('openvpp  |', 1)} {paint(text, 31)}", file=sys.stderr, flush=True)
