"""When Python looks for rings of dead objects, in a process that answers requests."""

import gc

# All requests wait while young objects are walked, two milliseconds a thousand of them: a payment leaves a hundred that
# hold each other, so that this comes every few dozen requests. All that stands is walked every ten thousands of them.
_AFTER, _OLDER, _ALL = 3_000, 20, 100


def settle() -> None:
    """Take what is loaded by now as what stays: to walk all of it again would stop every request for a while."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_AFTER, _OLDER, _ALL)
