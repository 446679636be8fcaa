"""Puts the contracts on a development chain: `python -m contracts.deploy --help`.

Where money is the deployer's key is the signer's, and `manage.py deploy_contracts` does it.

Every contract stands at an address that follows from its code and its constructor's arguments (CREATE2 through the
deterministic deployer), so running it twice changes nothing and running it on another chain gives the same addresses.
With `--check` nothing is sent: what stands on the chain is compared with the record and with this code.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import sys

import web3

from contracts import deployments, plan, sender, verification
from contracts.bindings import paymaster, words

DEVELOPMENT_CHAINS = frozenset({1337, 31337})
UNSTAKE_DELAY_S = 86_400


class UnableToDeploy(Exception):
    """The contracts could not be put on the chain."""


def deploy(
    *,
    rpc_url: str,
    deployer_key: bytes,
    treasury: bytes | None = None,
    external: plan.External | None = None,
    deposit_wei: int | None = None,
    stake_wei: int | None = None,
    out: pathlib.Path | None = None,
) -> deployments.Deployment:
    """Put what is missing on the chain and return where everything stands; record it in `out` if given.

    The deployer owns the paymaster and, on a development chain, the stablecoin and the feeds; `treasury` (the deployer
    unless named) receives all $OVPP. `external` names the stablecoin and the feeds of a chain where money is. The
    paymaster is topped up to `deposit_wei` and `stake_wei`: 10 and 1 native coins on a development chain, else nothing.

    :raises UnableToDeploy: if the chain does not answer, refuses, or lacks what it needs.
    """
    return deploy_by(
        account=sender.KeyAccount(deployer_key),
        rpc_url=rpc_url,
        treasury=treasury,
        external=external,
        deposit_wei=deposit_wei,
        stake_wei=stake_wei,
        out=out,
    )


def deploy_by(
    *,
    account: sender.Account,
    rpc_url: str,
    treasury: bytes | None = None,
    external: plan.External | None = None,
    deposit_wei: int | None = None,
    stake_wei: int | None = None,
    out: pathlib.Path | None = None,
) -> deployments.Deployment:
    """Do the same for an account whose key may be held elsewhere.

    :raises UnableToDeploy: as `deploy`; what `account` raises goes through.
    """
    client = web3.Web3(web3.HTTPProvider(rpc_url))
    try:
        chain_id = client.eth.chain_id
        is_development = chain_id in DEVELOPMENT_CHAINS
        if external is None and not is_development:
            message = f"chain {chain_id} is no development chain: name its stablecoin and its feeds"
            raise UnableToDeploy(message)
        deployer = words.parse_address(account.address)
        steps = plan.make(deployer=deployer, treasury=treasury or deployer, external=external)
        sending = sender.Sender(client=client, account=account, chain_id=chain_id)
        sending.ensure_deterministic_deployer()
        sending.create_all([step for step in steps.creations if not sending.has_code(step.address)])
        _fund(
            sending,
            paymaster_address=steps.addresses["paymaster"],
            entry_point=steps.addresses["entry_point"],
            deposit_wei=deposit_wei if deposit_wei is not None else 10 * 10**18 * is_development,
            stake_wei=stake_wei if stake_wei is not None else 10**18 * is_development,
        )
        block = client.eth.block_number
        deployed_block = min(block, _known_block(out, chain_id, otherwise=block))
        found = plan.deployment(steps, chain_id=chain_id, deployed_block=deployed_block)
        if out is not None:
            hashes = {step.name: "0x" + sending.code_hash(step.address).hex() for step in steps.creations}
            deployments.write(found, directory=out, code_hashes=hashes)
    except (sender.UnableToSend, web3.exceptions.Web3Exception, OSError) as error:
        message = f"the chain at {rpc_url} did not take the contracts: {error}"
        raise UnableToDeploy(message) from error
    return found


def _fund(
    sending: sender.Sender, *, paymaster_address: bytes, entry_point: bytes, deposit_wei: int, stake_wei: int
) -> None:
    """Top up the paymaster's deposit and stake at the EntryPoint."""
    deposit, _, stake = sending.deposit_info(entry_point, paymaster_address)
    calls = []
    if deposit < deposit_wei:
        calls.append(sender.Call(paymaster_address, paymaster.encode_deposit(), deposit_wei - deposit))
    if stake < stake_wei:
        data = paymaster.encode_add_stake(unstake_delay_seconds=UNSTAKE_DELAY_S)
        calls.append(sender.Call(paymaster_address, data, stake_wei - stake))
    sending.send_all(calls)


