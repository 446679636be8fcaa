"""A utility's rules, read once for many accounts, become the lines that adjust and settle their bills."""

import collections
import dataclasses
import datetime
import decimal
import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from django.db.models import F, Q, Sum

from billing import models
from billing.domain import adjustments, bill, rules, settlement, statements, terms
from customers import models as customer_models
from openvpp.core import db

_MICRO, _NANO = 6, 9
_BUDGET, _PREPAID = bill.LineKind.BUDGET.value, bill.LineKind.PREPAID.value


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """A budget plan as far as one bill needs it."""

    starts_on: datetime.date
    ends_on: datetime.date
    instalment_nano: int
    settlement_month: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rulebooks:
    """All that adjusts the bills of some accounts of a utility over some days, by account and service point."""

    riders: tuple[rules.Rider, ...]
    taxes: Mapping[int, tuple[rules.Tax, ...]]
    places: Mapping[int, tuple[tuple[int, statements.Days], ...]]
    own_riders: Mapping[int, tuple[rules.Rider, ...]]
    discounts: Mapping[int, tuple[rules.Discount, ...]]
    exemptions: Mapping[int, tuple[rules.Exemption, ...]]
    credits_left: Mapping[int, tuple[settlement.Credit, ...]]
    plans: Mapping[int, tuple[_Plan, ...]]
    deferred_nano: Mapping[int, int]
    prepaid_nano: Mapping[int, int]

    def at(self, *, account_id: int, service_point_id: int, is_main: bool = True) -> rules.Rulebook:
        """Return what adjusts a span of an account at a service point.

        What an account has once, however many points it has (a charge for paying in advance, a flat discount, an
        allowance), is on its main point.
        """
        discounts = self.discounts.get(account_id, ())
        return rules.Rulebook(
            riders=(*self.riders, *self.own_riders.get(account_id, ())) if is_main else self.riders,
            discounts=tuple(each for each in discounts if is_main or each.basis is rules.Basis.PERCENT),
            taxes=tuple(
                part
                for jurisdiction_id, days in self.places.get(service_point_id, ())
                for tax in self.taxes.get(jurisdiction_id, ())
                if (part := _within(rule=tax, days=days)) is not None
            ),
            exemptions=self.exemptions.get(account_id, ()),
        )

    def as_always(self, *, account_id: int, service_point_id: int, is_main: bool = True) -> rules.Rulebook:
        """Return what adjusts a span, as if it had always been and would always be in force: to price other days."""
        book = self.at(account_id=account_id, service_point_id=service_point_id, is_main=is_main)
        return rules.Rulebook(
            riders=tuple(_always(rule) for rule in book.riders),
            discounts=tuple(_always(rule) for rule in book.discounts),
            taxes=tuple(_always(rule) for rule in book.taxes),
            exemptions=tuple(_always(exemption) for exemption in book.exemptions),
        )

    def charge(
        self,
        *,
        rated: bill.RatedBill,
        account_id: int,
        service_point_id: int,
        tariff_code: str,
        reading: terms.Terms,
        is_main: bool = True,
    ) -> tuple[bill.Line, ...]:
        """Return the lines that riders, discounts and taxes add to a rated span; with its own they are whole cents."""
        return adjustments.charge(
            lines=rated.lines,
            usage=rated.usage,
            period=rated.period,
            tariff_code=tariff_code,
            reading=reading,
            book=self.at(account_id=account_id, service_point_id=service_point_id, is_main=is_main),
        )

    def settle(
        self,
        *,
        account_id: int,
        charged_nano: int,
        ends_on: datetime.date,
        taken_over: Sequence[bill.Line] = (),
    ) -> settlement.Settled:
        """Return what credits, budget billing and prepayment make of an account's bill that ends before `ends_on`."""
        return settlement.settle(
            charged_nano=charged_nano,
            credits_left=self.credits_left.get(account_id, ()),
            budget=self._budget(account_id=account_id, ends_on=ends_on),
            taken_over=taken_over,
            prepaid_nano=self.prepaid_nano.get(account_id, 0),
        )

    def _budget(self, *, account_id: int, ends_on: datetime.date) -> settlement.Budget | None:
        last_day = ends_on - datetime.timedelta(days=1)
        deferred = self.deferred_nano.get(account_id, 0)
        for plan in self.plans.get(account_id, ()):
            is_over = plan.ends_on <= ends_on
            if plan.starts_on <= last_day and (not is_over or deferred):
                return settlement.Budget(
                    code="BUDGET",
                    version=plan.starts_on,
                    instalment_nano=plan.instalment_nano,
                    deferred_nano=deferred,
                    settles=is_over or last_day.month == plan.settlement_month,
                )
        return None


