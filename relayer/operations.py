"""What other apps may ask of the relayer: a quote, a sponsor's leave, a place in the queue."""

import dataclasses
import datetime
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.conf import settings

from contracts import deployments
from contracts.bindings import paymaster, user_operations, words
from custody import operations as custody_operations
from custody import queries as custody_queries
from customers import models as customer_models
from openvpp.core import db, errors, sql, steps
from relayer import models, queries
from relayer.adapters import budgets, chain, data_fees
from relayer.domain import fees, gas, sponsoring

_MODES = {
    models.FeeQuote.Mode.OVPP: paymaster.FeeMode.OVPP,
    models.FeeQuote.Mode.STABLECOIN: paymaster.FeeMode.STABLECOIN,
    models.FeeQuote.Mode.UTILITY: paymaster.FeeMode.UTILITY,
}


class UnableToQuoteFee(errors.UnableTo):
    """No fee can be named now: a price is unknown or out of date."""

    status = 503


@db.durable
def make_quote(
    *,
    utility_id: int,
    chain_id: int,
    sender: str,
    intent: Mapping[str, Any],
    mode: str,
    fee_token: customer_models.AcceptedToken | None,
    limits: gas.GasLimits,
    reason: str,
    now: datetime.datetime,
    methods: tuple[str, ...] = (),
    instead_of: Mapping[str, Any] | None = None,
) -> models.FeeQuote:
    """Lock the network fee of one wish for FEE_QUOTE_LIFETIME.

    The fee is the expected gas at the expected price with FEE_MARGIN_PERCENT on top, in base units of `fee_token`,
    rounded up; nothing when the utility absorbs it. Then what the wish, which calls `methods`, may cost at most is
    reserved from the budgets of whoever pays, for as long as the quote holds. What the sender's earlier quotes have
    reserved, whose intent holds `instead_of`, is given back before unless they were used.

    :raises UnableToQuoteFee: `price_unknown`, `price_stale` or `utility_paused`.
    :raises UnableToFindPayer: it was to be absorbed, and nobody pays for it.
    :raises errors.Unreachable: the chain does not answer.
    """
    if queries.is_paused(utility_id=utility_id):
        raise UnableToQuoteFee(queries.PAUSED, code="utility_paused")
    prices = chain.gas_prices()
    fee = fees.Fee(units=0, wei=0)
    most_wei, expires_at = limits.total * prices.max_fee_per_gas_wei, now + settings.FEE_QUOTE_LIFETIME
    sponsorship_id: uuid.UUID | None = None
    if mode == models.FeeQuote.Mode.UTILITY:
        claim = budgets.Claim(
            utility_id=utility_id,
            chain_id=chain_id,
            request=sponsoring.Request(wallet=sender, methods=methods),
            most_wei=most_wei,
            valid_until=expires_at,
        )
        if instead_of is not None and queries.get_policies(utility_id=utility_id):
            budgets.drop_unused(claim=claim, intent=instead_of, now=now)
        payer = find_payer(claim=claim, utility_pays=True, now=now)
        sponsorship_id, reason = payer.sponsorship_id, payer.reason or reason
    else:
        if fee_token is None:
            raise UnableToQuoteFee("A fee that the customer pays needs a token.", code="no_fee_token")
        second = gas.SECOND_TRANSFER if mode == models.FeeQuote.Mode.OVPP else 0
        fee = _fee(chain_id=chain_id, token=fee_token, gas_units=limits.expected + second, prices=prices, now=now)
    return models.FeeQuote.objects.create(
        chain_id=chain_id,
        utility_id=utility_id,
        sender=sender,
        intent=dict(intent),
        mode=mode,
        fee_token=None if mode == models.FeeQuote.Mode.UTILITY or fee_token is None else fee_token.address,
        fee_units=fee.units,
        fee_wei=fee.wei,
        margin_percent=0 if mode == models.FeeQuote.Mode.UTILITY else settings.FEE_MARGIN_PERCENT,
        sponsorship_id=sponsorship_id,
        gas_limit=limits.total,
        max_fee_per_gas_wei=prices.max_fee_per_gas_wei,
        max_priority_fee_per_gas_wei=prices.max_priority_fee_per_gas_wei,
        gas_cost_wei=most_wei,
        reason=reason[:200],
        created_at=now,
        expires_at=expires_at,
    )


