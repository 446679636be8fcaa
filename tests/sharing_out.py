"""How the workers of pytest-xdist share the tests out: a file goes to one of them, and so does all of `tests/stack`.

What asks a whole stack comes first, for it takes longest and mostly waits; what reads compiled contracts last, for
`make test` compiles them meanwhile. pytest-xdist's own groups (`loadgroup`) are not used: with pytest 9.2 they hold
nothing together.
"""

import pytest
from xdist import remote, scheduler

STACK, CHAIN = "tests/stack/", "tests/chain/"


class FileByFile(scheduler.LoadFileScheduling):
    """One worker a file, and one for every file of the stack."""

    def _split_scope(self, nodeid: str) -> str:
        return STACK if nodeid.startswith(STACK) else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: remote.Producer) -> FileByFile | None:
    return FileByFile(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: (not item.nodeid.startswith(STACK), item.nodeid.startswith(CHAIN)))
