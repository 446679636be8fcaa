"""What stands on a chain is what this code gives: `python -m contracts.code --check`, and `contracts.deploy --check`.

A contract's runtime code carries values that its constructor put in (the EntryPoint's address, the hash of an EIP-712
domain), so its hash differs from chain to chain. With these places zeroed it does not: `deployments/code.json` holds
that hash for each contract, from what `forge build` left in `out/`, with the places.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import pathlib
import sys

from contracts import abi
from contracts.bindings import words

RECORD = abi.ROOT / "deployments" / "code.json"

# The EntryPoint is not compiled here; that it stands at its canonical address proves its code (CREATE2).
CONTRACTS = tuple(name for name in abi.CONTRACTS if name != "EntryPoint")


@dataclasses.dataclass(frozen=True, slots=True)
class Code:
    """The hash of a contract's runtime code with its immutables zeroed, and where these stand: offset, length."""

    hash: bytes
    immutables: tuple[tuple[int, int], ...]

    def is_of(self, runtime: bytes, /) -> bool:
        """Return whether a chain's runtime code is this contract's."""
        return hash_without(runtime, self.immutables) == self.hash


@functools.cache
def recorded() -> dict[str, Code]:
    """Return what is recorded for each contract."""
    content = json.loads(RECORD.read_text())
    return {
        name: Code(
            bytes.fromhex(one["hash"].removeprefix("0x")), tuple((start, length) for start, length in one["immutables"])
        )
        for name, one in content.items()
    }


def hash_without(runtime: bytes, immutables: tuple[tuple[int, int], ...], /) -> bytes:
    """Return the hash of runtime code with its immutables zeroed."""
    code = bytearray(runtime)
    for start, length in immutables:
        code[start : start + length] = bytes(length)
    return words.keccak(bytes(code))


def built(name: str, /) -> Code:
    """Return what was compiled.

    :raises abi.UnableToReadArtifact: if it was not.
    """
    path = abi.ROOT / "out" / f"{name}.sol" / f"{name}.json"
    try:
        deployed = json.loads(path.read_text())["deployedBytecode"]
    except FileNotFoundError as error:
        message = f"{name} is not compiled: run `make contracts`"
        raise abi.UnableToReadArtifact(message) from error
    places = tuple(
        sorted(
            (place["start"], place["length"])
            for found in deployed.get("immutableReferences", {}).values()
            for place in found
        )
    )
    return Code(hash_without(bytes.fromhex(deployed["object"].removeprefix("0x")), places), places)


def _text() -> str:
    lines = (
        f'  "{name}": {{"hash": "0x{code.hash.hex()}", "immutables": {json.dumps(code.immutables)}}}'
        for name, code in ((name, built(name)) for name in CONTRACTS)
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> int:
    """Write the record, or say that it is not fresh; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m contracts.code", description="Record the hash of each contract.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the record is not fresh")
    check = parser.parse_args().check
    try:
        text = _text()
    except abi.UnableToReadArtifact as error:
        sys.stderr.write(f"openvpp: {error}\n")
        return 1
    path = pathlib.Path(RECORD)
    is_fresh = path.exists() and path.read_text() == text
    if check and not is_fresh:
        sys.stderr.write("openvpp: the contracts' hashes are not fresh; run `make contracts`\n")
        return 1
    if not is_fresh:
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
