"""Makes a user operation of an operation: reads the chain, asks the sponsor and the signer. No transaction is open."""

import dataclasses
import datetime

from contracts import deployments
from contracts.bindings import accounts, sessions, user_operations, words
from openvpp.core import errors
from relayer import operations as relayer
from relayer.domain import gas
from wallets import models
from wallets.adapters import chain
from wallets.domain import account_state, client_keys, control_intents, intents


class UnableToPrepareOperation(errors.UnableTo):
    """The grant does not cover what the operation is to do."""


def prepare(
    *, operation: models.Operation, expires_at: datetime.datetime, account: account_state.AccountState | None = None
) -> user_operations.UserOperation:
    """Return the user operation, sponsored and signed; the chain takes it until `expires_at`.

    `account` is what the chain said of the wallet, if it was asked since another operation of it was under way.

    Where the customer's phone keeps the key its signature is empty: the phone is asked for it.
    With a quote the fee and the gas price are the quoted ones; without one the utility pays.

    :raises errors.Unreachable: node or signer did not answer.
    :raises errors.UnableTo: the sponsor or the signer will not sign it, ever.
    """
    wallet, quote = operation.wallet, operation.quote
    deployment = deployments.load(chain_id=wallet.chain_id)
    if account is None:
        lane = _lane(operation=operation)
        account = chain.read_account(address=wallet.address, chain_id=wallet.chain_id, lane=lane)
    limits = _limits(operation=operation, is_deployed=account.is_deployed)
    prices = quote or relayer.gas_prices()
    sponsored = relayer.sponsor(
        operation=user_operations.UserOperation(
            sender=words.parse_address(wallet.address),
            nonce=account.nonce,
            init_code=b"" if account.is_deployed else _init_code(wallet=wallet, factory=deployment.account_factory),
            call_data=_call_data(operation=operation, payouts=deployment.payouts),
            verification_gas_limit=limits.verification_gas_limit,
            call_gas_limit=limits.call_gas_limit,
            pre_verification_gas=limits.pre_verification_gas,
            max_priority_fee_per_gas=prices.max_priority_fee_per_gas_wei,
            max_fee_per_gas=prices.max_fee_per_gas_wei,
        ),
        utility_id=wallet.utility_id,
        chain_id=wallet.chain_id,
        limits=limits,
        quote=quote,
        expires_at=expires_at,
        program_id=_program_number(operation=operation),
        signed_by=wallet.owner_key_id if operation.grant is None else operation.grant.key_id,
    )
    return dataclasses.replace(sponsored, signature=_signature(operation=operation, made=sponsored.signature))


def hash_of(operation: user_operations.UserOperation, /, *, chain_id: int) -> bytes:
    """Return the hash of an operation at the chain's EntryPoint, which is what its key signs."""
    entry_point = deployments.load(chain_id=chain_id).entry_point
    return user_operations.hash_user_operation(operation=operation, chain_id=chain_id, entry_point=entry_point)


def _lane(*, operation: models.Operation) -> int:
    """Return which sequence of nonces an operation uses: a removal waits for no other operation of the wallet."""
    if operation.kind != models.Operation.Kind.REVOKE_SESSION:
        return 0
    return intents.SessionRemoval.from_json(operation.intent).lane


def _program_number(*, operation: models.Operation) -> int:
    if operation.kind != models.Operation.Kind.PROGRAM_PAYOUT:
        return 0
    return intents.ProgramPayout.from_json(operation.intent).program_number


def _limits(*, operation: models.Operation, is_deployed: bool) -> gas.GasLimits:
    kinds = models.Operation.Kind
    grant = operation.grant
    limits = gas.estimate(
        kind={
            kinds.BILL_PAYMENT: gas.Kind.BILL_PAYMENT,
            kinds.PROGRAM_PAYOUT: gas.Kind.PAYOUT,
            kinds.REVOKE_SESSION: gas.Kind.OWNER_CALL,
            kinds.CANCEL_RECOVERY: gas.Kind.CUSTOMERS_WORD,
        }.get(kinds(operation.kind), gas.Kind.CONTROL),
        is_deployed=is_deployed,
        has_session=grant is not None and grant.state == models.SessionKeyGrant.State.ACTIVE,
        recipients=len(operation.intent.get("recipients", ())),
        sessions=len(operation.intent.get("session_ids", ())),
        is_p256=grant is not None and client_keys.is_p256(grant.client_key),
    )
    return relayer.with_data_fee(limits=limits)


def _call_data(*, operation: models.Operation, payouts: bytes) -> bytes:
    kinds = models.Operation.Kind
    if operation.kind == kinds.PROGRAM_PAYOUT:
        return intents.ProgramPayout.from_json(operation.intent).call_data(payouts=payouts)
    if operation.kind == kinds.REVOKE_SESSION:
        return intents.SessionRemoval.from_json(operation.intent).call_data()
    if operation.kind in control_intents.KINDS:
        return control_intents.call_data(
            kind=operation.kind, account=words.parse_address(operation.wallet.address), intent=operation.intent
        )
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


def _signature(*, operation: models.Operation, made: bytes) -> bytes:
    if not made:
        return b""
    if operation.grant is None:
        return sessions.encode_owner_signature(owner_signature=made)
    # The owner's leave installs the session with its first operation, and does no harm once it is installed.
    return sessions.encode_session_signature(key_signature=made, leave=bytes(operation.grant.owner_leave))
