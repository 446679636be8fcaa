"""ABIs and creation code of the contracts, checked in so that nobody needs a compiler to run the stack.

`python -m contracts.abi` exports them from what `forge build` left in `out/`; with `--check` it says what is not fresh.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import pathlib
import sys
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent
CONTRACTS = (
    "AccountControl",
    "BillLane",
    "DevPriceFeed",
    "DevStablecoin",
    "EntryPoint",
    "OVPP",
    "OpenVPPAccount",
    "OpenVPPAccountFactory",
    "OpenVPPPaymaster",
    "PayoutClaims",
    "Payouts",
    "RelayPaymaster",
)

_EXPORTED = ROOT / "abi"
_BUILT = ROOT / "out"
_ENTRY_POINT = ROOT / "node_modules/@account-abstraction/contracts/artifacts/EntryPoint.json"


class UnableToReadArtifact(Exception):
    """A contract was not compiled or not exported."""


@dataclasses.dataclass(frozen=True, slots=True)
class Artifact:
    """A contract's ABI entries and its creation code without constructor arguments."""

    abi: tuple[dict[str, Any], ...]
    creation_code: bytes


@functools.cache
def load(name: str, /) -> Artifact:
    """Return a contract's exported artifact.

    :raises UnableToReadArtifact: if it was not exported.
    """
    try:
        content = json.loads((_EXPORTED / f"{name}.json").read_text())
    except FileNotFoundError as error:
        message = f"{name} is not exported: run `make contracts`"
        raise UnableToReadArtifact(message) from error
    return Artifact(abi=tuple(content["abi"]), creation_code=bytes.fromhex(content["bytecode"].removeprefix("0x")))


def exported_text(name: str, /) -> str:
    """Return what the export of a contract should hold, from what was compiled.

    :raises UnableToReadArtifact: if it was not compiled.
    """
    path = _ENTRY_POINT if name == "EntryPoint" else _BUILT / f"{name}.sol" / f"{name}.json"
    try:
        built = json.loads(path.read_text())
    except FileNotFoundError as error:
        message = f"{name} is not compiled: run `make contracts`"
        raise UnableToReadArtifact(message) from error
    bytecode = built["bytecode"]
    entries = ",\n  ".join(json.dumps(_without_internal_types(entry), separators=(",", ":")) for entry in built["abi"])
    code = bytecode if isinstance(bytecode, str) else bytecode["object"]
    return f'{{"abi": [\n  {entries}\n],\n"bytecode": "{code}"}}\n'


def _without_internal_types(entry: Any) -> Any:
    if isinstance(entry, dict):
        return {key: _without_internal_types(value) for key, value in entry.items() if key != "internalType"}
    if isinstance(entry, list):
        return [_without_internal_types(item) for item in entry]
    return entry


def main() -> int:
    """Export the artifacts, or say which are not fresh; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m contracts.abi", description="Export ABIs and creation code.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if an export is not fresh")
    check = parser.parse_args().check
    stale = []
    for name in CONTRACTS:
        path = _EXPORTED / f"{name}.json"
        try:
            text = exported_text(name)
        except UnableToReadArtifact as error:
            sys.stderr.write(f"openvpp: {error}\n")
            return 1
        if path.exists() and path.read_text() == text:
            continue
        stale.append(name)
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    if check and stale:
        sys.stderr.write(f"openvpp: not fresh in contracts/abi: {', '.join(stale)}; run `make contracts`\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
