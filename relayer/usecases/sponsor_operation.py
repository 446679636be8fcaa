"""ERC-7677: a signed leave for an operation of somebody's, paid by the utility or in a token within the operation.

A fee in a token travels with the operation: a batch of an account of ours must carry the token's own `transfer` of the
quoted units to the utility's treasury. All calls of a batch succeed or none, so the sponsor signs what it has read.
"""

import dataclasses
import datetime
import uuid
from typing import Any

from django import db as django_db

from contracts import deployments
from contracts.bindings import accounts, paymaster, tokens, user_operations, words
from openvpp.core import db, errors
from relayer import models, operations, queries
from relayer.adapters import budgets, chain, simulation
from relayer.domain import codes, gas, own_accounts, sponsoring, sponsoring_contexts, wire
from relayer.usecases import check_parties, quote_fee, use_quota, weigh_operation

LIFETIME = datetime.timedelta(minutes=10)
_LIMITS = gas.GasLimits(verification_gas_limit=0, call_gas_limit=0, pre_verification_gas=0, expected=0)
_MAX_PAYMASTER_GAS = 300_000
_TRANSFER_BYTES = 4 + 2 * 32
_UNKNOWN_CODE = "Whether an account that runs another's code pays its fee is not known."
_DUMMY_SIGNATURE = b"\x01" * 64 + b"\x1b"


def stub(*, key: models.ApiKey, chain_id: int, entry_point: object, now: datetime.datetime) -> dict[str, Any]:
    """Return paymaster data of the right length, with a signature that is none, for estimates.

    :raises codes.RefusedCall: another EntryPoint.
    """
    deployment = deployments.load(chain_id=chain_id)
    queries.check_entry_point(entry_point, deployment=deployment)
    data = paymaster.encode_paymaster_data(
        sponsorship=paymaster.Sponsorship(
            paymaster=deployment.paymaster,
            mode=paymaster.FeeMode.UTILITY,
            utility_id=key.utility_id,
            valid_after=int(now.timestamp()) - 1,
            valid_until=int((now + LIFETIME).timestamp()),
            fee_units=0,
            verification_gas_limit=_LIMITS.paymaster_verification_gas_limit,
            post_op_gas_limit=_LIMITS.paymaster_post_op_gas_limit,
        ),
        sponsor_signature=_DUMMY_SIGNATURE,
    )
    return {
        "sponsor": {"name": key.utility.name},
        "paymaster": words.checksummed(deployment.paymaster),
        "paymasterData": "0x" + data[52:].hex(),
        "paymasterVerificationGasLimit": hex(_LIMITS.paymaster_verification_gas_limit),
        "paymasterPostOpGasLimit": hex(_LIMITS.paymaster_post_op_gas_limit),
        "isFinal": False,
    }


