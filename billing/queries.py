"""Reading bills, payments and the books; and the locks under which they change."""

import dataclasses
import datetime
import uuid
from collections.abc import Sequence
from typing import Any

from django.db import models as db_models
from django.db.models import F, Q, Sum

from billing import models
from billing.domain import statements
from contracts import deployments
from contracts.bindings import words
from customers import models as customer_models
from customers import queries as customer_queries
from openvpp.core import db, errors, sql
from relayer import models as relayer_models
from wallets import models as wallet_models

NANO_PER_CENT = 10**7
OWED = (models.LedgerAccount.Code.RECEIVABLE, models.LedgerAccount.Code.CUSTOMER_CREDIT)


class UnableToFindBill(errors.NotFound):
    """There is no such bill, or it is not this person's."""


class UnableToFindPayment(errors.NotFound):
    """There is no such payment, or it is not this person's."""


def get_bills(*, user: customer_models.User) -> "db_models.QuerySet[Any]":
    """Return the bills of a person's own accounts."""
    return models.Bill.objects.for_customer(user).select_related("account", "utility", "corrects")


def get_bill(*, user: customer_models.User, bill_id: uuid.UUID) -> models.Bill:
    """Return a bill of one of a person's own accounts, with its lines.

    :raises UnableToFindBill: none that they may know of.
    """
    rows = get_bills(user=user).prefetch_related("lines__tariff", "lines__service_point", "allocations__payment")
    bill: models.Bill | None = rows.filter(pk=bill_id).first()
    if bill is None:
        raise UnableToFindBill("There is no such bill.", code="not_found")
    return bill


def lock_bill(*, user: customer_models.User, bill_id: uuid.UUID) -> models.Bill:
    """Lock a bill of one of a person's own accounts until the open transaction ends.

    :raises UnableToFindBill: none that they may know of.
    """
    bill: models.Bill | None = _BILL.first(user_id=user.pk, bill_id=bill_id) if user.is_active else None
    if bill is None:
        raise UnableToFindBill("There is no such bill.", code="not_found")
    return bill


_BILL = sql.Read(
    lambda: (
        models.Bill.objects.of_customer(sql.Slot("user_id"))
        .select_related("account", "utility")
        .select_for_update(of=("self",))
        .filter(pk=sql.Slot("bill_id"))
    )
)


def get_payments(*, user: customer_models.User) -> "db_models.QuerySet[Any]":
    """Return the payments of a person's own accounts."""
    return (
        models.Payment.objects.for_customer(user)
        .select_related("account", "utility", "token", "fee_token", "wallet", "operation__grant")
        .prefetch_related("allocations__bill", "transfers")
    )


def get_payment(*, user: customer_models.User, payment_id: uuid.UUID) -> models.Payment:
    """Return a payment of one of a person's own accounts: its receipt once it is paid.

    :raises UnableToFindPayment: none that they may know of.
    """
    payment: models.Payment | None = get_payments(user=user).filter(pk=payment_id).first()
    if payment is None:
        raise UnableToFindPayment("There is no such payment.", code="not_found")
    return payment


def find_payment_of_quote(
    *, user: customer_models.User, bill_id: uuid.UUID, quote_id: uuid.UUID, amount_units: int
) -> models.Payment | None:
    """Return the payment that this person made of this bill under a quote, or None."""
    made = get_payments(user=user).filter(
        made_by=user, quote_id=quote_id, amount_units=amount_units, allocations__bill_id=bill_id
    )
    return made.first()


def lock_payment_of(*, operation_id: uuid.UUID) -> models.Payment:
    """Lock the payment that an operation makes until the open transaction ends.

    :raises models.Payment.DoesNotExist: it makes none.
    """
    payment: models.Payment = (
        models.Payment.objects.select_for_update(of=("self",))
        .select_related("utility", "account", "wallet", "token", "fee_token")
        .get(operation_id=operation_id)
    )
    return payment


def get_counted_logs(*, chain_id: int, transaction_hash: str) -> set[int]:
    """Return which logs of a transaction were counted for a payment."""
    rows = models.ProvenTransfer.objects.filter(chain_id=chain_id, transaction_hash=transaction_hash)
    return set(rows.values_list("log_index", flat=True))


def ask_people_of_bill(*, bill_id: uuid.UUID) -> sql.Question:
    """Ask for the ids of the active people who may open a bill's account, and what each may do."""
    return _PEOPLE.ask(bill_id=bill_id)


_PEOPLE = sql.Read(
    lambda: (
        customer_models.AccountAccess.objects.filter(account__bills__pk=sql.Slot("bill_id"))
        .filter(customer__user__is_active=True)
        .order_by("customer__user_id", "-pk")
        .values_list("customer__user_id", "role")
    )
)


def ask_payments_under(*, quote_id: uuid.UUID | None) -> sql.Question:
    """Ask for the ids of the payments that were made under a quote."""
    return _PAID_UNDER.ask(quote_id=quote_id)


