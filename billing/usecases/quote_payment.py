"""A customer asks what paying a bill takes: the network fee, who pays it, and until when that holds."""

import dataclasses
import datetime
import secrets
import uuid
from collections.abc import Mapping

from billing import models, queries
from billing.usecases import choose_fee_token
from contracts.bindings import words
from customers import models as customer_models
from customers import queries as customer_queries
from openvpp.core import db, errors
from relayer import models as relayer_models
from relayer import operations as relayer
from relayer.domain import gas, sponsoring
from wallets import models as wallet_models
from wallets import queries as wallet_queries
from wallets.domain import client_keys, intents

FeeMode = customer_models.FeeMode
MAY_PAY = (customer_models.AccountAccess.Role.HOLDER, customer_models.AccountAccess.Role.PAYER)
CENTS_DECIMALS = 2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What paying a bill would take, locked until `fee.expires_at`."""

    fee: relayer_models.FeeQuote
    bill: models.Bill
    wallet: wallet_models.Wallet
    token: customer_models.AcceptedToken
    amount_units: int
    fee_token: customer_models.AcceptedToken | None


class UnableToQuotePayment(errors.UnableTo):
    """The bill cannot be paid so; `code` says why."""


@db.durable
def quote(
    *,
    user: customer_models.User,
    bill_id: uuid.UUID,
    token_symbol: str,
    fee_mode: str | None,
    grant: wallet_models.SessionKeyGrant | None,
    now: datetime.datetime,
) -> Quote:
    """Lock the network fee of paying a bill from this person's wallet, or say that the utility pays it.

    Without `fee_mode` the utility's usual one is taken; where that is to pay it itself and its gas budget is used up,
    the customer is asked for it in the token that the wallet holds enough of.

    :raises queries.UnableToFindBill: none that this person may know of.
    :raises UnableToQuotePayment: the bill is not to be paid, or not by this person, in this token or with this mode.
    :raises relayer.UnableToQuoteFee: a price is too old, or there is none.
    :raises relayer.UnableToFindPayer: the utility was asked to pay it, and its gas budget is used up.
    """
    bill = queries.get_bill(user=user, bill_id=bill_id)
    require_payable(bill=bill, failure=UnableToQuotePayment)
    people = customer_queries.people_of_account(account_id=bill.account_id)
    found = wallet_queries.get_wallet_at(user=user, utility_id=bill.utility_id)
    wallet = require_payer(user=user, people=people, wallet=found, failure=UnableToQuotePayment)
    token = _get_bill_token(bill=bill, symbol=token_symbol)
    mode = _get_mode(utility=bill.utility, asked=fee_mode)
    amount_units = _to_units(bill=bill, token=token)
    wish = intents.BillPayment(
        reference="0x" + secrets.token_hex(words.REFERENCE_BYTES),
        payee=bill.utility.treasury_address,
        token=token.address,
        amount_units=amount_units,
    )
    limits = relayer.with_data_fee(
        limits=gas.estimate(
            kind=gas.Kind.BILL_PAYMENT,
            is_deployed=wallet.deployed_at is not None,
            has_session=grant is not None and grant.state == wallet_models.SessionKeyGrant.State.ACTIVE,
            is_p256=grant is not None and client_keys.is_p256(grant.client_key),
        )
    )

    def lock(mode: customer_models.FeeMode, reason: str) -> relayer_models.FeeQuote:
        return relayer.make_quote(
            utility_id=bill.utility_id,
            chain_id=wallet.chain_id,
            sender=wallet.address,
            intent={"bill_id": str(bill.pk), **wish.to_json()},
            mode=relayer_models.FeeQuote.Mode(mode),
            fee_token=_get_fee_token(utility=bill.utility, mode=mode, bill_token=token),
            limits=limits,
            reason=reason,
            methods=(sponsoring.BILL_PAYMENT,),
            instead_of={"bill_id": str(bill.pk)},
            now=now,
        )

    try:
        fee = lock(mode, _why(utility=bill.utility, mode=mode, was_asked=fee_mode is not None))
    except relayer.UnableToFindPayer as refusal:
        modes = choose_fee_token.get_modes(utility=bill.utility, bill_token=token)
        if fee_mode is not None or not modes:
            raise
        reason = f"{refusal.detail} You are asked to pay the network fee."
        fee = choose_fee_token.choose(
            quotes=(lock(mode, reason) for mode in modes), token=token, amount_units=amount_units
        )
    mode = FeeMode(fee.mode)
    fee_token = _get_fee_token(utility=bill.utility, mode=mode, bill_token=token)
    return Quote(fee=fee, bill=bill, wallet=wallet, token=token, amount_units=amount_units, fee_token=fee_token)


def require_payable(*, bill: models.Bill, failure: type[errors.UnableTo]) -> None:
    """Refuse with `failure` a bill that is not to be paid."""
    refusals = {
        models.Bill.State.PAID: ("already_paid", "This bill is paid."),
        models.Bill.State.PENDING: ("payment_pending", "A payment of this bill is on its way."),
        models.Bill.State.CANCELLED: ("bill_cancelled", "This bill was cancelled."),
    }
    if bill.state in refusals:
        code, detail = refusals[models.Bill.State(bill.state)]
        raise failure(detail, code=code, extra={"bill_state": bill.state})
    if bill.amount_due_cents <= 0:
        raise failure("There is nothing to pay on this bill.", code="nothing_to_pay")


def require_payer(
    *,
    user: customer_models.User,
    people: Mapping[int, str],
    wallet: wallet_models.Wallet | None,
    failure: type[errors.UnableTo],
) -> wallet_models.Wallet:
    """Return the wallet of somebody who may pay for an account, or refuse with `failure`."""
    if people.get(user.pk) not in MAY_PAY:
        raise failure("You may see this account but not pay for it.", code="viewer_may_not_pay")
    if wallet is None:
        raise failure("Your wallet is still being made. Try again in a minute.", code="wallet_not_ready")
    return wallet


def _get_bill_token(*, bill: models.Bill, symbol: str) -> customer_models.AcceptedToken:
    accepted = customer_queries.get_bill_tokens(utility_id=bill.utility_id)
    for token in accepted:
        if token.symbol == symbol:
            return token
    raise UnableToQuotePayment(
        f"{bill.utility} does not take {symbol} for bills.",
        code="token_not_accepted",
        extra={"accepted_tokens": [token.symbol for token in accepted]},
    )


def _get_mode(*, utility: customer_models.Utility, asked: str | None) -> customer_models.FeeMode:
    offered = queries.get_fee_modes(utility=utility)
    mode = asked or utility.default_fee_mode
    if mode not in offered:
        raise UnableToQuotePayment(
            f"{utility} does not offer this way to pay the network fee.",
            code="fee_mode_not_offered",
            extra={"offered_fee_modes": [mode.value for mode in offered]},
        )
    return FeeMode(mode)


def _get_fee_token(
    *, utility: customer_models.Utility, mode: customer_models.FeeMode, bill_token: customer_models.AcceptedToken
) -> customer_models.AcceptedToken | None:
    if mode == FeeMode.UTILITY:
        return None
    fee_token = queries.get_fee_token(utility=utility, mode=mode, bill_token=bill_token)
    if fee_token is None:
        raise UnableToQuotePayment(f"{utility} takes no network fee in this token.", code="fee_token_not_accepted")
    return fee_token


def _to_units(*, bill: models.Bill, token: customer_models.AcceptedToken) -> int:
    """Return the amount due in base units: one whole token is one unit of the bill's currency."""
    if token.decimals < CENTS_DECIMALS:
        raise UnableToQuotePayment(f"{token.symbol} cannot express cents.", code="token_too_coarse")
    return int(bill.amount_due_cents * 10 ** (token.decimals - CENTS_DECIMALS))


def _why(*, utility: customer_models.Utility, mode: customer_models.FeeMode, was_asked: bool) -> str:
    if mode == FeeMode.UTILITY:
        return f"{utility} pays the network fee."
    where = "$OVPP" if mode == FeeMode.OVPP else "the token of the bill"
    return f"You {'chose' if was_asked else 'are asked'} to pay the network fee in {where}."