@db.durable
def sponsor(
    *,
    key: models.ApiKey,
    chain_id: int,
    received: wire.Received,
    entry_point: object,
    context: object,
    now: datetime.datetime,
) -> dict[str, Any]:
    """Return the paymaster data that the sponsor signed for exactly this operation, and who pays for it and why.

    Without `context` the rule says who pays: a program of the wallet's owner, else the utility. It may name one policy
    (`{"sponsorshipPolicyId": id}`), a token for the fee (`{"token": address}`) or a fee quote (`{"quote": id}`).

    :raises codes.RefusedCall: nobody pays (`data` says why, and offers the fee in a token), the operation does not
        carry its fee or costs more than quoted, or the sponsor refuses.
    :raises errors.Unreachable: signer or node do not answer.
    """
    deployment = deployments.load(chain_id=chain_id)
    queries.check_entry_point(entry_point, deployment=deployment)
    operation = received.operation
    limits = _limits_of(operation)
    asked = sponsoring_contexts.read(context)
    if received.delegate is not None and (asked.quote is not None or asked.token is not None):
        raise codes.RefusedCall(codes.Code.REFUSED_BY_PAYMASTER, _UNKNOWN_CODE)
    weigh_operation.check_generosity(operation, authorizations=int(received.authorization is not None))
    use_quota.use(key=key, quota=models.ApiKeyUsage.Quota.SPONSORED, count=1, now=now)
    check_parties.check(utility_id=key.utility_id, chain_id=chain_id, operation=operation, now=now)
    methods = _methods(received, key=key, deployment=deployment)
    case = _Case(key=key, chain_id=chain_id, operation=operation, methods=methods, limits=limits, now=now)
    if asked.quote is not None or asked.token is not None:
        payer = _let_customer_pay(case, asked)
    else:
        payer = _let_sponsor_pay(case, only=asked.policy)
    sponsored = _sign(case, payer=payer, received=received)
    return {
        "paymaster": words.checksummed(deployment.paymaster),
        "paymasterData": "0x" + sponsored.paymaster_and_data[52:].hex(),
        "paymasterVerificationGasLimit": hex(limits.paymaster_verification_gas_limit),
        "paymasterPostOpGasLimit": hex(limits.paymaster_post_op_gas_limit),
        "sponsor": {"name": key.utility.name},
        "sponsorship": {
            "payer": payer.kind,
            "reason": payer.reason,
            "policy": None if payer.policy is None else str(payer.policy.id),
            "mostWei": hex(case.most_wei),
        },
    }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """An operation that an application asks to be paid for."""

    key: models.ApiKey
    chain_id: int
    operation: user_operations.UserOperation
    methods: tuple[str, ...]
    limits: gas.GasLimits
    now: datetime.datetime

    @property
    def sender(self) -> str:
        return words.checksummed(self.operation.sender)

    @property
    def most_wei(self) -> int:
        return self.limits.total * self.operation.max_fee_per_gas

    @property
    def claim(self) -> budgets.Claim:
        return budgets.Claim(
            utility_id=self.key.utility_id,
            chain_id=self.chain_id,
            request=sponsoring.Request(wallet=self.sender, methods=self.methods),
            most_wei=self.most_wei,
            valid_until=self.now + LIFETIME,
            api_key_id=self.key.pk,
        )


def _let_sponsor_pay(case: _Case, *, only: uuid.UUID | None) -> operations.Payer:
    key = case.key
    try:
        payer = operations.find_payer(
            claim=case.claim, utility_pays=key.utility.absorbs_fee, only=only, is_recorded=True, now=case.now
        )
    except operations.UnableToFindPayer as refusal:
        raise codes.RefusedCall(
            codes.Code.REFUSED_BY_PAYMASTER, refusal.detail, data=_why_nobody(case, refusal)
        ) from None
    prices = chain.recent_gas_prices()
    models.FeeQuote.objects.create(
        chain_id=case.chain_id,
        utility_id=key.utility_id,
        sender=case.sender,
        intent=quote_fee.intent_of(key),
        mode=models.FeeQuote.Mode.UTILITY,
        fee_units=0,
        gas_limit=case.limits.total,
        max_fee_per_gas_wei=case.operation.max_fee_per_gas,
        max_priority_fee_per_gas_wei=min(prices.max_priority_fee_per_gas_wei, case.operation.max_fee_per_gas),
        gas_cost_wei=case.most_wei,
        reason=payer.reason,
        sponsorship_id=payer.sponsorship_id,
        created_at=case.now,
        expires_at=case.now + LIFETIME,
        used_at=case.now,
    )
    return payer


