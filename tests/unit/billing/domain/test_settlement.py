"""What settles a bill: credits, prepayments and budgets, by hand and for all of them."""

import dataclasses
import datetime
import os

from hypothesis import given, settings
from hypothesis import strategies as st

from billing.domain import settlement

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "100"))
NANO = 10**9
CENT = 10**7
NEW_YEAR = datetime.date(2026, 1, 1)


@given(
    charged=st.lists(st.integers(-50_000, 50_000), min_size=1, max_size=14),
    instalment=st.integers(0, 30_000),
    credit=st.integers(0, 40_000),
    prepaid=st.integers(0, 40_000),
    with_budget=st.booleans(),
    is_balance=st.booleans(),
)
@settings(max_examples=EXAMPLES, deadline=None)
def test_nothing_is_lost_in_settling(
    charged: list[int], instalment: int, credit: int, prepaid: int, *, with_budget: bool, is_balance: bool
) -> None:
    credit_left, prepaid_left, deferred, paid = credit * CENT, prepaid * CENT, 0, 0
    for month, cents in enumerate(charged):
        plan = settlement.Budget(
            code="BUDGET",
            version=NEW_YEAR,
            instalment_nano=instalment * CENT,
            deferred_nano=deferred,
            settles=month == len(charged) - 1,
        )
        settled = settlement.settle(
            charged_nano=cents * CENT,
            credits_left=[settlement.Credit(reference=7, label="Kept", left_nano=credit_left, is_balance=is_balance)],
            budget=plan if with_budget else None,
            prepaid_nano=prepaid_left,
        )
        paid += cents * CENT + sum(line.amount_nano for line in settled.lines)
        credit_left -= sum(taken for _, taken in settled.used)
        prepaid_left, deferred = settled.prepaid_left_nano, settled.deferred_nano
        assert min(credit_left, prepaid_left) >= 0
        comes_to = cents * CENT + sum(line.amount_nano for line in settled.lines)
        assert settled.carried_nano == credit_left + max(0, -comes_to)
        assert settled.brought_nano == (sum(taken for _, taken in settled.used) if is_balance else 0)
    assert deferred == 0
    assert paid + (credit * CENT - credit_left) + (prepaid * CENT - prepaid_left) == sum(charged) * CENT


def test_a_year_of_levelized_bills() -> None:
    charged = [180, 170, 140, 100, 80, 90, 130, 140, 110, 80, 100, 160]
    instalment = settlement.propose_instalment(charged_nano=[amount * NANO for amount in charged])
    assert instalment == 124 * NANO  # 1,480 over 12 is 123.33, up to a whole unit
    deferred, due = 0, []
    for month, amount in enumerate(charged):
        settled = settlement.settle(
            charged_nano=amount * NANO,
            budget=settlement.Budget(
                code="B", version=NEW_YEAR, instalment_nano=instalment, deferred_nano=deferred, settles=month == 11
            ),
        )
        deferred = settled.deferred_nano
        due.append(amount + sum(line.amount_nano for line in settled.lines) // NANO)
    assert due == [124] * 11 + [1480 - 11 * 124]
    assert deferred == 0


def test_a_credit_waits_for_the_next_bill_or_goes_below_zero() -> None:
    credit = settlement.Credit(reference=3, label="Goodwill", left_nano=50 * NANO)
    kept = settlement.settle(charged_nano=20 * NANO, credits_left=[credit])
    given_back = settlement.settle(charged_nano=20 * NANO, credits_left=[dataclasses.replace(credit, is_refunded=True)])
    assert kept.used == ((3, 20 * NANO),)
    assert [line.amount_nano for line in given_back.lines] == [-50 * NANO]


def test_the_second_credit_gives_what_the_first_leaves() -> None:
    credits_left = [settlement.Credit(reference=number, label="Credit", left_nano=80 * NANO) for number in (1, 2)]
    settled = settlement.settle(charged_nano=100 * NANO, credits_left=credits_left, prepaid_nano=50 * NANO)
    assert settled.used == ((1, 80 * NANO), (2, 20 * NANO))
    assert settled.prepaid_left_nano == 50 * NANO
