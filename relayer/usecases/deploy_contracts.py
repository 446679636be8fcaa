"""The contracts of this version, put on a chain by a key that the signer holds and that does little else."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

from contracts import deploy, deployments, plan
from contracts.bindings import words
from custody import models as custody_models
from custody import operations as custody_operations
from custody import queries as custody_queries
from custody.domain import transactions
from openvpp.core import db, errors
from relayer.adapters import deployer


class UnableToDeployContracts(errors.UnableTo):
    """The deployer has no coin yet, its key is for another stablecoin or treasury, or the chain refuses."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a deployer's key is sealed with: who takes all $OVPP (itself if none), what the chain brings, wei."""

    treasury: bytes | None
    external: plan.External | None
    max_cost_wei: int
    max_per_day_wei: int

    def to_json(self, *, chain_id: int) -> dict[str, Any]:
        brought = {} if self.external is None else dataclasses.asdict(self.external)
        given = {**brought, **({} if self.treasury is None else {"treasury": self.treasury})}
        return {
            "chain_id": chain_id,
            "max_cost_wei": self.max_cost_wei,
            "max_per_day_wei": self.max_per_day_wei,
            **{name: "0x" + value.hex() for name, value in given.items()},
        }


def subject(*, chain_id: int) -> str:
    """Return under which subject the deployer's key of a chain is sealed."""
    return f"deployer:{chain_id}"


def get_deployer(*, chain_id: int) -> deployer.Deployer:
    """Return whoever owns the paymasters of a chain, its key the signer's.

    :raises custody_queries.UnableToFindKey: the signer made none for it yet.
    """
    key = custody_queries.get_key_of(subject=subject(chain_id=chain_id))
    return deployer.Deployer(address=str(key.address), sign=_Account(key).sign_transaction, chain_id=chain_id)


@db.durable
def deploy_contracts(
    *,
    chain_id: int,
    rpc_url: str,
    terms: Terms,
    deposit_wei: int,
    stake_wei: int,
    out: pathlib.Path | None,
) -> deployments.Deployment:
    """Put what is missing of this version on a chain; done twice, the second does nothing.

    The paymaster is topped up to `deposit_wei` and `stake_wei`. Where everything stands is recorded in `out`.

    :raises UnableToDeployContracts: with what to do about it.
    :raises errors.Unreachable: chain or signer do not answer.
    """
    try:
        key = custody_operations.create_key(
            purpose=custody_models.SealedKey.Purpose.DEPLOYER,
            subject=subject(chain_id=chain_id),
            policy=terms.to_json(chain_id=chain_id),
        )
        if deployer.balance_wei(address=str(key.address)) == 0:
            raise UnableToDeployContracts(f"Send coin to the deployer {key.address}, and run this again.")
        return deploy.deploy_by(
            account=_Account(key),
            rpc_url=rpc_url,
            treasury=terms.treasury,
            external=terms.external,
            deposit_wei=deposit_wei,
            stake_wei=stake_wei,
            out=out,
        )
    except (deploy.UnableToDeploy, custody_operations.UnableToSign, custody_operations.UnableToCreateKey) as error:
        raise UnableToDeployContracts(str(error)) from None


class _Account:
    """The account of a deployer's key that the signer holds."""

    def __init__(self, key: custody_models.SealedKey) -> None:
        self._key_id = key.pk
        self.address = str(key.address)

    def sign_transaction(self, sent: transactions.Transaction, /) -> bytes:
        return custody_operations.sign_transaction(key_id=self._key_id, transaction=sent)

    def sign(self, transaction: Mapping[str, Any], /) -> bytes:
        """Return a transaction of type 2, its fields named as JSON-RPC does, in its raw signed form."""
        return self.sign_transaction(
            transactions.Transaction(
                chain_id=int(transaction["chainId"]),
                nonce=int(transaction["nonce"]),
                max_priority_fee_per_gas_wei=int(transaction["maxPriorityFeePerGas"]),
                max_fee_per_gas_wei=int(transaction["maxFeePerGas"]),
                gas_limit=int(transaction["gas"]),
                to=words.parse_address(str(transaction["to"])),
                value_wei=int(transaction["value"]),
                data=bytes.fromhex(str(transaction["data"]).removeprefix("0x")),
            )
        )
