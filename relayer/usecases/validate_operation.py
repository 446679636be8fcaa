"""Whether an operation is safe to bundle: what the EntryPoint says, and for accounts unknown here, ERC-7562's rules.

Accounts of ours go a faster way, without a trace. They are known by what stands on the chain: the proxy's own code and
the implementation in it or in its ERC-1967 slot (or our factory, for one not deployed yet). What that code does during
validation was traced, rule by rule, for each kind of signature (tests/chain). Both words are marked down and read again
for the bundle: whoever has upgraded in between is traced as a stranger.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from django.conf import settings

from contracts import deployments
from contracts.bindings import reverts, user_operations, words
from openvpp.core import db
from relayer import models
from relayer.adapters import rpc, simulation, tracing
from relayer.domain import codes, own_accounts, refusals, validation_rules

_Validation = models.UserOperation.Validation
_AFTER_INDEX = 4
# What validation returns where the signature is wrong; an aggregator is named by any address above it (ERC-4337).
_SIGNATURE_FAILED = 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How an operation was found safe, and the marks of the code that this rests on, by address."""

    validation: models.UserOperation.Validation
    marks: Mapping[str, str]


@db.durable
def validate(
    *,
    operation: user_operations.UserOperation,
    deployment: deployments.Deployment,
    delegated: simulation.Delegations = simulation.NONE,
) -> Verdict:
    """Return how the operation is safe, with the sender running another's code where its authorisation says so.

    :raises codes.RefusedCall: the EntryPoint refuses it, or it breaks a rule.
    :raises errors.Unreachable: the node does not answer.
    """
    (verdict,) = validate_together(wishes=[(operation, delegated)], deployment=deployment)
    if isinstance(verdict, Verdict):
        return verdict
    raise verdict


@db.durable
def validate_together(
    *,
    wishes: Sequence[tuple[user_operations.UserOperation, simulation.Delegations]],
    deployment: deployments.Deployment,
) -> list[Verdict | codes.RefusedCall]:
    """Return for each operation how it is safe, or why it is not.

    :raises errors.Unreachable: the node does not answer.
    """
    tried = simulation.try_operations(entry_point=deployment.entry_point, wishes=wishes)
    return [
        _judge(operation=operation, delegated=delegated, tried=each, deployment=deployment)
        for (operation, delegated), each in zip(wishes, tried, strict=True)
    ]


def _judge(
    *,
    operation: user_operations.UserOperation,
    delegated: simulation.Delegations,
    tried: simulation.Tried,
    deployment: deployments.Deployment,
) -> Verdict | codes.RefusedCall:
    if tried.refusal is not None:
        refusal = refused(tried.refusal)
        is_aggregated = refusal.code is codes.Code.BAD_SIGNATURE and _names_aggregator(operation, deployment, delegated)
        return _unsupported_aggregator() if is_aggregated else refusal
    is_known = own_accounts.is_known(
        standing=tried.standing,
        init_code=operation.init_code,
        factory=deployment.account_factory,
        implementations=(deployment.account_implementation, deployment.account_self_custody),
    )
    mark = {words.checksummed(operation.sender): tried.standing.mark()}
    if is_known and operation.paymaster_and_data[:20] in (b"", deployment.paymaster):
        return Verdict(validation=_Validation.FAST, marks=mark)
    if not settings.RELAYER_TRACES:
        return Verdict(validation=_Validation.SIMULATED, marks=mark)
    try:
        return _trace(operation=operation, deployment=deployment, delegated=delegated)
    except codes.RefusedCall as refusal:
        return refusal


def refused(refusal: rpc.NodeRefused) -> codes.RefusedCall:
    """Return the error that a client gets for what the EntryPoint said."""
    reason = reverts.describe(refusal.data) if refusal.data else refusal.reason
    if refusals.read(refusal.data).index is None:
        return codes.RefusedCall(codes.Code.REFUSED_BY_ENTRY_POINT, reason)
    body = refusal.data[_AFTER_INDEX:]
    said = words.read_bytes(body, words.read_uint(body, 32)).decode(errors="replace")
    return codes.RefusedCall(codes.of_entry_point(said), reason)


def _names_aggregator(
    operation: user_operations.UserOperation,
    deployment: deployments.Deployment,
    delegated: simulation.Delegations,
) -> bool:
    """Say whether the account wants its signature checked by another contract, which AA24 may hide as well."""
    try:
        hash_ = user_operations.hash_user_operation(
            operation=operation, chain_id=deployment.chain_id, entry_point=deployment.entry_point
        )
    except user_operations.UnableToHashUserOperation:
        return False
    parts = simulation.measure(
        entry_point=deployment.entry_point, operation=operation, hash_=hash_, delegated=delegated
    )
    told = parts["validation"]
    if told.has_reverted or len(told.data) != words.HASH_BYTES:
        return False
    return int.from_bytes(told.data[-words.ADDRESS_BYTES :]) > _SIGNATURE_FAILED


def _unsupported_aggregator() -> codes.RefusedCall:
    return codes.RefusedCall(
        codes.Code.UNSUPPORTED_AGGREGATOR, "The account names an aggregator of signatures; none is supported."
    )


def _trace(
    *,
    operation: user_operations.UserOperation,
    deployment: deployments.Deployment,
    delegated: simulation.Delegations,
) -> Verdict:
    entry_point = deployment.entry_point
    try:
        seen = tracing.trace_validation(
            entry_point=entry_point,
            operation=operation,
            chain_id=deployment.chain_id,
            own_paymaster=deployment.paymaster,
            delegated=delegated,
        )
    except tracing.UnableToTrace as error:
        raise codes.RefusedCall(
            codes.Code.FORBIDDEN_OPCODE, f"The node cannot trace, so only known accounts are taken: {error}"
        ) from None
    factory, paid_by = operation.factory, operation.paymaster_and_data[:20] or None
    taking_part = [each for each in (operation.sender, factory, paid_by) if each]
    at_stake = simulation.stakes(entry_point=entry_point, addresses=taking_part)
    known = {deployment.account_factory, deployment.paymaster}
    entities = validation_rules.Entities(
        entry_point=entry_point,
        sender_creator=simulation.sender_creator(entry_point=entry_point),
        sender=operation.sender,
        factory=factory,
        paymaster=paid_by,
        staked=frozenset(
            each
            for each, (stake_wei, delay_s) in zip(taking_part, at_stake, strict=True)
            if each in known
            or (stake_wei >= settings.RELAYER_LEAST_STAKE_WEI and delay_s >= settings.RELAYER_LEAST_DELAY_S)
        ),
    )
    standings = simulation.with_code(addresses=seen.addresses() | {operation.sender} | set(delegated.values()))
    found = validation_rules.violations(seen=seen, entities=entities, with_code=standings.keys())
    if found:
        code = codes.Code.STAKE_TOO_LOW if found[0].needs_stake else codes.Code.FORBIDDEN_OPCODE
        raise codes.RefusedCall(code, f"Validation breaks ERC-7562: {found[0]}.")
    if not seen.is_complete:
        raise codes.RefusedCall(codes.Code.REFUSED_BY_ENTRY_POINT, "The validation did not come to its end.")
    marks = {words.checksummed(address): standing.mark() for address, standing in standings.items()}
    return Verdict(validation=_Validation.TRACED, marks=marks)