def read(
    *, utility_id: int, starts_on: datetime.date, ends_on: datetime.date, account_ids: Collection[int] | None = None
) -> Rulebooks:
    """Return what adjusts bills of the local days `[starts_on, ends_on)`, of these accounts or of all of a utility.

    A version of a rule ends where the next of its code begins, a budget plan where the account takes no service any
    more. What bills of later days deferred is not counted: they keep it when an earlier one is corrected. The number
    of reads does not depend on how many accounts there are.
    """
    days = statements.Days(starts_on, ends_on)

    def rows(model: Any) -> Any:
        found = model.objects.of_utility(utility_id)
        return found if account_ids is None else found.filter(account_id__in=db.any_of(account_ids))

    in_period = Q(starts_on__lt=ends_on) & (Q(ends_on__isnull=True) | Q(ends_on__gt=starts_on))
    programs: dict[str, list[rules.Discount]] = collections.defaultdict(list)
    for program in _versions(model=models.DiscountProgram, utility_id=utility_id, days=days):
        programs[program.code].append(to_discount(row=program))
    plans = _plans(rows=rows(models.BudgetPlan).filter(starts_on__lt=ends_on).order_by("-starts_on"))
    deposits = {
        account_id: _scaled(amount, _NANO)
        for account_id, amount in rows(models.PrepaidDeposit)
        .filter(paid_on__lt=ends_on)
        .order_by()
        .values_list("account_id")
        .annotate(Sum("amount"))
    }
    drawn = _billed(kind=_PREPAID, account_ids=list(deposits))
    return Rulebooks(
        riders=tuple(to_rider(row=row) for row in _versions(model=models.Rider, utility_id=utility_id, days=days)),
        taxes=_grouped(
            (row.jurisdiction_id, to_tax(row=row))
            for row in _versions(model=models.Tax, utility_id=utility_id, days=days)
        ),
        places=_grouped(
            (row.service_point_id, (row.jurisdiction_id, statements.Days(row.starts_on, row.ends_on)))
            for row in _places(utility_id=utility_id, account_ids=account_ids).filter(in_period)
        ),
        own_riders=_grouped(
            (row.account_id, _prepay_rider(row=row))
            for row in rows(models.PrepayPlan).filter(in_period, daily_charge__gt=0)
        ),
        discounts=_grouped(
            (row.account_id, part)
            for row in rows(models.DiscountEnrollment).filter(in_period)
            for discount in programs[row.program_code]
            if (part := _within(rule=discount, days=statements.Days(row.starts_on, row.ends_on))) is not None
        ),
        exemptions=_grouped(
            (row.account_id, to_exemption(row=row)) for row in rows(models.TaxExemption).filter(in_period)
        ),
        credits_left=_credits(
            rows=rows(models.AccountCredit).filter(Q(given_on__lt=ends_on) | Q(from_bill__isnull=False))
        ),
        plans=plans,
        deferred_nano={
            account_id: -amount
            for account_id, amount in _billed(kind=_BUDGET, account_ids=list(plans), before=ends_on).items()
        },
        prepaid_nano={account_id: amount + drawn.get(account_id, 0) for account_id, amount in deposits.items()},
    )


def read_balances(*, account_ids: Collection[int]) -> dict[int, tuple[settlement.Credit, ...]]:
    """Return what earlier bills of accounts left them, as far as it is not used: the oldest first, by account."""
    rows = models.AccountCredit.objects.filter(account_id__in=db.any_of(account_ids), from_bill__isnull=False)
    return _credits(rows=rows)


def to_rider(*, row: models.Rider) -> rules.Rider:
    """Return a rider as rating reads it."""
    return rules.Rider(
        **_version(row),
        measure=rules.Measure(row.measure),
        tariff_codes=frozenset(code.strip() for code in row.tariff_codes.split(",") if code.strip()),
    )


def to_tax(*, row: models.Tax) -> rules.Tax:
    """Return a tax as rating reads it."""
    return rules.Tax(
        **_version(row),
        jurisdiction=row.jurisdiction.name,
        measure=rules.Measure(row.measure),
        stage=row.stage,
        taxes_credits=row.taxes_credits,
    )


def to_discount(*, row: models.DiscountProgram) -> rules.Discount:
    """Return a version of a discount program as rating reads it."""
    allowance, most = row.allowance_kwh_per_day, row.most_per_month
    return rules.Discount(
        **_version(row),
        allowance_milliwh_per_day=None if allowance is None else _scaled(allowance, _MICRO),
        most_nano=None if most is None else _scaled(most, _NANO),
    )


def to_exemption(*, row: models.TaxExemption) -> rules.Exemption:
    """Return an exemption as rating reads it."""
    return rules.Exemption(
        tax_code=row.tax_code, starts_on=row.starts_on, ends_on=row.ends_on, share_micro=_scaled(row.percent, 4)
    )


