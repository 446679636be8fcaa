"""Everything that is known of one operation, for the page that staff see of it."""

import dataclasses
import datetime
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from contracts import deployments
from contracts.bindings import paymaster, words
from customers import models as customer_models
from openvpp.core import db
from relayer import models
from relayer.adapters import simulation, traces
from relayer.domain import call_words
from relayer.domain import traces as trace_rules

_MODE_AT = 52
_GWEI = 10**9


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that happened to the operation: when, what, and more of it in words; `state` colours it."""

    at: datetime.datetime
    what: str
    detail: str = ""
    state: str = ""
    hash: str = ""
    bundle_id: int | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """What the operation may cost, costs, and who pays; amounts of the chain's coin in wei."""

    paid_by: str
    reason: str
    quoted: str
    most_wei: int
    reserved_wei: int | None
    cost_wei: int | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """An operation and all that belongs to it; `untold` are the steps that whoever asked for it has not heard of."""

    operation: models.UserOperation
    receipt: models.UserOperationReceipt | None
    does: Sequence[str]
    steps: Sequence[Step]
    fees: Fees
    paymaster: str
    factory: str
    delegate: str
    untold: Sequence[models.OperationNews]


@db.durable
def tell(*, operation: models.UserOperation) -> Story:
    """Return an operation's story, its steps in the order in which they happened."""
    names = names_of(operation=operation)
    receipt = models.UserOperationReceipt.objects.filter(user_operation=operation).first()
    data = bytes(operation.paymaster_and_data)
    authorization = operation.to_authorization()
    return Story(
        operation=operation,
        receipt=receipt,
        does=call_words.describe(
            call_data=bytes(operation.call_data),
            sender=words.parse_address(str(operation.sender)),
            tokens_by_address=_tokens(operation),
            names=names,
        ),
        steps=_steps(operation),
        fees=_fees(operation, data),
        paymaster=_named(data[:20], names),
        factory=_named(bytes(operation.init_code)[:20], names),
        delegate="" if authorization is None else _named(authorization.delegate, names),
        untold=list(models.OperationNews.objects.filter(user_operation=operation).order_by("pk")),
    )


@db.durable
def trace(*, operation: models.UserOperation) -> list[trace_rules.Frame]:
    """Return what the operation did where it stands in a block, else what it would do now.

    :raises traces.UnableToTrace: the node cannot.
    :raises errors.Unreachable: the node does not answer, or answers too much.
    """
    receipt = models.UserOperationReceipt.objects.filter(user_operation=operation).first()
    if receipt is not None:
        answer = traces.of_transaction(hash_=str(receipt.transaction_hash))
    else:
        entry_point = words.parse_address(str(operation.entry_point))
        authorization, binding = operation.to_authorization(), operation.to_binding()
        delegated = {} if authorization is None else {binding.sender: authorization.delegate}
        answer = traces.of_call(entry_point=entry_point, operation=binding, delegated=delegated)
    try:
        return trace_rules.read(
            answer=answer,
            names=names_of(operation=operation),
            user_operation_hash=bytes.fromhex(str(operation.hash)[2:]),
            init_code=bytes(operation.init_code),
        )
    except ValueError as error:
        raise traces.UnableToTrace(f"The node's trace cannot be read: {error}.", code="no_tracer") from None


def names_of(*, operation: models.UserOperation) -> dict[bytes, str]:
    """Return the names of the addresses that an operation may come by."""
    names: dict[bytes, str] = {}
    deployment = _deployment(operation.chain_id)
    if deployment is not None:
        known = deployments.addresses(deployment)
        names |= {address: name.replace("_", " ") for name, address in known.items()}
        names[simulation.sender_creator(entry_point=deployment.entry_point)] = "sender creator"
    names |= {address: token.symbol for address, token in _tokens(operation).items()}
    names[words.parse_address(str(operation.utility.treasury_address))] = f"{operation.utility}'s treasury"
    names[words.parse_address(str(operation.sender))] = "the account"
    return names


def _tokens(operation: models.UserOperation) -> dict[bytes, call_words.Token]:
    rows = customer_models.AcceptedToken.objects.of_utility(operation.utility_id)
    return {
        words.parse_address(str(row.address)): call_words.Token(symbol=row.symbol, decimals=row.decimals)
        for row in rows
    }


def _named(address: bytes, names: Mapping[bytes, str]) -> str:
    if not any(address[2:]):  # none, or the mark of a delegation in a factory's place
        return ""
    name = names.get(address)
    return words.checksummed(address) if name is None else f"{name} ({words.checksummed(address)})"


