"""Coins of the development chain: made by the deployer, who owns the development stablecoin and holds the $OVPP."""

import os
import pathlib
from collections.abc import Iterable

import coincurve
import web3

from contracts import deployments, sender
from contracts.bindings import tokens, words
from openvpp.core import errors, http

STABLECOIN_DECIMALS = 6
OVPP_DECIMALS = 18
STABLECOIN_UNITS = 100_000 * 10**STABLECOIN_DECIMALS
OVPP_UNITS = 10_000 * 10**OVPP_DECIMALS


class UnableToFund(errors.UnableTo):
    """The development chain's coins cannot be handed out."""


def treasury_address() -> bytes:
    """Return where the seeded utility takes its money: an account whose key follows from the deployer's."""
    secret = words.keccak(_deployer_secret() + b"harbor treasury")
    public = coincurve.PrivateKey(secret).public_key.format(compressed=False)
    return words.keccak(public[1:])[-20:]


def fund(*, rpc_url: str, deployment: deployments.Deployment, holders: Iterable[bytes]) -> int:
    """Bring each holder up to a full purse of both tokens when it is half empty; return how many transfers it took.

    :raises sender.UnableToSend: the chain refused one.
    """
    node = http.Client(base_url=rpc_url)
    calls = []
    for holder in holders:
        if _balance(node, deployment.stablecoin, holder) * 2 < STABLECOIN_UNITS:
            calls.append(
                sender.Call(deployment.stablecoin, tokens.encode_mint(to=holder, amount_units=STABLECOIN_UNITS))
            )
        if _balance(node, deployment.ovpp, holder) * 2 < OVPP_UNITS:
            calls.append(sender.Call(deployment.ovpp, tokens.encode_transfer(to=holder, amount_units=OVPP_UNITS)))
    client = web3.Web3(web3.HTTPProvider(rpc_url, request_kwargs={"timeout": 10}))
    account = sender.KeyAccount(_deployer_secret())
    sender.Sender(client=client, account=account, chain_id=deployment.chain_id).send_all(calls)
    return len(calls)


def _balance(node: http.Client, token: bytes, holder: bytes) -> int:
    question = {"to": words.checksummed(token), "data": "0x" + tokens.encode_balance_of(holder=holder).hex()}
    answer = node.post(path="", body={"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [question, "latest"]})
    if "result" not in answer:
        raise UnableToFund(f"The chain does not know the token {words.checksummed(token)}.")
    return int(answer["result"], 16)


def _deployer_secret() -> bytes:
    name = os.environ.get("DEPLOYER_KEY_FILE", "")
    if not name:
        raise UnableToFund("Set DEPLOYER_KEY_FILE: the key that deployed the contracts hands out the coins.")
    return bytes.fromhex(pathlib.Path(name).read_text().strip().removeprefix("0x"))
