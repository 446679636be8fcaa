"""Makes a user operation of an operation: reads the chain, asks the sponsor and the signer. No transaction is open."""

import dataclasses
import datetime

from contracts import deployments
from contracts.bindings import accounts, sessions, user_operations, words
from custody import operations as custody
from openvpp.core import errors
from relayer import models as relayer_models
from relayer import operations as relayer
from wallets import models
from wallets.adapters import chain
from wallets.domain import intents


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A signed user operation, its hash, and the quote under which it is sponsored."""

    operation: user_operations.UserOperation
    user_operation_hash: str
    quote: relayer_models.FeeQuote


class UnableToPrepareOperation(errors.UnableTo):
    """The grant does not cover what the operation is to do."""


def quote_for_utility(*, operation: models.Operation, now: datetime.datetime) -> relayer_models.FeeQuote:
    """Return a quote by which the utility absorbs the network fee.

    :raises errors.Unreachable: no price or node answered.
    """
    account = chain.read_account(address=operation.wallet.address, chain_id=operation.wallet.chain_id)
    return relayer.make_quote(
        utility_id=operation.wallet.utility_id,
        sender=operation.wallet.address,
        intent=operation.intent,
        mode=relayer_models.FeeQuote.Mode.UTILITY,
        fee_token=None,
        gas=relayer.estimate(kind=operation.kind, is_deployed=account.is_deployed),
        reason="The utility pays the network fee of what it sends itself.",
        now=now,
    )


def prepare(*, operation: models.Operation, quote: relayer_models.FeeQuote) -> Prepared:
    """Return the user operation, sponsored and signed.

    :raises errors.Unreachable: node or signer did not answer.
    :raises errors.UnableTo: the sponsor or the signer will not sign it, ever.
    """
    wallet = operation.wallet
    deployment = deployments.load(chain_id=wallet.chain_id)
    account = chain.read_account(address=wallet.address, chain_id=wallet.chain_id)
    gas = relayer.estimate(kind=operation.kind, is_deployed=account.is_deployed)
    max_fee, max_priority_fee = relayer.gas_prices(chain_id=wallet.chain_id)
    bare = user_operations.UserOperation(
        sender=words.parse_address(wallet.address),
        nonce=account.nonce,
        init_code=b"" if account.is_deployed else _init_code(wallet=wallet, factory=deployment.account_factory),
        call_data=_call_data(operation=operation, payouts=deployment.payouts),
        verification_gas_limit=gas.verification_gas_limit,
        call_gas_limit=gas.call_gas_limit,
        pre_verification_gas=gas.pre_verification_gas,
        max_priority_fee_per_gas=max_priority_fee,
        max_fee_per_gas=max_fee,
    )
    sponsored = relayer.sponsor(operation=bare, quote=quote)
    signed_hash = user_operations.hash_user_operation(
        operation=sponsored, chain_id=wallet.chain_id, entry_point=deployment.entry_point
    )
    return Prepared(
        operation=dataclasses.replace(sponsored, signature=_signature(operation=operation, sponsored=sponsored)),
        user_operation_hash="0x" + signed_hash.hex(),
        quote=quote,
    )


def _call_data(*, operation: models.Operation, payouts: bytes) -> bytes:
    kinds = models.Operation.Kind
    if operation.kind == kinds.PROGRAM_PAYOUT:
        return intents.ProgramPayout.from_json(operation.intent).call_data(payouts=payouts)
    if operation.kind == kinds.REVOKE_SESSION:
        return intents.SessionRemoval.from_json(operation.intent).call_data()
    if operation.grant is None:
        raise UnableToPrepareOperation("A bill is paid under a grant.", code="no_grant")
    try:
        return intents.BillPayment.from_json(operation.intent).call_data(policy=operation.grant.policy)
    except ValueError as error:
        raise UnableToPrepareOperation(str(error), code="grant_does_not_cover") from error


def _init_code(*, wallet: models.Wallet, factory: bytes) -> bytes:
    return accounts.init_code(
        factory=factory, owner=words.parse_address(wallet.owner_key.address), salt=bytes.fromhex(wallet.salt[2:])
    )


def _signature(*, operation: models.Operation, sponsored: user_operations.UserOperation) -> bytes:
    grant, wallet = operation.grant, operation.wallet
    key_id = wallet.owner_key_id if grant is None else grant.key_id
    signature = custody.sign_user_operation(key_id=key_id, operation=sponsored, chain_id=wallet.chain_id)
    if grant is None:
        return sessions.encode_owner_signature(owner_signature=signature)
    # The owner's leave installs the session with its first operation, and does no harm once it is installed.
    return sessions.encode_session_signature(
        key_signature=signature, owner_install_signature=bytes(grant.owner_signature)
    )
