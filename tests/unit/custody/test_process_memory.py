"""No core is written of a process that keeps its memory to itself, and no other one of its user reads it."""

import os
import pathlib
import subprocess
import sys
import textwrap

import pytest

from tests import chain_fixture

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Only Linux has these.")
NOBODY = 65534
# A child that may write a core ends by a fault; its parent, of the same user, looks at its memory before.
SCRIPT = """
    import ctypes, os, resource, signal, sys
    sys.path.insert(0, sys.argv[1])
    from custody.adapters import process_memory
    os.chdir(sys.argv[2])
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid({nobody})
        os.setuid({nobody})
        ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # as after an exec
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        if sys.argv[3] == "private":
            process_memory.keep_private()
        os.write(writing, b"ready")
        signal.pause()
    os.read(reading, 5)
    try:
        os.close(os.open(f"/proc/{{child}}/mem", os.O_RDONLY))
        print("read")
    except PermissionError:
        print("refused")
    os.kill(child, signal.SIGSEGV)
    print(os.WCOREDUMP(os.waitpid(child, 0)[1]))
"""


def ended(directory: pathlib.Path, *, how: str) -> list[str]:
    os.chmod(directory, 0o777)  # noqa: PTH101 - another user writes its core there
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT).format(nobody=NOBODY)]
    said = subprocess.run(
        [*command, str(chain_fixture.ROOT), str(directory), how], capture_output=True, text=True, check=True, timeout=30
    )
    return said.stdout.split()


def test_no_core_and_no_reader(tmp_path: pathlib.Path) -> None:
    assert ended(tmp_path, how="private") == ["refused", "False"]
    assert list(tmp_path.iterdir()) == []


def test_another_process_is_read(tmp_path: pathlib.Path) -> None:
    assert ended(tmp_path, how="open")[0] == "read"
