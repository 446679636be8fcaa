"""A run's drafts are the bills that `issue_bill` would write, line for line, whichever way they were made."""

import datetime
import json
from typing import Any

import numpy as np
import pytest

from billing import models
from billing.domain import packed_lines
from billing.usecases import adjust_bill, draft_bills, draft_lots, import_tariff, issue_bill
from customers import models as customer_models
from meters.domain import units
from tests.factories import customers, readings

MARCH, APRIL = datetime.date(2026, 3, 1), datetime.date(2026, 4, 1)  # has a day of 23 hours
NOW = datetime.datetime(2026, 4, 2, 12, tzinfo=datetime.UTC)
HOURS = [[0] * 7 + [1] * 14 + [0] * 3] * 12


def sheet(**fields: Any) -> str:
    rate = {
        "label": "test",
        "name": "test",
        "energyratestructure": [
            [{"rate": 0.1, "max": 300}, {"rate": 0.1234567, "sell": 0.03}],
            [{"rate": 0.31, "sell": 0.05}],
        ],
        "energyweekdayschedule": HOURS,
        "energyweekendschedule": [[0] * 24] * 12,
        "fixedchargefirstmeter": 9.5,
    }
    return json.dumps(rate | fields)


SHEETS: dict[str, dict[str, Any]] = {
    "RES": {},
    "NET": {"dgrules": "Net Billing Instantaneous"},
    "BIZ": {
        "flatdemandstructure": [[{"rate": 7.25, "max": 5}, {"rate": 9}]],
        "flatdemandmonths": [0] * 12,
        "lookbackpercent": 0.8,
        "lookbackmonths": [True] * 12,
        "lookbackrange": 11,
    },
    "MIN": {"mincharge": 400, "minchargeunits": "$/month"},
    "WIN": {
        "flatdemandstructure": [[{"rate": 7.25}]],
        "flatdemandmonths": [0] * 12,
        "demandwindow": 30,
    },
}


@pytest.fixture
def utility(transactional_db: None) -> customer_models.Utility:
    made: customer_models.Utility = customers.Utility.create()
    for code, fields in SHEETS.items():
        import_tariff.import_tariff(
            utility_id=made.pk, code=code, text=sheet(**fields), effective_from=datetime.date(2025, 1, 1), now=NOW
        )
    return made


def serve(
    utility: customer_models.Utility,
    code: str = "RES",
    starts_on: datetime.date = datetime.date(2025, 1, 1),
    **kwargs: Any,
) -> customer_models.ServiceAgreement:
    made: customer_models.ServiceAgreement = customers.ServiceAgreement.create(
        account__utility=utility, tariff_code=code, starts_on=starts_on, **kwargs
    )
    return made


def use(agreement: customer_models.ServiceAgreement, seed: int, **kwargs: Any) -> None:
    values = np.random.default_rng(seed).integers(0, 900, 3000) * 1000
    fields: dict[str, Any] = {"first": MARCH, "after": APRIL, "milli_wh": values} | kwargs
    readings.store(agreement=agreement, **fields)


def draft(
    utility: customer_models.Utility, starts_on: datetime.date = MARCH, ends_on: datetime.date = APRIL, **kwargs: Any
) -> tuple[models.BillRun, draft_bills.Progress]:
    return draft_bills.draft_bills(utility_id=utility.pk, starts_on=starts_on, ends_on=ends_on, now=NOW, **kwargs)


def spans_of(drafted: models.BillDraft) -> list[packed_lines.Span]:
    wanted = packed_lines.layouts_in(bytes(drafted.spans))
    layouts = {
        row.pk: packed_lines.Layout.from_json(row.content) for row in models.LineLayout.objects.filter(pk__in=wanted)
    }
    return packed_lines.unpack(packed=bytes(drafted.spans), layouts=layouts)


def check_same(run: models.BillRun) -> None:
    """Compare every draft with what its account alone is rated to."""
    for drafted in models.BillDraft.objects.filter(run=run):
        books = adjust_bill.read(
            utility_id=run.utility_id, starts_on=run.starts_on, ends_on=run.ends_on, account_ids=[drafted.account_id]
        )
        alone = issue_bill.rate_account(
            account=drafted.account, starts_on=run.starts_on, ends_on=run.ends_on, books=books
        )
        spans = spans_of(drafted)
        assert [span.lines for span in spans[: len(alone.spans)]] == [
            (*each.rated.lines, *each.added) for each in alone.spans
        ]
        assert [line for span in spans[len(alone.spans) :] for line in span.lines] == list(alone.settled.lines)
        for span, each in zip(spans, alone.spans, strict=False):
            assert (span.usage, span.carried_milliwh) == (each.rated.usage, each.rated.carried_milliwh)
            assert span.layout.omissions == each.rated.omissions
            assert (span.layout.starts_on, span.layout.ends_on) == (each.span.days.starts_on, each.span.days.ends_on)
        assert drafted.total_cents * 10**7 == alone.total_nano


def test_a_run_drafts_what_each_account_alone_would_be_billed(utility: customer_models.Utility) -> None:
    for seed, code in enumerate(["RES", "RES", "NET", "BIZ", "MIN"]):
        use(serve(utility, code), seed)
    solar = serve(utility)
    use(solar, 10)
    use(solar, 11, flow=units.Flow.RECEIVED, milli_wh=np.random.default_rng(5).integers(0, 900, 3000) * 700)
    netted = serve(utility, "NET")
    use(netted, 12, flow=units.Flow.NET, milli_wh=np.random.default_rng(6).integers(-900, 900, 3000) * 1000)
    behind_transformer = serve(utility, "BIZ")
    customers.MeterInstallation.create(service_point=behind_transformer.service_point, multiplier=40)
    use(behind_transformer, 13, interval_seconds=3600)
    two = serve(utility)
    use(two, 14)
    use(serve(utility, "MIN", account=two.account), 15)

    run, progress = draft(utility)

    assert (progress.together, progress.alone, progress.impossible) == (9, 0, 0)
    assert run.state == models.BillRun.State.DRAFTED
    assert models.BillDraft.objects.filter(run=run).count() == 9
    check_same(run)


