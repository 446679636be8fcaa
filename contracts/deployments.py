"""Where the contracts stand on each chain."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import pathlib

from contracts.bindings import words

DIRECTORY = str(pathlib.Path(__file__).resolve().parent / "deployments")


class UnableToLoadDeployment(Exception):
    """No deployment is recorded for a chain, or its record is damaged."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Feeds:
    """Price feeds in the shape of Chainlink's: US dollars for one whole native coin, $OVPP, stablecoin."""

    native_usd: bytes
    ovpp_usd: bytes
    stablecoin_usd: bytes


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Addresses (20 bytes each) of the contracts on one chain, none of them older than the deployed block."""

    chain_id: int
    deployed_block: int
    entry_point: bytes
    account_factory: bytes
    account_implementation: bytes
    account_self_custody: bytes
    paymaster: bytes
    relay_paymaster: bytes
    ovpp: bytes
    stablecoin: bytes
    payouts: bytes
    payout_claims: bytes
    bill_lane: bytes
    feeds: Feeds


def load(chain_id: int) -> Deployment:
    """Return what is recorded for a chain: in `$OPENVPP_DEPLOYMENTS_DIR` if there, else in `contracts/deployments`.

    :raises UnableToLoadDeployment: if nothing is recorded, or something that is no deployment.
    """
    for directory in directories():
        path = f"{directory}/{chain_id}.json"
        try:
            changed_at_ns = os.stat(path).st_mtime_ns  # noqa: PTH116 - a Path takes four times as long, at every operation
        except OSError:
            continue
        return _read_once(path, changed_at_ns)
    message = f"no contracts are recorded for chain {chain_id}: run `python -m contracts.deploy`"
    raise UnableToLoadDeployment(message)


@functools.lru_cache(maxsize=16)
def _read_once(path: str, _changed_at_ns: int, /) -> Deployment:
    return read(pathlib.Path(path))


def directories() -> tuple[str, ...]:
    """Return where deployments are looked for, in order."""
    named = os.environ.get("OPENVPP_DEPLOYMENTS_DIR")
    return (named, DIRECTORY) if named else (DIRECTORY,)


def read(path: pathlib.Path, /) -> Deployment:
    """Return the deployment that a file records.

    :raises UnableToLoadDeployment: if it is no deployment.
    """
    try:
        content = json.loads(path.read_text())
        contracts = dict(content["contracts"])
        feeds = contracts.pop("feeds")
        return Deployment(
            chain_id=content["chain_id"],
            deployed_block=content["deployed_block"],
            feeds=Feeds(**{name: words.parse_address(text) for name, text in feeds.items()}),
            **{name: words.parse_address(text) for name, text in contracts.items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{path} is no record of a deployment: {error}"
        raise UnableToLoadDeployment(message) from error


def addresses(deployment: Deployment, /) -> dict[str, bytes]:
    """Return every address of a deployment by its name, feeds included."""
    found = {name: getattr(deployment, name) for name in _CONTRACT_FIELDS}
    return found | dataclasses.asdict(deployment.feeds)


def write(deployment: Deployment, /, *, directory: pathlib.Path, code_hashes: dict[str, str]) -> pathlib.Path:
    """Record a deployment in a directory, in one step, with the hash of each contract's code; return the file."""
    fields = {
        name: words.checksummed(value)
        for name in _CONTRACT_FIELDS
        if isinstance(value := getattr(deployment, name), bytes)
    }
    feeds = {name: words.checksummed(value) for name, value in dataclasses.asdict(deployment.feeds).items()}
    content = {
        "chain_id": deployment.chain_id,
        "deployed_block": deployment.deployed_block,
        "contracts": {**fields, "feeds": feeds},
        "code_hashes": code_hashes,
    }
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{deployment.chain_id}.json"
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(content, indent=2) + "\n")
    temporary.replace(path)
    return path


_CONTRACT_FIELDS = tuple(
    field.name for field in dataclasses.fields(Deployment) if field.name not in {"chain_id", "deployed_block", "feeds"}
)
