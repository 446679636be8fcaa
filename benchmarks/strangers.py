"""Operations of accounts that are not ours, each traced for the rules of ERC-7562: how many are taken a second.

`python -m benchmarks.strangers [--operations 300] [--at-once 32]`. The accounts are the SimpleAccount of EntryPoint
v0.8, deployed before and with coins of their own. The peer is Voltaire, a bundler in Python: 4.8 accepted a second on
this class of machine with its rules on, measured before; it cannot be installed by the project's own files. The last
line is `RESULT` and JSON.
"""

import argparse
import dataclasses
import json
import os
import secrets

os.environ["OPENVPP_TEST_BLOCK_TIME_S"] = "1"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openvpp.settings.test")

import django
from rich.console import Console

from benchmarks import grounds, load
from contracts import deployments
from contracts.bindings import user_operations, words
from tests import chain_fixture, first_operations, services_fixture

VOLTAIRE_ACCEPTED_PER_S = 4.8
ARTIFACT = grounds.ROOT / "contracts/node_modules/@account-abstraction/contracts/artifacts/SimpleAccountFactory.json"
CREATE_ACCOUNT = words.selector("createAccount(address,uint256)")
GET_ADDRESS = words.selector("getAddress(address,uint256)")
EXECUTE = words.selector("execute(address,uint256,bytes)")
SENDER_CREATOR = words.selector("senderCreator()")


def run(*, count: int, at_once: int, console: Console) -> dict[str, object]:
    """Measure one load."""
    services_fixture.start()
    directory = grounds.make_directory()
    with grounds.Node(directory) as chain:
        deployments.write(chain.deployment, directory=directory, code_hashes={})
        grounds.configure(directory=directory, chain=chain)
        os.environ["RELAYER_TRACES"] = "on"
        from django.core import management  # noqa: PLC0415 - after the environment is set

        django.setup()
        management.call_command("migrate", verbosity=0)
        with grounds.Processes(directory) as processes:
            utility_id = grounds.provision(directory=directory, chain=chain)
            target = load.Target(
                name="ours",
                url=f"{processes.url}/rpc/v1/{chain.chain_id}",
                headers={"Authorization": f"Bearer {grounds.make_token(utility_id)}"},
                processes=list(processes),
            )
            console.print(f"deploying {count} accounts")
            made = _make(chain=chain, count=count)
            found = load.measure(chain=chain, target=target, made=made, at_once=at_once)
    return {
        **dataclasses.asdict(found),
        "voltaire_accepted_ratio": round(found.accepted_per_s / VOLTAIRE_ACCEPTED_PER_S, 2),
        "load_average": round(os.getloadavg()[0], 1),
        "peer": "Voltaire, 4.8 accepted a second, measured before",
    }


def _make(*, chain: chain_fixture.Chain, count: int) -> list[first_operations.Signed]:
    """Deploy accounts with coins, and sign the first operation of each: a call to itself that does nothing."""
    factory = _deploy_factory(chain)
    creator = words.read_address(chain.call(chain.deployment.entry_point, SENDER_CREATOR), 0)
    owners = [chain_fixture.Key(secrets.token_bytes(32)) for _ in range(count)]
    chain.rpc("anvil_impersonateAccount", words.checksummed(creator))
    chain.rpc("anvil_setBalance", words.checksummed(creator), hex(10**21))
    made = []
    for owner in owners:
        named = words.address(owner.address) + words.uint(0)
        sender = words.read_address(chain.call(factory, GET_ADDRESS + named), 0)
        create = {"from": words.checksummed(creator), "to": words.checksummed(factory), "gas": hex(400_000)}
        chain.rpc("eth_sendTransaction", create | {"data": "0x" + (CREATE_ACCOUNT + named).hex()})
        chain.rpc("anvil_setBalance", words.checksummed(sender), hex(10**18))
        operation = user_operations.UserOperation(
            sender=sender,
            nonce=0,
            init_code=b"",
            call_data=EXECUTE + words.arguments((words.address(sender), words.uint(0), words.dynamic(b""))),
            verification_gas_limit=150_000,
            call_gas_limit=60_000,
            pre_verification_gas=60_000,
            max_priority_fee_per_gas=10**6,
            max_fee_per_gas=3 * 10**9,
        )
        hash_ = user_operations.hash_user_operation(
            operation=operation, chain_id=chain.chain_id, entry_point=chain.deployment.entry_point
        )
        signed = dataclasses.replace(operation, signature=words.signature(owner.sign(hash_)))
        made.append(first_operations.Signed(signed, "0x" + hash_.hex()))
    chain.rpc("anvil_mine", "0x1")
    return made


def _deploy_factory(chain: chain_fixture.Chain) -> bytes:
    code = json.loads(ARTIFACT.read_text())["bytecode"]
    deployed = chain.rpc(
        "eth_sendTransaction",
        {
            "from": words.checksummed(chain_fixture.DEPLOYER.address),
            "data": code + words.address(chain.deployment.entry_point).hex(),
            "gas": hex(6_000_000),
        },
    )
    chain.rpc("anvil_mine", "0x1")
    receipt = chain.rpc("eth_getTransactionReceipt", deployed)
    if not isinstance(receipt, dict):
        raise TypeError("the factory is not deployed")
    return words.parse_address(receipt["contractAddress"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=300)
    parser.add_argument("--at-once", type=int, default=32)
    asked = parser.parse_args()
    result = run(count=asked.operations, at_once=asked.at_once, console=Console(stderr=True))
    print("RESULT " + json.dumps(result))


if __name__ == "__main__":
    main()