def _prepay_rider(*, row: models.PrepayPlan) -> rules.Rider:
    return rules.Rider(
        code="PREPAY",
        name="Paying in advance",
        version=row.starts_on,
        starts_on=row.starts_on,
        ends_on=row.ends_on,
        basis=rules.Basis.DAY,
        price_nano=_scaled(row.daily_charge, _NANO),
    )


def _version(row: Any) -> dict[str, Any]:
    return {
        "code": row.code,
        "name": row.name,
        "version": row.effective_from,
        "starts_on": row.effective_from,
        "ends_on": row.effective_until,
        "basis": rules.Basis(row.basis),
        "price_nano": _scaled(row.price, _NANO),
        "percent_micro": _scaled(row.percent, 4),
        "bases": frozenset(rules.Base(base) for base in row.bases),
    }


def _versions(*, model: Any, utility_id: int, days: statements.Days) -> list[Any]:
    """Return the versions that count on some of the days, each ended by the next of its code (in memory only)."""
    found = model.objects.of_utility(utility_id).filter(effective_from__lt=days.ends_on)
    if model is models.Tax:
        found = found.select_related("jurisdiction")
    rows: list[Any] = list(found.order_by("code", "effective_from"))
    for row, following in itertools.pairwise(rows):
        if following.code == row.code:
            row.effective_until = min(row.effective_until or following.effective_from, following.effective_from)
    return [row for row in rows if row.effective_until is None or row.effective_until > days.starts_on]


def _within[R: rules.Rule](*, rule: R, days: statements.Days) -> R | None:
    both = statements.Days(rule.starts_on, rule.ends_on).within(days)
    return None if both is None else dataclasses.replace(rule, starts_on=both.starts_on, ends_on=both.ends_on)


def _always[R: (rules.Rider, rules.Discount, rules.Tax, rules.Exemption)](rule: R) -> R:
    return dataclasses.replace(rule, starts_on=datetime.date.min, ends_on=None)


def _credits(*, rows: Any) -> dict[int, tuple[settlement.Credit, ...]]:
    counted = Sum("uses__amount_nano", filter=~Q(uses__bill__state=models.Bill.State.CANCELLED))
    left = (
        (row.account_id, row, _scaled(row.amount - row.withdrawn, _NANO) - (row.used_nano or 0))
        for row in rows.annotate(used_nano=counted).order_by("given_on", "pk")
    )
    return _grouped(
        (
            account_id,
            settlement.Credit(
                reference=row.pk,
                label=row.label,
                left_nano=left_nano,
                is_refunded=row.is_refunded,
                is_balance=row.from_bill_id is not None,
            ),
        )
        for account_id, row, left_nano in left
        if left_nano > 0
    )


def _plans(*, rows: Any) -> dict[int, tuple[_Plan, ...]]:
    plans = list(rows)
    if not plans:
        return {}
    agreements = customer_models.ServiceAgreement.objects.filter(
        account_id__in=db.any_of([row.account_id for row in plans])
    )
    ends: dict[int, list[datetime.date]] = collections.defaultdict(list)
    for account_id, ends_on in agreements.order_by().values_list("account_id", "ends_on"):
        ends[account_id].append(ends_on or datetime.date.max)
    return _grouped(
        (
            row.account_id,
            _Plan(
                starts_on=row.starts_on,
                ends_on=min(row.ends_on or datetime.date.max, max(ends[row.account_id], default=datetime.date.max)),
                instalment_nano=_scaled(row.instalment, _NANO),
                settlement_month=row.settlement_month,
            ),
        )
        for row in plans
    )


def _billed(*, kind: str, account_ids: Sequence[int], before: datetime.date | None = None) -> dict[int, int]:
    """Return the sum of the lines of a kind on some accounts' standing bills, of those that start `before` a day."""
    if not account_ids:
        return {}
    lines = models.BillLine.objects.filter(bill__account_id__in=account_ids, kind=kind).exclude(
        bill__state=models.Bill.State.CANCELLED
    )
    if before is not None:
        lines = lines.filter(bill__starts_on__lt=before)
    sums = lines.order_by().values_list(F("bill__account_id")).annotate(Sum("amount_nano"))
    return {account_id: int(amount) for account_id, amount in sums}


def _places(*, utility_id: int, account_ids: Collection[int] | None) -> Any:
    places = models.TaxedPlace.objects.of_utility(utility_id)
    if account_ids is None:
        return places
    agreements = customer_models.ServiceAgreement.objects.filter(account_id__in=db.any_of(account_ids))
    return places.filter(service_point_id__in=agreements.values("service_point_id"))


def _grouped[V](pairs: Iterable[tuple[int, V]]) -> dict[int, tuple[V, ...]]:
    found: dict[int, list[V]] = collections.defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return {key: tuple(values) for key, values in found.items()}


def _scaled(value: decimal.Decimal, digits: int) -> int:
    return int(value.scaleb(digits))
