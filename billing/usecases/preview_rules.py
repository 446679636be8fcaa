"""What an account's last bill would be under a rule that is not saved yet; nothing is written."""

import collections
import dataclasses
import datetime

from billing import models
from billing.domain import bill, rules
from billing.usecases import adjust_bill, issue_bill
from customers import models as customer_models
from openvpp.core import errors


class UnableToPreview(errors.UnableTo):
    """There is no bill to show the rule on; the detail says why."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The last bill of an account as the rules stand and with the new one: totals, and sums by the words of lines."""

    bill: models.Bill
    now_nano: int
    then_nano: int
    rows: tuple[tuple[str, int, int], ...]


def preview(*, utility_id: int, account_number: str, change: "Change") -> Preview:
    """Price the readings of an account's last bill twice; the new rule is taken to hold on all of its days.

    :raises UnableToPreview: no such account, no bill rated here, or its readings cannot be priced again.
    """
    account: customer_models.CustomerAccount | None = (
        customer_models.CustomerAccount.objects.of_utility(utility_id).filter(number=account_number).first()
    )
    if account is None:
        raise UnableToPreview(f"There is no account {account_number}.", code="no_account")
    last = (
        account.bills.filter(source=models.Bill.Source.RATED)
        .exclude(state=models.Bill.State.CANCELLED)
        .order_by("-ends_on")
        .first()
    )
    if last is None:
        raise UnableToPreview(f"Account {account_number} has no bill that was rated here.", code="no_bill")
    books = adjust_bill.read(
        utility_id=utility_id, starts_on=last.starts_on, ends_on=last.ends_on, account_ids=[account.pk]
    )
    books = dataclasses.replace(books, credits_left={}, plans={}, prepaid_nano={})
    try:
        now, then = (
            issue_bill.rate_account(account=account, starts_on=last.starts_on, ends_on=last.ends_on, books=each)
            for each in (books, change.apply(books=books, account_id=account.pk))
        )
    except errors.UnableTo as error:
        raise UnableToPreview(error.detail, code=error.code) from error
    before, after = _by_label(now), _by_label(then)
    rows = tuple((label, before.get(label, 0), after.get(label, 0)) for label in {**before, **after})
    return Preview(bill=last, now_nano=now.total_nano, then_nano=then.total_nano, rows=rows)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One rule in place of every version of its code."""

    rule: rules.Rider | rules.Discount | rules.Tax
    jurisdiction_id: int = 0

    def apply(self, *, books: adjust_bill.Rulebooks, account_id: int) -> adjust_bill.Rulebooks:
        """Return the books with the rule, always in force; a discount is given to the account as if it were in it."""
        rule = dataclasses.replace(self.rule, starts_on=datetime.date.min, ends_on=None)
        match rule:
            case rules.Rider():
                return dataclasses.replace(books, riders=(*_without(books.riders, rule), rule))
            case rules.Tax():
                own = (*_without(books.taxes.get(self.jurisdiction_id, ()), rule), rule)
                return dataclasses.replace(books, taxes={**books.taxes, self.jurisdiction_id: own})
            case _:
                given = (*_without(books.discounts.get(account_id, ()), rule), rule)
                return dataclasses.replace(books, discounts={**books.discounts, account_id: given})


def _without[R: rules.Rule](found: tuple[R, ...], rule: rules.Rule) -> tuple[R, ...]:
    return tuple(each for each in found if each.code != rule.code)


def _by_label(found: issue_bill.RatedAccount) -> dict[str, int]:
    sums: dict[str, int] = collections.defaultdict(int)
    for span in found.spans:
        for line in (*span.rated.lines, *span.added):
            sums["Rounding" if line.kind is bill.LineKind.ROUNDING else line.label] += line.amount_nano
    return dict(sums)