_PAID_UNDER = sql.Read(lambda: models.Payment.objects.filter(quote=sql.Slot("quote_id")).values_list("pk"))


def get_own_quote(*, user: customer_models.User, quote_id: uuid.UUID) -> relayer_models.FeeQuote | None:
    """Return a fee quote that was made for one of a person's own wallets."""
    fee: relayer_models.FeeQuote | None = (
        _OWN_QUOTE.first(user_id=user.pk, quote_id=quote_id) if user.is_active else None
    )
    return fee


_OWN_QUOTE = sql.Read(
    lambda: relayer_models.FeeQuote.objects.filter(
        pk=sql.Slot("quote_id"),
        sender__in=wallet_models.Wallet.objects.of_customer(sql.Slot("user_id")).values("address"),
        intent__has_key="bill_id",
    )
)


def get_fee_modes(*, utility: customer_models.Utility) -> list[customer_models.FeeMode]:
    """Return how a utility lets its customers pay the network fee."""
    modes = customer_models.FeeMode
    offers = {
        modes.UTILITY: utility.absorbs_fee,
        modes.STABLECOIN: utility.offers_fee_in_stablecoin,
        modes.OVPP: utility.offers_fee_in_ovpp,
    }
    return [mode for mode, is_offered in offers.items() if is_offered]


def get_fee_token(
    *, utility: customer_models.Utility, mode: customer_models.FeeMode, bill_token: customer_models.AcceptedToken
) -> customer_models.AcceptedToken | None:
    """Return the token of a customer's network fee, if the utility takes fees in it."""
    wanted = bill_token.address
    if mode == customer_models.FeeMode.OVPP:
        wanted = words.checksummed(deployments.load(chain_id=utility.chain_id).ovpp)
    taken = customer_queries.get_fee_tokens(utility_id=utility.pk)
    return next((token for token in taken if token.address == wanted), None)


def get_bills_of(*, account: customer_models.CustomerAccount, most: int) -> "db_models.QuerySet[Any]":
    """Return an account's latest bills, newest first."""
    return account.bills.order_by("-issued_at", "-pk")[:most]


def get_payments_of(*, account: customer_models.CustomerAccount, most: int) -> "db_models.QuerySet[Any]":
    """Return an account's latest payments, newest first."""
    return account.payments.select_related("token", "fee_token").order_by("-created_at", "-pk")[:most]


def get_tariff(*, utility_id: int, code: str, day: datetime.date) -> models.Tariff | None:
    """Return the version of a tariff that is in force on a local day."""
    tariff: models.Tariff | None = (
        models.Tariff.objects.of_utility(utility_id)
        .filter(code=code, effective_from__lte=day)
        .exclude(effective_until__lte=day)
        .order_by("-effective_from")
        .first()
    )
    return tariff


def get_overlapping(
    *, account_ids: Sequence[int], starts_on: datetime.date, ends_on: datetime.date
) -> list[models.Bill]:
    """Return the standing rated bills of accounts that have some of the local days `[starts_on, ends_on)`."""
    return list(
        models.Bill.objects.filter(
            account_id__in=db.any_of(account_ids),
            source=models.Bill.Source.RATED,
            starts_on__lt=ends_on,
            ends_on__gt=starts_on,
        ).exclude(state=models.Bill.State.CANCELLED)
    )


def get_amounts_before(*, account_ids: Sequence[int], day: datetime.date) -> dict[int, int]:
    """Return what the latest standing bill that starts before a day came to, in cents, by account."""
    rows = (
        models.Bill.objects.filter(account_id__in=db.any_of(account_ids), starts_on__lt=day)
        .exclude(state=models.Bill.State.CANCELLED)
        .order_by("account_id", "-starts_on", "-issued_at")
        .distinct("account_id")
    )
    return dict(rows.values_list("account_id", "total_cents"))


def get_remainders(*, account_ids: Sequence[int]) -> dict[int, list[statements.Remainder]]:
    """Return what accounts' standing rated bills left for later ones, oldest first, by account."""
    rows = (
        models.Bill.objects.filter(account_id__in=db.any_of(account_ids), source=models.Bill.Source.RATED)
        .exclude(state=models.Bill.State.CANCELLED)
        .order_by("account_id", "starts_on")
        .values_list("account_id", "rating")
    )
    found: dict[int, list[statements.Remainder]] = {}
    for account_id, rating in rows:
        found.setdefault(account_id, []).extend(statements.Remainder.from_json(item) for item in rating)
    return found