def _why_nobody(case: _Case, refusal: operations.UnableToFindPayer) -> dict[str, Any]:
    """Return why nobody pays, and what it takes for the customer to."""
    first = refusal.full[0] if refusal.full else None
    return {
        "reason": refusal.code,
        "budget": None if first is None else first.policy.name,
        "resetsAt": None if first is None or first.resets_at is None else first.resets_at.isoformat(),
        "budgets": [
            {
                "name": full.policy.name,
                "sponsorshipPolicyId": str(full.policy.id),
                "leftWei": None if full.left_wei is None else hex(full.left_wei),
                "leftCount": full.left_count,
                "resetsAt": None if full.resets_at is None else full.resets_at.isoformat(),
            }
            for full in refusal.full
        ],
        "fee": quote_fee.offer(
            key=case.key, operation=case.operation, chain_id=case.chain_id, limits=case.limits, now=case.now
        ),
    }


def _is_known(operation: user_operations.UserOperation, /, *, deployment: deployments.Deployment) -> bool:
    """Say whether an account does what its calldata says; another's code may leave a call out, or make others."""
    (standing,) = simulation.standings(addresses=[operation.sender])
    return own_accounts.is_known(
        standing=standing,
        init_code=operation.init_code,
        factory=deployment.account_factory,
        implementations=(deployment.account_implementation, deployment.account_self_custody),
    )


def _methods(received: wire.Received, /, *, key: models.ApiKey, deployment: deployments.Deployment) -> tuple[str, ...]:
    """Return what an operation calls, nothing where that is not known: then no budget for a method pays for it."""
    told = sponsoring.methods_of(call_data=received.operation.call_data)
    if not any(policy.method for policy in queries.get_policies(utility_id=key.utility_id)):
        return told
    is_told_truly = received.delegate is None and _is_known(received.operation, deployment=deployment)
    return told if is_told_truly else ()


def _let_customer_pay(case: _Case, asked: sponsoring_contexts.Context) -> operations.Payer:
    found = _find_quote(case, asked)
    if case.most_wei > int(found.gas_cost_wei):
        raise codes.RefusedCall(codes.Code.REFUSED_BY_PAYMASTER, "The operation may cost more than was quoted.")
    key = case.key
    if not _carries_fee(operation=case.operation, found=found, payee=str(key.utility.treasury_address)):
        raise codes.RefusedCall(
            codes.Code.REFUSED_BY_PAYMASTER,
            "The operation's batch does not carry the quoted fee.",
            data={
                "quote": str(found.pk),
                "token": str(found.fee_token),
                "payee": str(key.utility.treasury_address),
                "units": hex(int(found.fee_units)),
                "validUntil": hex(int(found.expires_at.timestamp())),
            },
        )
    if not _is_known(case.operation, deployment=deployments.load(chain_id=case.chain_id)):
        raise codes.RefusedCall(codes.Code.REFUSED_BY_PAYMASTER, _UNKNOWN_CODE)
    id_ = budgets.reserve(
        claim=case.claim,
        payer=models.Sponsorship.Payer.CUSTOMER,
        program=None,
        policies=(),
        reason=found.reason,
        now=case.now,
    )
    rows = models.FeeQuote.objects.filter(pk=found.pk, used_at__isnull=True, expires_at__gt=case.now)
    if not rows.update(used_at=case.now, sponsorship_id=id_):
        budgets.drop(sponsorship_id=id_, now=case.now)
        raise codes.RefusedCall(codes.Code.REFUSED_BY_PAYMASTER, "The fee quote is used or over. Ask for another.")
    return operations.Payer(sponsorship_id=id_, kind=models.Sponsorship.Payer.CUSTOMER, reason=found.reason)


def _find_quote(case: _Case, asked: sponsoring_contexts.Context) -> models.FeeQuote:
    """Return the quote that was named, or one in the token that was named, made now."""
    if asked.quote is None:
        return quote_fee.lock(
            key=case.key,
            chain_id=case.chain_id,
            sender=case.operation.sender,
            token=quote_fee.find_token(key=case.key, token=asked.token),
            limits=quote_fee.with_transfer(case.limits),
            reason=f"{case.key.application} asks for a fee in a token.",
            now=case.now,
        )
    rows = models.FeeQuote.objects.of_utility(case.key.utility_id).filter(pk=asked.quote, sender=case.sender)
    found: models.FeeQuote | None = rows.filter(intent__api_key=case.key.identifier, fee_token__isnull=False).first()
    if found is None:
        raise codes.RefusedCall(codes.Code.BAD_PARAMETERS, "There is no such fee quote for this sender.")
    return found


