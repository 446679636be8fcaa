"""A Safe with its 4337 module in the gas benchmark, from a package that is fetched for the run and kept nowhere."""

import base64
import dataclasses
import hashlib
import io
import json
import pathlib
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from typing import Any

from benchmarks import gas_peers
from contracts.bindings import tokens, user_operations, words
from tests import chain_fixture

SAFE = "Safe 1.4.1 + 4337 module 0.3.0 + PaymasterERC20 (owner key, no session)"
_PACKAGE = "@safe-global/safe-4337@0.3.0"
_SHA512 = "PL/+GrMwfyvRru1rhDwWVMXmHqzc8afa67cUOt1CGwSmbuFzamQGSPMxt9sX4Esmoyh7ICrO5lauPWPYp1Ei1Q=="
_ARTIFACTS = "package/build/artifacts/"
_SAFES = f"{_ARTIFACTS}@safe-global/safe-contracts/contracts/"

_CREATE = words.selector("createProxyWithNonce(address,bytes,uint256)")
_SETUP = words.selector("setup(address[],uint256,address,bytes,address,address,uint256,address)")
_ENABLE = words.selector("enableModules(address[])")
_EXECUTE = words.selector("executeUserOp(address,uint256,bytes,uint8)")
_OPERATION_HASH = words.selector("getOperationHash((address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes))")
_HASH_OF_PACKED = words.selector("getUserOpHash((address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes))")
_ALWAYS = bytes(12)


class UnableToFetchSafe(Exception):
    """The package cannot be had here, or is another than the one that was measured."""


class Safes:
    """Safes that have each paid once already."""

    def __init__(self, chain: chain_fixture.Chain, *, peers: gas_peers.Peers, accounts: int) -> None:
        """Fetch the package and open the Safes.

        :raises UnableToFetchSafe: there is no registry, or the package is another.
        """
        self._chain, self._peers = chain, peers
        package = _fetch()
        self._singleton = self._create(package[f"{_SAFES}Safe.sol/Safe.json"])
        self._factory = self._create(package[f"{_SAFES}proxies/SafeProxyFactory.sol/SafeProxyFactory.json"])
        self._module_setup = self._create(package[f"{_ARTIFACTS}contracts/SafeModuleSetup.sol/SafeModuleSetup.json"])
        entry_point = words.address(chain.deployment.entry_point)
        module = package[f"{_ARTIFACTS}contracts/Safe4337Module.sol/Safe4337Module.json"]
        self._module = self._create(module, entry_point)
        self._safes = [self._make(number) for number in range(accounts)]
        self.pay(accounts)

    def ways(self) -> dict[str, Callable[[int], tuple[chain_fixture.Receipt, bytes]]]:
        """Return each way by its name."""
        return {SAFE: self.pay}

    def pay(self, size: int) -> tuple[chain_fixture.Receipt, bytes]:
        """Send a bundle of payments by the first `size` Safes."""
        return self._peers.send([self._operation(safe) for safe in self._safes[:size]])

    def _operation(self, safe: gas_peers.Account) -> user_operations.UserOperation:
        transfer = tokens.encode_transfer(to=gas_peers.PAYEE, amount_units=gas_peers.AMOUNT_UNITS)
        token = words.address(self._chain.deployment.stablecoin)
        call_data = _EXECUTE + words.arguments((token, words.uint(0), words.dynamic(transfer), words.uint(0)))
        unsigned = dataclasses.replace(self._peers.unsigned(safe, call_data), signature=_ALWAYS)
        packed = user_operations.encode_get_user_op_hash(operation=unsigned).removeprefix(_HASH_OF_PACKED)
        digest = self._chain.call(self._module, _OPERATION_HASH + packed)
        return dataclasses.replace(unsigned, signature=_ALWAYS + words.signature(safe.owner.sign(digest)))

    def _make(self, number: int) -> gas_peers.Account:
        owner = chain_fixture.Key(words.keccak(b"safe %d" % number))
        modules = _ENABLE + words.arguments((words.array((words.address(self._module),)),))
        nobody = words.address(bytes(20))
        setup = _SETUP + words.arguments(
            (
                words.array((words.address(owner.address),)),
                words.uint(1),
                words.address(self._module_setup),
                words.dynamic(modules),
                words.address(self._module),
                nobody,
                words.uint(0),
                nobody,
            )
        )
        create = _CREATE + words.arguments((words.address(self._singleton), words.dynamic(setup), words.uint(number)))
        deployer = chain_fixture.DEPLOYER.address
        address = words.read_address(self._chain.call(self._factory, create, sender=deployer), 0)
        if not self._chain.send(self._factory, create, sender=deployer).succeeded:
            message = "a Safe was not created"
            raise RuntimeError(message)
        return self._peers.fund(gas_peers.Account(address, owner))

    def _create(self, artifact: dict[str, Any], arguments: bytes = b"") -> bytes:
        return chain_fixture.create_code(self._chain, bytes.fromhex(artifact["bytecode"][2:]) + arguments)


def _fetch() -> dict[str, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as directory:
        try:
            command = ["npm", "pack", "--silent", "--pack-destination", directory, _PACKAGE]
            subprocess.run(command, check=True, capture_output=True, timeout=120)
        except (OSError, subprocess.SubprocessError) as error:
            message = f"{_PACKAGE} cannot be fetched"
            raise UnableToFetchSafe(message) from error
        content = next(pathlib.Path(directory).glob("*.tgz")).read_bytes()
    if base64.b64encode(hashlib.sha512(content).digest()).decode() != _SHA512:
        message = f"{_PACKAGE} is another than the one that was measured"
        raise UnableToFetchSafe(message)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        names = [name for name in archive.getnames() if name.startswith(_ARTIFACTS) and not name.endswith(".dbg.json")]
        files = {name: archive.extractfile(name) for name in names if name.endswith(".json")}
        return {name: json.load(file) for name, file in files.items() if file is not None}
