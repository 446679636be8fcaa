"""The memory of a process that opens sealed keys: no core is written of it, and nobody but root reads it."""

import ctypes
import os
import resource
import sys

_PR_SET_DUMPABLE = 4


class UnableToKeepMemory(Exception):
    """The system does not let the process keep its memory to itself."""


def keep_private() -> None:
    """Write no core, and let no other process of the same user read this one's memory or trace it.

    To be called before the first key is read; children inherit the first and not the second.

    :raises UnableToKeepMemory: the system refuses.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "linux":
        return
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
        raise UnableToKeepMemory(f"prctl: {os.strerror(ctypes.get_errno())}")