def _steps(operation: models.UserOperation) -> list[Step]:
    history = list(operation.history.all())
    ids = {each for each in (operation.bundle_id, *(step.bundle_id for step in history)) if each is not None}
    bundles = models.Bundle.objects.filter(pk__in=ids).select_related("relayer_key").prefetch_related("transactions")
    steps = [
        Step(at=step.made_at, what=step.get_state_display(), detail=step.detail, state=step.state) for step in history
    ]
    for bundle in bundles:
        steps.extend(_of_bundle(bundle))
    for action in operation.staff_actions.select_related("made_by"):
        by = action.made_by.get_full_name() or action.made_by.email
        steps.append(Step(at=action.made_at, what=f"{action.get_kind_display()} by {by}", detail=action.reason))
    return sorted(steps, key=lambda step: step.at)


def _of_bundle(bundle: models.Bundle) -> list[Step]:
    sent = list(bundle.transactions.all())
    by = "somebody else's transaction" if bundle.relayer_key is None else f"key {bundle.relayer_key.address}"
    steps = [
        Step(
            at=bundle.created_at,
            what=f"Bundle {bundle.pk}",
            detail=f"By {by}, nonce {bundle.nonce}, gas limit {bundle.gas_limit:,}. {bundle.get_state_display()}.",
            bundle_id=bundle.pk,
        )
    ]
    for number, transaction in enumerate(sent):
        fees = (
            f"At most {_gwei(transaction.max_fee_per_gas_wei)} gwei a gas, "
            f"tip {_gwei(transaction.max_priority_fee_per_gas_wei)} gwei."
        )
        landed = " It landed." if transaction.hash == bundle.transaction_hash else ""
        taken = "" if transaction.sent_at else " No node has taken it yet."
        steps.append(
            Step(
                at=transaction.created_at,
                what=f"Replacement {number} of bundle {bundle.pk}" if number else f"Transaction of bundle {bundle.pk}",
                detail=f"{fees}{landed}{taken}",
                hash=str(transaction.hash),
            )
        )
    return steps


def _gwei(wei: Any) -> str:
    return f"{int(wei) / _GWEI:,.6f}".rstrip("0").rstrip(".")


def _fees(operation: models.UserOperation, data: bytes) -> Fees:
    quote = operation.quote
    sponsorship = models.Sponsorship.objects.filter(user_operation_hash=operation.hash).first()
    if sponsorship is None and quote is not None:
        sponsorship = quote.sponsorship
    gas = operation.verification_gas_limit + operation.call_gas_limit + operation.pre_verification_gas
    gas += int.from_bytes(data[20:36]) + int.from_bytes(data[36:52])
    return Fees(
        paid_by=_payer(operation, data, sponsorship),
        reason=_reason(quote, sponsorship),
        quoted=_quoted(operation, quote),
        most_wei=gas * int(operation.max_fee_per_gas_wei),
        reserved_wei=None if sponsorship is None else int(sponsorship.reserved_wei),
        cost_wei=None if operation.gas_cost_wei is None else int(operation.gas_cost_wei),
    )


def _payer(operation: models.UserOperation, data: bytes, sponsorship: models.Sponsorship | None) -> str:
    if sponsorship is not None:
        program = f" {uuid.UUID(str(sponsorship.program))}" if sponsorship.program else ""
        return f"{sponsorship.get_payer_display()}{program}"
    if operation.quote is not None:
        return str(operation.quote.get_mode_display())
    if not data:
        return "The account itself, in the chain's coin"
    deployment = _deployment(operation.chain_id)
    if deployment is not None and data[:20] == deployment.relay_paymaster:
        return "The relayer"
    if deployment is None or data[:20] != deployment.paymaster:
        return "A paymaster that is not ours"
    is_absorbed = data[_MODE_AT : _MODE_AT + 1] == bytes([paymaster.FeeMode.UTILITY])
    return "The utility" if is_absorbed else "The customer, in a token within the operation"


def _deployment(chain_id: int) -> deployments.Deployment | None:
    try:
        return deployments.load(chain_id=chain_id)
    except deployments.UnableToLoadDeployment:
        return None


def _reason(quote: models.FeeQuote | None, sponsorship: models.Sponsorship | None) -> str:
    if sponsorship is not None:
        return str(sponsorship.reason)
    return "" if quote is None else str(quote.reason)


def _quoted(operation: models.UserOperation, quote: models.FeeQuote | None) -> str:
    if quote is None:
        return "Nothing was quoted"
    if quote.fee_token is None:
        return "Nothing: the utility absorbs it"
    token = words.parse_address(str(quote.fee_token))
    known = _tokens(operation).get(token)
    if known is None:
        return f"{quote.fee_units} base units of {quote.fee_token}"
    return call_words.amount(int(quote.fee_units), token, {token: known})
