"""Storage of the account, kept in a file so that no upgrade can move it unseen: `python -m contracts.layout --check`.

It looks at the namespaced structs (ERC-7201) in what forge compiled: the slot each namespace hashes to, the struct's
members in their order with their types. A member may be added at the end; nothing else may change.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import re
import sys

from contracts import abi
from contracts.bindings import words

SNAPSHOT = abi.ROOT / "deployments" / "account_storage.json"

_SOURCES = "src/account"
_STRUCT = re.compile(r"@custom:storage-location erc7201:(\S+)\n(?:\s*///[^\n]*\n)*\s*struct \w+ \{([^}]*)\}")
_STORAGE = re.compile(r"bytes32 private constant \w+_STORAGE =\s+(0x[0-9a-f]{64});")


class UnableToReadLayout(Exception):
    """A namespace and the slot in the code don't belong together, or there is plain storage."""


def read(source: pathlib.Path, /) -> dict[str, list[str]]:
    """Return the namespaces that a source file stores in: slot and namespace, and the members in their order.

    :raises UnableToReadLayout: if the code uses another slot than its namespace's.
    """
    text = source.read_text()
    found = {}
    for namespace, body in _STRUCT.findall(text):
        slot = _slot(namespace)
        if slot not in _STORAGE.findall(text):
            message = f"{source.name} does not store {namespace} at {slot}"
            raise UnableToReadLayout(message)
        found[f"{namespace} @ {slot}"] = [" ".join(member.split()) for member in body.split(";") if member.strip()]
    return found


def current() -> dict[str, list[str]]:
    """Return all that the account stores.

    :raises UnableToReadLayout: if a namespace and its slot don't belong together.
    """
    layout: dict[str, list[str]] = {}
    for source in sorted((abi.ROOT / _SOURCES).glob("*.sol")):
        layout |= read(source)
    return layout


def moved(*, before: dict[str, list[str]], after: dict[str, list[str]]) -> list[str]:
    """Return what an upgrade would find in another place: namespaces gone, members changed or no longer first."""
    return [namespace for namespace, members in before.items() if after.get(namespace, [])[: len(members)] != members]


def main() -> int:
    """Write the snapshot, or say what moved; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m contracts.layout", description="Keep the account's storage.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if storage moved or is not recorded")
    check = parser.parse_args().check
    layout = current()
    before: dict[str, list[str]] = json.loads(SNAPSHOT.read_text()) if SNAPSHOT.exists() else {}
    if gone := moved(before=before, after=layout):
        sys.stderr.write(f"openvpp: an upgrade would misread {', '.join(gone)}\n")
        return 1
    if check:
        if before != layout:
            sys.stderr.write("openvpp: new storage is not recorded; run `python -m contracts.layout`\n")
        return int(before != layout)
    SNAPSHOT.parent.mkdir(exist_ok=True)
    SNAPSHOT.write_text(json.dumps(layout, indent=2) + "\n")
    return 0


def _slot(namespace: str) -> str:
    """Return the slot of a namespace, as ERC-7201 has it."""
    inner = int.from_bytes(words.keccak(namespace.encode()), "big") - 1
    return "0x" + (words.keccak(words.uint(inner))[:31] + b"\x00").hex()


if __name__ == "__main__":
    sys.exit(main())