def test_what_cannot_go_together_goes_alone_and_says_why(utility: customer_models.Utility) -> None:
    moved_in = serve(utility, starts_on=datetime.date(2026, 3, 11))
    use(moved_in, 1)
    use(serve(utility, "WIN"), 2)
    mixed = serve(utility)
    use(mixed, 3, after=datetime.date(2026, 3, 10))
    use(mixed, 4, first=datetime.date(2026, 3, 10), interval_seconds=1800)

    run, progress = draft(utility)

    assert (progress.together, progress.alone) == (0, 3)
    reasons = list(
        models.BillDraft.objects.filter(run=run).order_by("account_id").values_list("rated_alone", flat=True)
    )
    assert reasons == [draft_lots.Alone.MOVED, draft_lots.Alone.TARIFF, draft_lots.Alone.READINGS]
    check_same(run)


def test_a_tariff_that_changes_inside_the_period(utility: customer_models.Utility) -> None:
    import_tariff.import_tariff(
        utility_id=utility.pk,
        code="NET",
        text=sheet(fixedchargefirstmeter=20, dgrules="Net Billing Instantaneous"),
        effective_from=datetime.date(2026, 3, 12),
        now=NOW,
    )
    use(serve(utility, "NET"), 1)
    solar = serve(utility, "NET")
    use(solar, 2)
    use(solar, 3, flow=units.Flow.RECEIVED)

    run, progress = draft(utility)

    assert (progress.together, progress.alone) == (2, 0)
    assert [len(spans_of(drafted)) for drafted in models.BillDraft.objects.filter(run=run)] == [2, 2]
    check_same(run)


def test_a_period_over_two_months_that_remembers_the_bills_before(utility: customer_models.Utility) -> None:
    first, middle, after = datetime.date(2026, 1, 20), datetime.date(2026, 2, 12), datetime.date(2026, 3, 16)
    solar, business = serve(utility), serve(utility, "BIZ")
    for agreement in (solar, business):
        use(agreement, 1, first=first, after=after)
    use(solar, 2, first=first, after=after, flow=units.Flow.RECEIVED, milli_wh=[1_500_000])
    for agreement in (solar, business):
        issue_bill.issue_bill(account_id=agreement.account_id, starts_on=first, ends_on=middle, now=NOW)
    carried = models.Bill.objects.get(account=solar.account).rating[0]["carried_milliwh"]
    assert carried

    run, progress = draft(utility, middle, after)

    assert (progress.together, progress.alone) == (2, 0)
    check_same(run)
    previous = models.BillDraft.objects.get(account=business.account).previous_cents
    assert previous == models.Bill.objects.get(account=business.account).amount_due_cents


def test_what_cannot_be_billed_is_listed_and_tried_again(utility: customer_models.Utility) -> None:
    good, gap, no_tariff, billed, overlapped = (serve(utility, code) for code in ["RES", "RES", "GONE", "RES", "RES"])
    for seed, agreement in enumerate([good, no_tariff, billed, overlapped]):
        use(agreement, seed)
    use(gap, 9, missing=[100])
    issue_bill.issue_bill(account_id=billed.account_id, starts_on=MARCH, ends_on=APRIL, now=NOW)
    issue_bill.issue_bill(account_id=overlapped.account_id, starts_on=MARCH, ends_on=datetime.date(2026, 3, 9), now=NOW)

    run, progress = draft(utility)

    assert (progress.together, progress.alone, progress.billed, progress.impossible) == (1, 0, 1, 3)
    exceptions = {row.account_id: row for row in models.DraftException.objects.filter(run=run)}
    assert {account_id: row.code for account_id, row in exceptions.items()} == {
        gap.account_id: "load_has_gaps",
        no_tariff.account_id: "no_tariff",
        overlapped.account_id: "period_overlaps",
    }
    assert "2026-03-02T01:00" in exceptions[gap.account_id].detail
    assert exceptions[no_tariff.account_id].remedy == draft_lots.REMEDIES["no_tariff"]

    import_tariff.import_tariff(
        utility_id=utility.pk, code="GONE", text=sheet(), effective_from=datetime.date(2025, 1, 1), now=NOW
    )
    again, progress = draft(utility)

    assert (again, progress.together, progress.impossible) == (run, 1, 2)
    assert set(models.DraftException.objects.values_list("code", flat=True)) == {"load_has_gaps", "period_overlaps"}
    assert models.BillDraft.objects.count() == 2
    assert draft(utility)[1].together == 0


def test_accounts_of_another_utility_are_left_alone(utility: customer_models.Utility) -> None:
    use(serve(customers.Utility.create()), 1)

    assert draft(utility)[1].done == 0
    assert not models.BillDraft.objects.exists()


def test_a_period_that_is_not_over(utility: customer_models.Utility) -> None:
    with pytest.raises(draft_bills.UnableToDraftBills) as refusal:
        draft(utility, APRIL, datetime.date(2026, 5, 1))
    assert refusal.value.code == "period_not_over"
    assert not models.BillRun.objects.exists()
