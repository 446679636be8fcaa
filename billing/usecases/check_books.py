"""The books against the chain: what customers paid is booked once, and nothing is booked that is not there."""

import dataclasses
from collections.abc import Mapping

from billing import models, queries
from billing.adapters import chain
from billing.domain import bill, ledger
from customers import models as customer_models
from openvpp.core import db


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One token of one utility, in base units.

    `received_units` is what the token's own `Transfer` logs say came from the utility's wallets into its treasury;
    `unbooked` are those logs that no payment counted, `missing` counted logs that the chain does not show.
    `paid_out_units` left the utility's program treasuries on the chain, `booked_out_units` did so in the books.
    """

    utility: str
    token: str
    booked_units: int
    counted_units: int
    received_units: int
    balance_units: int
    paid_out_units: int
    booked_out_units: int
    unbooked: tuple[chain.TransferLog, ...]
    missing: tuple[tuple[str, int], ...]

    @property
    def holds(self) -> bool:
        """Say whether books, counted logs and chain are equal to the unit, log by log."""
        equal = self.booked_units == self.counted_units == self.received_units
        equal = equal and self.booked_out_units == self.paid_out_units
        return equal and not self.unbooked and not self.missing


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RowComparison:
    """One account of the books against the rows behind it, in cents; `wrong` are accounts where they differ."""

    utility: str
    code: str
    booked_cents: int
    expected_cents: int
    wrong: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Say whether books and rows are equal to the cent, account by account."""
        return not self.wrong


def check_rows(*, utility_id: int) -> list[RowComparison]:
    """Compare what the books say of each customer account with its bills, credits, deposits and budget billing."""
    utility = customer_models.Utility.objects.get(pk=utility_id)
    codes, kinds = ledger.Code, bill.LineKind
    credited = queries.get_given_by_account(utility_id=utility_id, model=models.AccountCredit)
    used = queries.get_used_by_account(utility_id=utility_id)
    deposited = queries.get_given_by_account(utility_id=utility_id, model=models.PrepaidDeposit)
    drawn = queries.get_lines_by_account(utility_id=utility_id, kinds=[kinds.PREPAID])
    deferred = queries.get_lines_by_account(utility_id=utility_id, kinds=[kinds.BUDGET])
    return [
        _compare_rows(utility, codes.RECEIVABLE, queries.get_asked_by_account(utility_id=utility_id)),
        _compare_rows(utility, codes.CUSTOMER_CREDIT, _less(used, credited)),
        _compare_rows(utility, codes.DEPOSIT, _less({}, _less(deposited, _less({}, drawn)))),
        _compare_rows(utility, codes.BUDGET, _less({}, deferred)),
    ]


def _less(amounts: Mapping[int, int], taken: Mapping[int, int]) -> dict[int, int]:
    return {key: amounts.get(key, 0) - taken.get(key, 0) for key in {*amounts, *taken}}


def _compare_rows(
    utility: customer_models.Utility, code: ledger.Code, expected_cents: Mapping[int, int]
) -> RowComparison:
    booked = queries.get_booked_by_account(utility_id=utility.pk, code=code.value, currency=utility.currency)
    differing = [account_id for account_id, cents in _less(booked, expected_cents).items() if cents]
    numbers = customer_models.CustomerAccount.objects.filter(pk__in=differing).order_by("number")
    return RowComparison(
        utility=utility.slug,
        code=code.value,
        booked_cents=sum(booked.values()),
        expected_cents=sum(expected_cents.values()),
        wrong=tuple(numbers.values_list("number", flat=True)),
    )


@db.durable
def check_books(*, utility_id: int) -> list[Comparison]:
    """Compare a utility's books with the chain, token by token, up to the last final block.

    :raises errors.Unreachable: no node answered.
    """
    utility = customer_models.Utility.objects.get(pk=utility_id)
    head = chain.final_block(chain_id=utility.chain_id)
    return [
        _compare(utility=utility, token=token, head=head)
        for token in customer_models.AcceptedToken.objects.of_utility(utility_id).order_by("symbol")
    ]


def _compare(*, utility: customer_models.Utility, token: customer_models.AcceptedToken, head: int) -> Comparison:
    counted = {
        (transfer.transaction_hash, transfer.log_index): transfer.units
        for transfer in models.ProvenTransfer.objects.of_utility(utility.pk).filter(
            token=token.address, recipient=utility.treasury_address
        )
    }
    wallets = set(queries.get_paying_addresses(utility_id=utility.pk))
    received = {
        (log.transaction_hash, log.log_index): log
        for log in chain.read_transfers(
            chain_id=utility.chain_id, token=token.address, recipient=utility.treasury_address, last_block=head
        )
        if log.sender in wallets
    }
    commodity = ledger.token_commodity(chain_id=utility.chain_id, address=token.address)
    balances = queries.get_balances(utility_id=utility.pk)
    return Comparison(
        utility=utility.slug,
        token=token.symbol,
        booked_units=balances.get((ledger.Code.TREASURY.value, commodity), 0),
        counted_units=sum(counted.values()),
        received_units=sum(log.units for log in received.values()),
        balance_units=chain.read_balance(
            chain_id=utility.chain_id, token=token.address, holder=utility.treasury_address
        ),
        paid_out_units=sum(
            log.units
            for sender in queries.get_treasury_addresses(utility_id=utility.pk)
            for log in chain.read_transfers(
                chain_id=utility.chain_id, token=token.address, sender=sender, last_block=head
            )
        ),
        booked_out_units=-balances.get((ledger.Code.PROGRAM_TREASURY.value, commodity), 0),
        unbooked=tuple(log for key, log in received.items() if key not in counted),
        missing=tuple(key for key in counted if key not in received),
    )