def _sign(case: _Case, *, payer: operations.Payer, received: wire.Received) -> user_operations.UserOperation:
    """Return the operation with the sponsor's leave, bound to what is reserved for it; or give that back."""
    if payer.sponsorship_id is None:
        raise ValueError("an application's operation is always written down")
    expires_at = case.now + LIFETIME
    try:
        sponsored = operations.sponsor(
            operation=case.operation,
            utility_id=case.key.utility_id,
            chain_id=case.chain_id,
            limits=case.limits,
            quote=None,
            expires_at=expires_at,
            program_id=0 if payer.program is None else paymaster.program_number(payer.program),
        )
        whole = dataclasses.replace(received, operation=sponsored)
        entry_point = deployments.load(chain_id=case.chain_id).entry_point
        hash_ = whole.hash(chain_id=case.chain_id, entry_point=entry_point)
        operations.bind(sponsorship_id=payer.sponsorship_id, hash_=hash_, expires_at=expires_at)
    except django_db.IntegrityError:
        # Asked twice within a second: it is signed already, and what was reserved for it then stands.
        budgets.drop(sponsorship_id=payer.sponsorship_id, now=case.now)
        _require_reserved(case, hash_=hash_)
    except operations.UnableToSponsor as error:
        budgets.drop(sponsorship_id=payer.sponsorship_id, now=case.now)
        raise codes.RefusedCall(codes.Code.REFUSED_BY_PAYMASTER, error.detail) from None
    except (errors.Unreachable, errors.Refused):
        budgets.drop(sponsorship_id=payer.sponsorship_id, now=case.now)
        raise
    return sponsored


def _require_reserved(case: _Case, *, hash_: bytes) -> None:
    rows = models.Sponsorship.objects.filter(utility_id=case.key.utility_id, user_operation_hash="0x" + hash_.hex())
    if not rows.filter(state=models.Sponsorship.State.RESERVED).exists():
        raise codes.RefusedCall(codes.Code.REFUSED_BY_PAYMASTER, "What was reserved for it was given back. Ask again.")


def _limits_of(operation: user_operations.UserOperation) -> gas.GasLimits:
    given = operation.paymaster_and_data
    verification, post_op = int.from_bytes(given[20:36]), int.from_bytes(given[36:52])
    if max(verification, post_op) > _MAX_PAYMASTER_GAS:
        raise codes.RefusedCall(codes.Code.BAD_PARAMETERS, f"The paymaster's gas is above {_MAX_PAYMASTER_GAS}.")
    return gas.GasLimits(
        verification_gas_limit=operation.verification_gas_limit,
        call_gas_limit=operation.call_gas_limit,
        pre_verification_gas=operation.pre_verification_gas,
        paymaster_verification_gas_limit=verification or _LIMITS.paymaster_verification_gas_limit,
        paymaster_post_op_gas_limit=post_op or _LIMITS.paymaster_post_op_gas_limit,
        expected=0,
    )


def _carries_fee(*, operation: user_operations.UserOperation, found: models.FeeQuote, payee: str) -> bool:
    try:
        calls = accounts.decode_execute_batch(call_data=operation.call_data)
    except accounts.UnableToReadCall:
        return False
    token, to = words.parse_address(str(found.fee_token)), words.parse_address(payee)
    head = tokens.encode_transfer(to=to, amount_units=0)[:36]
    return any(
        call.to == token
        and len(call.data) == _TRANSFER_BYTES
        and call.data[:36] == head
        and words.read_uint(call.data, 36) >= int(found.fee_units)
        for call in calls
    )
