"""Price sheets that are none: refused by the name of what is missing or odd, and never rated as free."""

import json
from typing import Any

import pytest

from billing.adapters import urdb

EVERY_HOUR = {"energyweekdayschedule": [[0] * 24] * 12, "energyweekendschedule": [[0] * 24] * 12}


@pytest.mark.parametrize(
    "rate",
    [
        {},
        {"label": "x", "name": "Residential", "utility": "Harbor", "dgrules": "Net Metering"},
        {"energyratestructure": [[{"unit": "kWh"}]], **EVERY_HOUR},
        {"fixedchargefirstmeter": None, "demandwindow": 15},
    ],
)
def test_a_sheet_without_any_price_is_not_free(rate: dict[str, Any]) -> None:
    with pytest.raises(urdb.UnableToReadTariff) as refusal:
        urdb.read(text=json.dumps(rate))

    assert "The rate names no price, so it is not rated as free." in refusal.value.detail
    assert "energyratestructure" in refusal.value.detail
    assert "fixedchargefirstmeter" in refusal.value.detail


@pytest.mark.parametrize(
    "rate", [{"fixedchargefirstmeter": 0}, {"energyratestructure": [[{"rate": 0}]], **EVERY_HOUR}, {"mincharge": 5}]
)
def test_a_price_of_nothing_is_a_price(rate: dict[str, Any]) -> None:
    assert urdb.read(text=json.dumps(rate)).warnings == ()


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        ([], "A rate is a JSON object."),
        (3, "A rate is a JSON object."),
        (None, "A rate is a JSON object."),
        ({"items": []}, "`items` must hold exactly one rate."),
        ({"fixedchargefirstmeter": 5, "colour": 1}, "Unknown field: colour."),
        ({"fixedchargefirstmeter": "5"}, "`fixedchargefirstmeter` is '5', not a number."),
        ({"fixedchargefirstmeter": True}, "`fixedchargefirstmeter` is True, not a number."),
        ({"fixedchargefirstmeter": 5, "label": 7}, "`label` is 7, not text."),
        ({"fixedchargefirstmeter": 5, "name": ["a"]}, "`name` is ['a'], not text."),
        ({"fixedchargefirstmeter": 5, "usenetmetering": "no"}, "`usenetmetering` is 'no', not true or false."),
        ({"fixedchargefirstmeter": 5, "startdate": 10**30}, f"`startdate` is {10**30}, which is no instant."),
        ({"energyratestructure": None}, "`energyratestructure` is not a list."),
        ({"energyratestructure": [{"rate": 1}], **EVERY_HOUR}, "`tiers` is not a list."),
        ({"energyratestructure": [[5]], **EVERY_HOUR}, "`energyratestructure[0][0]` is not an object."),
        ({"energyratestructure": [[{"rate": 0.1}]]}, "`energyweekdayschedule` is missing."),
        ({"mincharge": [1]}, "`mincharge` is [1], not a number."),
    ],
)
def test_what_is_of_another_type_is_refused_by_name(rate: object, words: str) -> None:
    with pytest.raises(urdb.UnableToReadTariff) as refusal:
        urdb.read(text=json.dumps(rate))
    assert refusal.value.detail == words
