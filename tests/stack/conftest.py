"""One stack for all that is asked of a whole one, file after file: what a file hurts, it heals."""

from collections.abc import Iterator

import pytest

from openvpp.stack import layout
from tests.stack import running


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[running.Stack]:
    """A stack that is ready, and new when `test_begins` and `test_demo` meet it."""
    made = running.Stack(var=tmp_path_factory.mktemp("stack") / "var", port=layout.free_port())
    try:
        made.start()
        yield made
    finally:
        made.end()