def get_balances(*, utility_id: int) -> dict[tuple[str, str], int]:
    """Return the balance of each account of a utility's books by code and commodity, receivables together."""
    rows = (
        models.LedgerEntry.objects.of_utility(utility_id)
        .values_list("account__code", "account__commodity")
        .annotate(balance=Sum("amount"))
        .order_by("account__code", "account__commodity")
    )
    return {(code, commodity): int(balance) for code, commodity, balance in rows}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TrialRow:
    """One account of the books in one commodity over some time: debits less credits change opening to closing."""

    code: str
    commodity: str
    opening: int
    debits: int
    credits: int

    @property
    def closing(self) -> int:
        """Return the balance at the end."""
        return self.opening + self.debits - self.credits


def get_trial_balance(*, utility_id: int, starts_at: datetime.datetime, ends_at: datetime.datetime) -> list[TrialRow]:
    """Return a utility's trial balance over `[starts_at, ends_at)`; each column sums to zero in each commodity."""
    inside = Q(transaction__booked_at__gte=starts_at)
    rows = (
        models.LedgerEntry.objects.of_utility(utility_id)
        .filter(transaction__booked_at__lt=ends_at)
        .values_list("account__code", "account__commodity")
        .annotate(
            opening=Sum("amount", filter=~inside, default=0),
            debits=Sum("amount", filter=inside & Q(amount__gt=0), default=0),
            credited=Sum(-F("amount"), filter=inside & Q(amount__lt=0), default=0),
        )
        .order_by("account__code", "account__commodity")
    )
    return [
        TrialRow(code=code, commodity=commodity, opening=int(opening), debits=int(debits), credits=int(credited))
        for code, commodity, opening, debits, credited in rows
    ]


def get_booked_by_account(*, utility_id: int, code: str, currency: str) -> dict[int, int]:
    """Return the balance of each customer account's own account of the books, in cents."""
    rows = (
        models.LedgerEntry.objects.of_utility(utility_id)
        .filter(account__code=code, account__commodity=currency)
        .order_by()
        .values_list("account__customer_account_id")
        .annotate(Sum("amount"))
    )
    return {account_id: int(amount) for account_id, amount in rows}


def get_asked_by_account(*, utility_id: int) -> dict[int, int]:
    """Return what standing bills of each account ask for that is not paid, in cents."""
    states = (models.Bill.State.ISSUED, models.Bill.State.PENDING)
    rows = models.Bill.objects.of_utility(utility_id).filter(state__in=states).order_by().values_list("account_id")
    return {account_id: int(cents) for account_id, cents in rows.annotate(Sum("amount_due_cents"))}


def get_lines_by_account(*, utility_id: int, kinds: Sequence[str]) -> dict[int, int]:
    """Return what the lines of some kinds on each account's standing bills sum to, in cents."""
    rows = (
        models.BillLine.objects.filter(bill__utility_id=utility_id, kind__in=kinds)
        .exclude(bill__state=models.Bill.State.CANCELLED)
        .order_by()
        .values_list(F("bill__account_id"))
        .annotate(Sum("amount_nano"))
    )
    return {account_id: int(nano) // NANO_PER_CENT for account_id, nano in rows}


def get_used_by_account(*, utility_id: int) -> dict[int, int]:
    """Return what standing bills used of each account's credits, in cents."""
    rows = (
        models.CreditUse.objects.filter(bill__utility_id=utility_id)
        .exclude(bill__state=models.Bill.State.CANCELLED)
        .order_by()
        .values_list(F("credit__account_id"))
        .annotate(Sum("amount_nano"))
    )
    return {account_id: int(nano) // NANO_PER_CENT for account_id, nano in rows}


def get_given_by_account(*, utility_id: int, model: type[db_models.Model]) -> dict[int, int]:
    """Return the credits (less what is withdrawn) or deposits of each account, in cents."""
    amount = F("amount") - F("withdrawn") if model is models.AccountCredit else F("amount")
    rows = model._default_manager.filter(account__utility_id=utility_id).order_by()  # noqa: SLF001 - documented
    return {
        account_id: int(given * 100) for account_id, given in rows.values_list("account_id").annotate(given=Sum(amount))
    }


def get_paying_addresses(*, utility_id: int) -> list[str]:
    """Return the addresses of the wallets from which a utility's customers pay."""
    return list(wallet_models.Wallet.objects.of_utility(utility_id).values_list("address", flat=True))


def get_treasury_addresses(*, utility_id: int) -> list[str]:
    """Return the addresses of the wallets from which a utility's programs pay."""
    treasuries = wallet_models.Wallet.objects.of_utility(utility_id).filter(kind=wallet_models.Wallet.Kind.TREASURY)
    return list(treasuries.values_list("address", flat=True))


def get_owed_cents(*, account_id: int, currency: str) -> int:
    """Return what a customer account owes less what it is owed, in cents; negative when it is in credit."""
    owed = models.LedgerEntry.objects.filter(
        account__customer_account_id=account_id, account__commodity=currency, account__code__in=OWED
    ).aggregate(owed=Sum("amount"))["owed"]
    return int(owed or 0)
