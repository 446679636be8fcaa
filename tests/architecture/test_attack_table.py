"""The table of attacks names tests that exist."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLE = ROOT / "docs" / "security" / "oauth-attacks.md"
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


def test_every_attack_of_the_table_has_its_test() -> None:
    rows = [line for line in TABLE.read_text().splitlines() if line.startswith("| ")][1:]
    named = NAMED.findall(TABLE.read_text())
    assert len(named) == len(rows) >= 35
    for path, name in named:
        file = ROOT / (path if path.startswith("tests/") else f"tests/integration/oauth/{path}")
        assert re.search(rf"^(async )?def {name}\(", file.read_text(), re.MULTILINE), f"{path}::{name}"
