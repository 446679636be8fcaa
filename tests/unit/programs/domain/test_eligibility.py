"""Eligibility is data, and says why not."""

import decimal

import pytest

from programs.domain import eligibility

RULES = eligibility.Rules.from_data({"device_kinds": ["battery"], "min_power_kw": "2.5", "postal_codes": ["04101"]})
D = decimal.Decimal


def test_a_device_that_meets_every_rule_may_join() -> None:
    verdict = RULES.judge(kind="battery", power_kw=D("2.5"), postal_code="04101")
    assert verdict == eligibility.Allowed()


@pytest.mark.parametrize(
    ("kind", "power_kw", "postal_code", "reason"),
    [
        ("charger", "7", "04101", "The program takes battery, not a charger."),
        ("battery", "2.499", "04101", "The program takes devices of at least 2.5 kW; this one has 2.499 kW."),
        ("battery", "5", "04102", "The program is not offered where this device stands."),
        ("battery", "5", None, "The program is not offered where this device stands."),
    ],
)
def test_a_device_that_does_not_is_told_why(kind: str, power_kw: str, postal_code: str | None, reason: str) -> None:
    assert RULES.judge(kind=kind, power_kw=D(power_kw), postal_code=postal_code) == eligibility.Denied(reason)


def test_no_rules_allow_everything() -> None:
    rules = eligibility.Rules.from_data({})
    assert rules.judge(kind="charger", power_kw=D("0.1"), postal_code=None) == eligibility.Allowed()


@pytest.mark.parametrize(
    "data", [{"device_kind": ["battery"]}, {"device_kinds": "battery"}, {"min_power_kw": "much"}, {"postal_codes": [4]}]
)
def test_rules_that_cannot_be_read_are_refused(data: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"rules|list|number"):
        eligibility.Rules.from_data(data)
