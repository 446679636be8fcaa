"""Whatever is booked is balanced in each commodity, and the treasury's account holds what the chain holds."""

import hypothesis
from hypothesis import strategies

from billing.domain import ledger

units = strategies.integers(0, 2**96)


amounts = strategies.integers(-(10**9), 10**9)


@hypothesis.given(
    billed=strategies.builds(
        ledger.Billed,
        total_cents=amounts,
        tax_cents=amounts,
        credits_cents=amounts,
        deposit_cents=amounts,
        budget_cents=amounts,
        paid_before_cents=amounts,
    )
)
def test_a_bill_is_balanced(billed: ledger.Billed) -> None:
    postings = ledger.bill_issued(currency="USD", billed=billed)
    assert ledger.is_balanced(postings)
    sums = {posting.code: posting.amount for posting in postings}
    assert sums.get(ledger.Code.RECEIVABLE, 0) == max(0, billed.total_cents) - billed.paid_before_cents
    assert sums.get(ledger.Code.TAX_PAYABLE, 0) == -billed.tax_cents
    charged = billed.total_cents - billed.credits_cents - billed.deposit_cents - billed.budget_cents
    assert sums.get(ledger.Code.REVENUE, 0) == billed.tax_cents + billed.paid_before_cents - charged


@hypothesis.given(cents=units)
def test_credits_and_deposits_are_balanced_and_owed_to_the_account(cents: int) -> None:
    for postings, code in (
        (ledger.credit_given(currency="USD", amount_cents=cents), ledger.Code.CUSTOMER_CREDIT),
        (ledger.deposit_taken(currency="USD", amount_cents=cents), ledger.Code.DEPOSIT),
    ):
        assert ledger.is_balanced(postings)
        assert sum(posting.amount for posting in postings if posting.code is code) == -cents


@hypothesis.given(
    cents=units, amount=units, fee=units, gas=units, fee_token=strategies.sampled_from([None, "1:A", "1:B"])
)
def test_a_payment_is_balanced_and_the_treasury_gets_amount_and_fee(
    cents: int, amount: int, fee: int, gas: int, fee_token: str | None
) -> None:
    postings = ledger.payment_made(
        currency="USD",
        amount_cents=cents,
        token="1:A",
        amount_units=amount,
        fee_token=fee_token,
        fee_units=fee,
        native="1:wei",
        gas_cost_wei=gas,
    )
    assert ledger.is_balanced(postings)
    held = {
        token: sum(p.amount for p in postings if (p.code, p.commodity) == (ledger.Code.TREASURY, token))
        for token in ("1:A", "1:B")
    }
    assert held == ({"1:A": amount, "1:B": fee} if fee_token == "1:B" else {"1:A": amount + fee, "1:B": 0})
    assert all(p.amount for p in postings)


@hypothesis.given(amount=units, gas=units)
def test_payouts_are_balanced_and_leave_the_program_treasury(amount: int, gas: int) -> None:
    postings = ledger.payouts_made(token="1:A", amount_units=amount, native="1:wei", gas_cost_wei=gas)
    assert ledger.is_balanced(postings)
    by_code = {posting.code: posting.amount for posting in postings}
    assert by_code.get(ledger.Code.PROGRAM_TREASURY, 0) == -amount
    assert by_code.get(ledger.Code.GAS_EXPENSE, 0) == gas


def test_balance_is_asked_of_each_commodity() -> None:
    debit = ledger.Posting(ledger.Code.TREASURY, "1:A", 5)
    assert not ledger.is_balanced((debit, ledger.Posting(ledger.Code.CONVERSION, "1:B", -5)))
    assert ledger.is_balanced((debit, ledger.Posting(ledger.Code.CONVERSION, "1:A", -5)))
