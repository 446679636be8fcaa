"""Spans of a statement, what is left for later bills, and terms as they are kept."""

import datetime
import zoneinfo

import pytest

from billing.domain import bill, loads, statements, terms

ZONE = zoneinfo.ZoneInfo("America/New_York")
JAN, FEB, MAR = (datetime.date(2026, month, 1) for month in (1, 2, 3))


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (statements.Days(datetime.date(2025, 1, 1)), statements.Days(JAN, FEB)),
        (statements.Days(datetime.date(2026, 1, 10)), statements.Days(datetime.date(2026, 1, 10), FEB)),
        (statements.Days(JAN, datetime.date(2026, 1, 10)), statements.Days(JAN, datetime.date(2026, 1, 10))),
        (statements.Days(FEB), None),
        (statements.Days(datetime.date(2025, 1, 1), JAN), None),
    ],
)
def test_days_of_service_within_a_statement(days: statements.Days, expected: statements.Days | None) -> None:
    assert days.within(statements.Days(JAN, FEB)) == expected


def remainder(starts_on: datetime.date, ends_on: datetime.date, **changes: object) -> statements.Remainder:
    values = {
        "service_point_id": 1,
        "tariff_id": 2,
        "starts_on": starts_on,
        "ends_on": ends_on,
        "import_milliwh": 10,
        "export_milliwh": 0,
        "peak_milliw": 5,
        "total_nano": 100,
        "carried_milliwh": ((0, 7),),
        "omissions": ("none",),
    }
    return statements.Remainder(**(values | changes))  # type: ignore[arg-type]


def test_a_remainder_comes_back_from_json_as_it_was() -> None:
    left = remainder(JAN, FEB)
    assert statements.Remainder.from_json(left.to_json()) == left


def test_history_is_what_came_before() -> None:
    past = [
        remainder(datetime.date(2025, 12, 1), JAN, peak_milliw=9, total_nano=1, carried_milliwh=((0, 1),)),
        remainder(JAN, FEB, peak_milliw=4, total_nano=2, carried_milliwh=((0, 2), (1, 3))),
        remainder(FEB, MAR, peak_milliw=8, total_nano=4, carried_milliwh=((0, 9),)),
    ]
    found = statements.history(remainders=past, span=loads.BillingPeriod(FEB, MAR, ZONE))
    assert [(peak.year, peak.month, peak.peak_milliw) for peak in found.peaks] == [(2025, 12, 9), (2026, 1, 4)]
    assert found.carried_milliwh == ((0, 2), (1, 3))
    assert found.billed_in_year_nano == 2
    assert not found.ends_year
    december = loads.BillingPeriod(datetime.date(2026, 12, 1), datetime.date(2027, 1, 1), ZONE)
    assert statements.history(remainders=past, span=december).ends_year


def test_terms_are_read_from_what_is_kept() -> None:
    read = statements.read_terms(
        saved={
            "proration": "thirty_days",
            "rounding": "line",
            "holidays": ["2026-07-04"],
            "whole_month_days": [27, 33],
            "meters": 2,
        }
    )
    assert read == terms.Terms(
        proration=terms.Proration.THIRTY_DAYS,
        rounding=bill.Rounding.LINE,
        holidays=frozenset({datetime.date(2026, 7, 4)}),
        whole_month_days=(27, 33),
        meters=2,
    )
    assert statements.read_terms(saved={}) == terms.Terms()


@pytest.mark.parametrize("saved", [{"rebate": 1}, {"proration": "weekly"}, {"holidays": ["4 July"]}])
def test_unknown_terms_are_refused(saved: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        statements.read_terms(saved=saved)
