"""Double entry in several commodities: what is booked for a bill, a payment, a payout, and gas that bought nothing.

A commodity is a currency (in cents), a token (in base units) or a chain's native coin (in wei); each is balanced by
itself, so that the treasury's account in a token is the token's own balance to the unit.
"""

import dataclasses
import enum


class Code(enum.StrEnum):
    """Accounts of a utility's books."""

    RECEIVABLE = "receivable"
    REVENUE = "revenue"
    TAX_PAYABLE = "tax_payable"
    CUSTOMER_CREDIT = "customer_credit"
    CREDITS_GIVEN = "credits_given"
    DEPOSIT = "deposit"
    RECEIPTS = "receipts"
    BUDGET = "budget"
    TREASURY = "treasury"
    CONVERSION = "conversion"
    FEE_INCOME = "fee_income"
    GAS_EXPENSE = "gas_expense"
    GAS_DEPOSIT = "gas_deposit"
    PROGRAM_EXPENSE = "program_expense"
    PROGRAM_TREASURY = "program_treasury"


OF_CUSTOMERS = frozenset({Code.RECEIVABLE, Code.CUSTOMER_CREDIT, Code.DEPOSIT, Code.BUDGET})


@dataclasses.dataclass(frozen=True, slots=True)
class Posting:
    """A debit (positive) or credit (negative) of one account; `OF_CUSTOMERS` are kept for each customer account."""

    code: Code
    commodity: str
    amount: int


def token_commodity(*, chain_id: int, address: str) -> str:
    """Return the name under which a token is booked."""
    return f"{chain_id}:{address}"


def native_commodity(*, chain_id: int) -> str:
    """Return the name under which a chain's native coin is booked, in wei."""
    return f"{chain_id}:wei"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Billed:
    """What a bill comes to, in cents, and what of it is not revenue; signs as on the bill's lines.

    A bill below zero leaves a credit. `credits_cents` are used credits (below zero) and those of a cancelled bill that
    are used already (above), `deposit_cents` what is drawn from a deposit (below zero), `budget_cents` what budget
    billing adds, `paid_before_cents` what was paid for the bill that this one corrects (below zero).
    """

    total_cents: int
    tax_cents: int = 0
    credits_cents: int = 0
    deposit_cents: int = 0
    budget_cents: int = 0
    paid_before_cents: int = 0


def bill_issued(*, currency: str, billed: Billed) -> tuple[Posting, ...]:
    """Return what a bill books: the account owes what is asked, the utility has earned the rest of the lines."""
    debits = {
        Code.RECEIVABLE: max(0, billed.total_cents) - billed.paid_before_cents,
        Code.CUSTOMER_CREDIT: min(0, billed.total_cents) - billed.credits_cents,
        Code.DEPOSIT: -billed.deposit_cents,
        Code.BUDGET: -billed.budget_cents,
        Code.TAX_PAYABLE: -billed.tax_cents,
    }
    debits[Code.REVENUE] = -sum(debits.values())
    return _without_zeros(*(Posting(code, currency, amount) for code, amount in debits.items()))


def credit_given(*, currency: str, amount_cents: int) -> tuple[Posting, ...]:
    """Return what a credit books that the utility gives: it costs the utility, and is owed to the account."""
    return _without_zeros(
        Posting(Code.CREDITS_GIVEN, currency, amount_cents), Posting(Code.CUSTOMER_CREDIT, currency, -amount_cents)
    )


def deposit_taken(*, currency: str, amount_cents: int) -> tuple[Posting, ...]:
    """Return what a deposit books: it is received outside of the chain, and stays the account's until it is drawn."""
    return _without_zeros(
        Posting(Code.RECEIPTS, currency, amount_cents), Posting(Code.DEPOSIT, currency, -amount_cents)
    )


def payment_made(
    *,
    currency: str,
    amount_cents: int,
    token: str,
    amount_units: int,
    fee_token: str | None,
    fee_units: int,
    native: str,
    gas_cost_wei: int,
) -> tuple[Posting, ...]:
    """Return what a payment books; `token`, `fee_token` and `native` are commodities.

    The account owes less, the treasury holds the tokens, the fee is income in the token that it was paid in, and gas
    is spent from the deposit.
    """
    return _without_zeros(
        Posting(Code.CONVERSION, currency, amount_cents),
        Posting(Code.RECEIVABLE, currency, -amount_cents),
        Posting(Code.TREASURY, token, amount_units),
        Posting(Code.CONVERSION, token, -amount_units),
        Posting(Code.TREASURY, fee_token or token, fee_units),
        Posting(Code.FEE_INCOME, fee_token or token, -fee_units),
        *gas_spent(native=native, gas_cost_wei=gas_cost_wei),
    )


def gas_spent(*, native: str, gas_cost_wei: int) -> tuple[Posting, ...]:
    """Return what the gas of an operation books, whether or not the operation did what it should."""
    return _without_zeros(
        Posting(Code.GAS_EXPENSE, native, gas_cost_wei), Posting(Code.GAS_DEPOSIT, native, -gas_cost_wei)
    )


def payouts_made(*, token: str, amount_units: int, native: str, gas_cost_wei: int) -> tuple[Posting, ...]:
    """Return what a settled event books: the program's treasury paid customers for what their devices did."""
    return _without_zeros(
        Posting(Code.PROGRAM_EXPENSE, token, amount_units),
        Posting(Code.PROGRAM_TREASURY, token, -amount_units),
        *gas_spent(native=native, gas_cost_wei=gas_cost_wei),
    )


def is_balanced(postings: tuple[Posting, ...]) -> bool:
    """Say whether debits and credits are equal in each commodity."""
    sums: dict[str, int] = {}
    for posting in postings:
        sums[posting.commodity] = sums.get(posting.commodity, 0) + posting.amount
    return not any(sums.values())


def _without_zeros(*postings: Posting) -> tuple[Posting, ...]:
    return tuple(posting for posting in postings if posting.amount)
