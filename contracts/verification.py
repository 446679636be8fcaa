"""Whether the contracts recorded for a chain are the ones that this code gives, read from the chain itself."""

from __future__ import annotations

import dataclasses
import json
import pathlib

import web3

from contracts import code, deployments, plan
from contracts.bindings import words


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """What was found at one recorded address; `wrong` says what is not as it should be, empty if all is."""

    name: str
    address: bytes
    wrong: str


class UnableToVerify(Exception):
    """The chain did not answer, or nothing is recorded for it."""


def verify(*, rpc_url: str, directory: pathlib.Path) -> tuple[Finding, ...]:
    """Compare each contract recorded for the chain with the chain.

    The code at its address must be what this code compiles to, whatever its constructor put in, and must have the hash
    that was recorded when it was deployed. Tokens and feeds of others, and the EntryPoint, must have the recorded hash
    or, where none is recorded, any code.

    :raises UnableToVerify: if the chain does not answer, or nothing is recorded for it.
    """
    client = web3.Web3(web3.HTTPProvider(rpc_url))
    try:
        chain_id = client.eth.chain_id
        path = directory / f"{chain_id}.json"
        found = deployments.read(path)
        hashes: dict[str, str] = json.loads(path.read_text()).get("code_hashes", {})
        standing = {
            name: (address, bytes(client.eth.get_code(web3.Web3.to_checksum_address(address))))
            for name, address in deployments.addresses(found).items()
        }
    except (deployments.UnableToLoadDeployment, web3.exceptions.Web3Exception, OSError) as error:
        message = f"the chain at {rpc_url} was not verified: {error}"
        raise UnableToVerify(message) from error
    return tuple(
        Finding(name, address, _wrong(name, runtime, hashes.get(name))) for name, (address, runtime) in standing.items()
    )


def _wrong(name: str, runtime: bytes, recorded_hash: str | None) -> str:
    if not runtime:
        return "no code"
    if name == "entry_point" and recorded_hash is None:
        return "no hash is recorded"
    if recorded_hash is not None and recorded_hash != "0x" + words.keccak(runtime).hex():
        return "another code than was deployed"
    contract = plan.contract_of(name)
    if contract is not None and not code.recorded()[contract].is_of(runtime):
        return f"another code than {contract} of this version"
    return ""