@db.transaction_required
def set_program_wallets(*, program: uuid.UUID, wallets: Sequence[str]) -> None:
    """Say whose operations a program may pay for from now on: these wallets' and no others'."""
    rows = models.ProgramWallet.objects.filter(program=program)
    rows.exclude(wallet__in=wallets).delete()
    models.ProgramWallet.objects.bulk_create(
        [models.ProgramWallet(program=program, wallet=wallet) for wallet in wallets], ignore_conflicts=True
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Payer:
    """Who pays for an operation, and why; what is reserved for it, None where nothing limits whoever pays."""

    sponsorship_id: uuid.UUID | None
    kind: models.Sponsorship.Payer
    program: uuid.UUID | None = None
    policy: sponsoring.Policy | None = None
    reason: str


class UnableToFindPayer(errors.UnableTo):
    """Neither a program nor the utility pays for it; `full` names the budgets that have no room."""

    status = 409

    def __init__(self, detail: str, *, code: str, full: Sequence[budgets.Full] = ()) -> None:
        budgets_full = [
            {
                "name": each.policy.name,
                "policy": str(each.policy.id),
                "left_wei": None if each.left_wei is None else str(each.left_wei),
                "left_count": each.left_count,
                "resets_at": None if each.resets_at is None else each.resets_at.isoformat(),
            }
            for each in full
        ]
        super().__init__(detail, code=code, extra={"budgets": budgets_full})
        self.full = tuple(full)


@db.durable
def find_payer(
    *,
    claim: budgets.Claim,
    utility_pays: bool,
    only: uuid.UUID | None = None,
    is_recorded: bool = False,
    now: datetime.datetime,
) -> Payer:
    """Reserve what an operation may cost with the first who pays: a program of the wallet's owner, else the utility.

    `only` names a policy that must be among those it is counted in: whose that is pays. An operation that no policy
    limits is written down when `is_recorded`, and otherwise nothing is.

    :raises UnableToFindPayer: `budget_used_up` when no budget has room, else `not_sponsored`. Nothing was reserved.
    """
    policies = queries.get_policies(utility_id=claim.utility_id)
    programs: Iterable[uuid.UUID] = ()
    if any(policy.program is not None for policy in policies):
        programs = queries.get_programs_of(wallet=claim.request.wallet)
    full: list[budgets.Full] = []
    for offer in sponsoring.offers(
        policies=policies, programs=programs, utility_pays=utility_pays, request=claim.request, now=now
    ):
        if only is not None and only not in {policy.id for policy in offer.policies}:
            continue
        kind = models.Sponsorship.Payer.UTILITY if offer.program is None else models.Sponsorship.Payer.PROGRAM
        if not offer.policies and not is_recorded:
            return Payer(sponsorship_id=None, kind=kind, reason="")
        try:
            id_ = budgets.reserve(
                claim=claim,
                payer=kind,
                program=offer.program,
                policies=offer.policies,
                reason=offer.reason,
                now=now,
            )
        except budgets.UnableToReserve as refusal:
            full += refusal.full
            continue
        first = offer.policies[0] if offer.policies else None
        policy = next((policy for policy in offer.policies if policy.id == only), first)
        return Payer(sponsorship_id=id_, kind=kind, program=offer.program, policy=policy, reason=offer.reason)
    if full:
        names = ", ".join(f"“{each.policy.name}”" for each in full)
        raise UnableToFindPayer(f"The gas budget {names} is used up.", code="budget_used_up", full=full)
    raise UnableToFindPayer("Neither a program nor the utility pays for this operation.", code="not_sponsored")


def estimate(*, kind: gas.Kind, is_deployed: bool, has_session: bool = True, recipients: int = 0) -> gas.GasLimits:
    """Return the gas limits of an operation, and what it will likely be charged."""
    return gas.estimate(kind=kind, is_deployed=is_deployed, has_session=has_session, recipients=recipients)


@db.durable
def with_data_fee(*, limits: gas.GasLimits) -> gas.GasLimits:
    """Return limits that pay for a rollup's data fee too, with a margin; on a chain without one, the same.

    :raises errors.Unreachable: the chain does not answer.
    """
    size = gas.size_bytes(pre_verification_gas=limits.pre_verification_gas)
    expected = data_fees.gas(size_bytes=size)
    return dataclasses.replace(
        limits,
        pre_verification_gas=limits.pre_verification_gas + expected + expected * settings.FEE_MARGIN_PERCENT // 100,
        expected=limits.expected + expected,
    )


@db.durable
def gas_prices() -> fees.GasPrices:
    """Return what an operation offers for gas now.

    :raises errors.Unreachable: the chain does not answer.
    """
    return chain.gas_prices()


class UnableToSponsor(errors.UnableTo):
    """The sponsor's key does not sign for the operation, or the operation is another than the quoted one."""


@db.durable
def sponsor(
    *,
    operation: user_operations.UserOperation,
    utility_id: int,
    chain_id: int,
    limits: gas.GasLimits,
    quote: models.FeeQuote | None,
    expires_at: datetime.datetime,
    program_id: int = 0,
    signed_by: int | None = None,
) -> user_operations.UserOperation:
    """Return the operation with the sponsor's signed leave in it, valid on the chain for the hour before `expires_at`.

    With `signed_by`, the id of a key, its signature is that key's bare r, s, v over what is so sponsored.

    Without a quote the utility pays, and the operation is no payment. A `program_id` other than zero names the program
    whose budget on the chain is charged beside the utility's, if it was ever given one.

    :raises UnableToSponsor: quote and operation differ, or the signer refuses.
    :raises errors.Unreachable: signer or node do not answer; or the utility is paused, and nothing was quoted before.
    """
    if quote is None and queries.is_paused(utility_id=utility_id):
        raise errors.Unreachable(queries.PAUSED)
    if quote is not None and words.parse_address(str(quote.sender)) != operation.sender:
        raise UnableToSponsor("The quote is another wallet's.", code="other_sender")
    if quote is not None and quote.sponsorship_id is not None:
        most_wei = limits.total * operation.max_fee_per_gas
        if most_wei > int(quote.gas_cost_wei):
            raise UnableToSponsor("It may cost more than was reserved for it. Ask for a new quote.", code="above_quote")
    key = custody_queries.get_key_of(subject=sponsor_subject(chain_id=chain_id))
    sponsoring = deployments.load(chain_id=chain_id).paymaster
    sponsorship = paymaster.Sponsorship(
        paymaster=sponsoring,
        mode=paymaster.FeeMode.UTILITY if quote is None else _MODES[models.FeeQuote.Mode(quote.mode)],
        utility_id=utility_id,
        program_id=program_id if program_id and _has_budget(sponsoring, utility_id, program_id) else 0,
        valid_after=int(expires_at.timestamp()) - paymaster.WINDOW_SECONDS,
        valid_until=int(expires_at.timestamp()),
        fee_units=0 if quote is None else quote.fee_units,
        verification_gas_limit=limits.paymaster_verification_gas_limit,
        post_op_gas_limit=limits.paymaster_post_op_gas_limit,
    )
    asked: Any = {"operation": operation, "sponsorship": sponsorship, "chain_id": chain_id}
    try:
        if signed_by is None:
            leave = custody_operations.sign_sponsorship(key_id=key.pk, **asked)
            sponsored = paymaster.sponsored(operation=operation, sponsorship=sponsorship, sponsor_signature=leave)
        else:
            sponsored = custody_operations.sign_sponsored(sponsor_key_id=key.pk, key_id=signed_by, **asked)
    except custody_operations.UnableToSign as error:
        raise UnableToSponsor(error.detail, code=error.code) from None
    if quote is not None and quote.sponsorship_id is not None:
        entry_point = deployments.load(chain_id=chain_id).entry_point
        hash_ = user_operations.hash_user_operation(operation=sponsored, chain_id=chain_id, entry_point=entry_point)
        bind(sponsorship_id=quote.sponsorship_id, hash_=hash_, expires_at=expires_at)
    return sponsored


@db.durable
def bind(*, sponsorship_id: uuid.UUID, hash_: bytes, expires_at: datetime.datetime) -> None:
    """Say for which sponsored operation a reservation is, before anybody sees its signature.

    :raises UnableToSponsor: the reservation was given back in the meantime.
    """
    if not budgets.bind(sponsorship_id=sponsorship_id, user_operation_hash="0x" + hash_.hex(), valid_until=expires_at):
        raise UnableToSponsor("What was reserved for it was given back. Ask for a new quote.", code="reservation_over")


def _has_budget(paymaster_address: bytes, utility_id: int, program_id: int) -> bool:
    asked = paymaster.encode_budget(utility_id=utility_id, program_id=program_id)
    budget = paymaster.decode_budget(result=chain.call(to=paymaster_address, data=asked))
    return any(dataclasses.astuple(budget))


class UnableToQueue(errors.UnableTo):
    """The quote was used already, or is for another wallet."""


@db.transaction_required
def queue(
    *,
    operation: user_operations.UserOperation,
    quote: models.FeeQuote | None,
    utility_id: int,
    chain_id: int,
    expires_at: datetime.datetime,
    now: datetime.datetime,
) -> models.UserOperation:
    """Put a signed operation into the queue; the same operation twice is once.

    From here on `user_operation.changed` tells each change of state, the last one being `succeeded` or `failed`.
    Until `expires_at` the operation may land; it must be what the sponsor signed for.

    :raises UnableToQueue: the quote was used for another operation, or is another wallet's.
    """
    entry_point = deployments.load(chain_id=chain_id).entry_point
    hash_ = user_operations.hash_user_operation(operation=operation, chain_id=chain_id, entry_point=entry_point)
    row = models.UserOperation(
        hash="0x" + hash_.hex(),
        chain_id=chain_id,
        entry_point=words.checksummed(entry_point),
        utility_id=utility_id,
        quote=quote,
        sender=words.checksummed(operation.sender),
        nonce=operation.nonce,
        init_code=operation.init_code,
        call_data=operation.call_data,
        verification_gas_limit=operation.verification_gas_limit,
        call_gas_limit=operation.call_gas_limit,
        pre_verification_gas=operation.pre_verification_gas,
        max_fee_per_gas_wei=operation.max_fee_per_gas,
        max_priority_fee_per_gas_wei=operation.max_priority_fee_per_gas,
        paymaster_and_data=operation.paymaster_and_data,
        signature=operation.signature,
        expires_at=expires_at,
        created_at=now,
    )
    taken = None if quote is None else sql.ask(_TAKE_QUOTE, [now, quote.pk, operation.sender])
    if not sql.insert_if_new(
        row, first_of=models.UserOperationTransition(user_operation=row, state=row.state, made_at=now)
    ):
        existing: models.UserOperation = _QUEUED.first(hash=hash_)
        return existing
    if taken is not None and not taken.all():
        raise UnableToQueue("The quote was used already, or is another wallet's.", code="quote_used")
    steps.note("queued", operation=row.hash, utility=utility_id)
    return row


_QUEUED = sql.Read(lambda: models.UserOperation.objects.filter(hash=sql.Slot("hash")))
_TAKE_QUOTE = """
    UPDATE relayer_feequote SET used_at = %s WHERE id = %s AND sender = %s AND used_at IS NULL RETURNING id
"""


def sponsor_subject(*, chain_id: int) -> str:
    """Return the subject of the key that signs for the paymaster of a chain."""
    return f"sponsor:{chain_id}"


def _fee(
    *,
    chain_id: int,
    token: customer_models.AcceptedToken,
    gas_units: int,
    prices: fees.GasPrices,
    now: datetime.datetime,
) -> fees.Fee:
    try:
        native_usd = queries.get_price_usd(chain_id=chain_id, token=queries.NATIVE, now=now)
        token_usd = queries.get_price_usd(chain_id=chain_id, token=str(token.address), now=now)
    except queries.UnableToFindPrice as error:
        raise UnableToQuoteFee(error.detail, code=error.code) from None
    return fees.Fee(
        units=fees.fee_units(
            gas=gas_units,
            price_wei=prices.expected_wei,
            margin_percent=settings.FEE_MARGIN_PERCENT,
            native_usd=native_usd,
            token_usd=token_usd,
            token_decimals=token.decimals,
        ),
        wei=fees.with_margin(wei=gas_units * prices.expected_wei, margin_percent=settings.FEE_MARGIN_PERCENT),
    )