def _known_block(out: pathlib.Path | None, chain_id: int, *, otherwise: int) -> int:
    """Return the block of an earlier run on the same chain."""
    path = None if out is None else out / f"{chain_id}.json"
    try:
        return int(json.loads(path.read_text())["deployed_block"]) if path is not None and path.exists() else otherwise
    except (ValueError, KeyError, TypeError):
        # The record is about to be written anew.
        return otherwise


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m contracts.deploy",
        description="Put the contracts on a development chain and record where they stand.",
    )
    variable = os.environ.get
    first = next(iter(variable("CHAIN_RPC_URL", "").replace(",", " ").split()), None)
    parser.add_argument("--rpc-url", default=first, help="the node; default the first of $CHAIN_RPC_URL")
    parser.add_argument(
        "--deployer-key-file",
        type=pathlib.Path,
        default=variable("DEPLOYER_KEY_FILE"),
        help="file with the deployer's private key in hexadecimal; default $DEPLOYER_KEY_FILE",
    )
    parser.add_argument("--treasury", type=words.parse_address, help="receives all $OVPP; default the deployer")
    parser.add_argument(
        "--out",
        type=pathlib.Path,
        default=variable("OPENVPP_DEPLOYMENTS_DIR") or deployments.DIRECTORY,
        help="directory of the record; default $OPENVPP_DEPLOYMENTS_DIR, else contracts/deployments",
    )
    parser.add_argument("--deposit-wei", type=int, help="the paymaster's deposit is topped up to this")
    parser.add_argument("--stake-wei", type=int, help="the paymaster's stake is topped up to this")
    parser.add_argument("--check", action="store_true", help="send nothing; compare the chain with record and code")
    parsed = parser.parse_args(arguments)
    if parsed.check and parsed.rpc_url:
        return parsed
    if not parsed.rpc_url or not parsed.deployer_key_file:
        parser.error("say --rpc-url and --deployer-key-file, or set CHAIN_RPC_URL and DEPLOYER_KEY_FILE")
    return parsed


def main(arguments: list[str] | None = None) -> int:
    """Deploy as the command line says; return the exit code."""
    parsed = _parse(arguments)
    if parsed.check:
        return _check(rpc_url=parsed.rpc_url, directory=parsed.out)
    try:
        deployer_key = _read_key(parsed.deployer_key_file)
        _require_development(parsed.rpc_url)
        found = deploy(
            rpc_url=parsed.rpc_url,
            deployer_key=deployer_key,
            treasury=parsed.treasury,
            deposit_wei=parsed.deposit_wei,
            stake_wei=parsed.stake_wei,
            out=parsed.out,
        )
    except UnableToDeploy as error:
        sys.stderr.write(f"openvpp: {error}\n")
        return 1
    print(f"contracts stand on chain {found.chain_id}, recorded in {parsed.out / f'{found.chain_id}.json'}")
    return 0


def _require_development(rpc_url: str) -> None:
    try:
        chain_id = web3.Web3(web3.HTTPProvider(rpc_url)).eth.chain_id
    except (web3.exceptions.Web3Exception, OSError) as error:
        message = f"the chain at {rpc_url} did not take the contracts: {error}"
        raise UnableToDeploy(message) from error
    if chain_id not in DEVELOPMENT_CHAINS:
        message = f"chain {chain_id} is no development chain: `manage.py deploy_contracts` has the signer's key do it"
        raise UnableToDeploy(message)


def _check(*, rpc_url: str, directory: pathlib.Path) -> int:
    try:
        findings = verification.verify(rpc_url=rpc_url, directory=directory)
    except verification.UnableToVerify as error:
        sys.stderr.write(f"openvpp: {error}\n")
        return 1
    for finding in findings:
        print(f"{words.checksummed(finding.address)} {finding.name}: {finding.wrong or 'as it should be'}")
    return int(any(finding.wrong for finding in findings))


def _read_key(path: pathlib.Path) -> bytes:
    try:
        return words.exactly(bytes.fromhex(path.read_text().strip().removeprefix("0x")), 32, "a private key")
    except (OSError, ValueError):
        # The chained error would show what the file holds.
        message = f"{path} holds no private key in hexadecimal"
        raise UnableToDeploy(message) from None


if __name__ == "__main__":
    sys.exit(main())
