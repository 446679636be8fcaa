"""What a utility needs on a chain before its first payment: keys that send and sponsor, and the coin behind them."""

import dataclasses
import uuid

from contracts import deployments
from contracts.bindings import paymaster, words
from custody import models as custody_models
from custody import operations as custody_operations
from openvpp.core import db
from relayer import models, operations
from relayer.adapters import chain, deployer
from relayer.usecases import refill

ETHER = 10**18


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Provision:
    """How much there shall be, in wei; each is topped up when less than half of it is left.

    `most_` is what keys sign for, `limit_` what the chain lets budgets spend, a day being a UTC day. `programs`
    get budgets of their own within the utility's.
    """

    relayer_keys: int = 2
    relayer_wei: int = 10 * ETHER
    deposit_wei: int = 10 * ETHER
    budget_wei: int = 5 * ETHER
    refill_wei: int = 10 * ETHER
    most_per_transaction_wei: int = ETHER
    most_per_refill_wei: int = 5 * ETHER
    most_refilled_per_day_wei: int = 20 * ETHER
    most_per_operation_wei: int = ETHER // 10
    limit_per_operation_wei: int = ETHER // 10
    limit_per_day_wei: int = 5 * ETHER // 2
    program_budget_wei: int = ETHER
    programs: tuple[uuid.UUID, ...] = ()


@db.durable
def provision_chain(*, utility_id: int, chain_id: int, owner: deployer.Deployer, provision: Provision) -> list[str]:
    """Bring a chain to what `provision` says; return what was done, in words. Done twice, the second does nothing.

    :raises errors.Unreachable: chain or signer do not answer.
    :raises errors.Refused: the chain refuses, for instance because `owner` does not own the paymaster.
    """
    deployment = deployments.load(chain_id=chain_id)
    done: list[str] = []
    for number in range(1, provision.relayer_keys + 1):
        key = _relayer_key(number=number, chain_id=chain_id, deployment=deployment, provision=provision)
        if deployer.balance_wei(address=str(key.address)) < provision.relayer_wei // 2:
            owner.send(to=words.parse_address(str(key.address)), value_wei=provision.relayer_wei)
            done.append(f"relayer key {key.address} funded")
    done += _provide_refill(chain_id=chain_id, deployment=deployment, owner=owner, provision=provision)
    sponsor = custody_operations.create_key(
        purpose=custody_models.SealedKey.Purpose.SPONSOR,
        subject=operations.sponsor_subject(chain_id=chain_id),
        policy={
            "chain_id": chain_id,
            "paymaster": "0x" + deployment.paymaster.hex(),
            "max_cost_wei": provision.most_per_operation_wei,
        },
    )
    address = words.parse_address(str(sponsor.address))
    if not _ask(deployment, paymaster.encode_is_sponsor(sponsor=address)):
        owner.send(to=deployment.paymaster, data=paymaster.encode_set_sponsor(sponsor=address, is_allowed=True))
        done.append(f"sponsor {sponsor.address} allowed")
    if _ask(deployment, paymaster.encode_get_deposit()) < provision.deposit_wei // 2:
        owner.send(to=deployment.paymaster, data=paymaster.encode_deposit(), value_wei=provision.deposit_wei)
        done.append("paymaster's deposit topped up")
    return done + _set_budgets(utility_id=utility_id, deployment=deployment, owner=owner, provision=provision)


def _provide_refill(
    *, chain_id: int, deployment: deployments.Deployment, owner: deployer.Deployer, provision: Provision
) -> list[str]:
    key = custody_operations.create_key(
        purpose=custody_models.SealedKey.Purpose.REFILL,
        subject=refill.subject(chain_id=chain_id),
        policy={
            "chain_id": chain_id,
            "entry_point": "0x" + deployment.entry_point.hex(),
            "paymaster": "0x" + deployment.paymaster.hex(),
            "relay_paymaster": "0x" + deployment.relay_paymaster.hex(),
            "max_per_transfer_wei": provision.most_per_refill_wei,
            "max_per_day_wei": provision.most_refilled_per_day_wei,
        },
    )
    if deployer.balance_wei(address=str(key.address)) >= provision.refill_wei // 2:
        return []
    owner.send(to=words.parse_address(str(key.address)), value_wei=provision.refill_wei)
    return [f"refill key {key.address} funded"]


def _set_budgets(
    *, utility_id: int, deployment: deployments.Deployment, owner: deployer.Deployer, provision: Provision
) -> list[str]:
    done: list[str] = []
    wanted = {f"utility {utility_id}": (0, provision.budget_wei)} | {
        f"program {program}": (paymaster.program_number(program), provision.program_budget_wei)
        for program in provision.programs
    }
    for name, (program_id, budget_wei) in wanted.items():
        asked = paymaster.encode_budget(utility_id=utility_id, program_id=program_id)
        budget = paymaster.decode_budget(result=chain.call(to=deployment.paymaster, data=asked))
        if budget.left_wei < budget_wei // 2:
            data = paymaster.encode_set_budget(utility_id=utility_id, program_id=program_id, budget_wei=budget_wei)
            owner.send(to=deployment.paymaster, data=data)
            done.append(f"budget of {name} set")
        limits = (provision.limit_per_operation_wei, min(provision.limit_per_day_wei, budget_wei))
        if (budget.max_per_operation_wei, budget.max_per_day_wei) != limits:
            data = paymaster.encode_set_limits(
                utility_id=utility_id,
                program_id=program_id,
                max_per_operation_wei=limits[0],
                max_per_day_wei=limits[1],
            )
            owner.send(to=deployment.paymaster, data=data)
            done.append(f"limits of {name} set")
    return done


def _relayer_key(
    *, number: int, chain_id: int, deployment: deployments.Deployment, provision: Provision
) -> models.RelayerKey:
    sealed = custody_operations.create_key(
        purpose=custody_models.SealedKey.Purpose.RELAYER,
        subject=f"relayer:{chain_id}:{number}",
        policy={
            "chain_id": chain_id,
            "entry_point": "0x" + deployment.entry_point.hex(),
            "max_cost_wei": provision.most_per_transaction_wei,
        },
    )
    key, _ = models.RelayerKey.objects.get_or_create(
        key=sealed, defaults={"chain_id": chain_id, "address": str(sealed.address)}
    )
    return key


def _ask(deployment: deployments.Deployment, data: bytes) -> int:
    return words.read_uint(chain.call(to=deployment.paymaster, data=data), 0)
