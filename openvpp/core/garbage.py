"""When Python looks for rings of dead objects: seldom, in a process that answers requests."""

import gc

# A request makes some thousands of objects and drops them all: they are not walked every time that a few hundred stand.
_AFTER = 50_000


def settle() -> None:
    """Take what is loaded by now as what stays: to walk all of it again would stop every request for a while."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_AFTER)
