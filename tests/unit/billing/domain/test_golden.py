"""Twelve months of thousands of real tariffs, against the reference's figures and to half a cent."""

import collections
import csv
import dataclasses
import decimal
import functools
import gzip
import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from billing.adapters import urdb
from billing.domain import batch, bill, demand, loads, rating, tariffs, terms
from tests.factories import rating as rating_factory

HALF_A_CENT = 0.005
LOADS = {"res": "ssc_residential_load.csv", "com": "ssc_load_commercial.csv"}
# The tariff's words win: $/day is charged for each day, which the reference spreads as 365 / 12 of it a month, and a
# negative price of energy is a credit, which the reference clips to nothing.
WORDS_WIN = {"fixed_per_day", "negative_rate"}
EVERY_PLAIN_ONE = "PROPERTY_EXAMPLES" in os.environ  # make verify


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    tariff: tariffs.Tariff
    load: str
    kind: str
    agrees: bool
    months: dict[str, list[float]]


@functools.lru_cache(maxsize=1)
def cases() -> list[Case]:
    rows: dict[tuple[str, ...], dict[str, list[float]]] = collections.defaultdict(dict)
    with gzip.open(rating_factory.DATA / "golden" / "pysam_comstock_public.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            key = (row["eiaid"], row["label"], row["load"], row["class"], row["independent_agrees"])
            rows[key][row["component"]] = [float(row[f"m{month}"]) for month in range(1, 13)]
    chosen = {
        key: months
        for place, (key, months) in enumerate(rows.items())
        if EVERY_PLAIN_ONE or key[3] not in {"plain", "tiered_multi_period"} or not place % 8
    }
    known = {key[:2] for key in chosen}
    rates = {key: urdb.to_tariff(rate=rate) for key, rate in _rates({label for _, label in known}) if key in known}
    return [Case(rates[key[0], key[1]], key[2], key[3], key[4] == "1", months) for key, months in chosen.items()]


def _rates(labels: set[str]) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    with gzip.open(rating_factory.DATA / "tariffs" / "comstock_urdb.ndjson.gz", "rt") as file:
        for line in file:
            if line.partition('"label":"')[2].partition('"')[0] not in labels:
                continue
            rate = json.loads(line, parse_float=decimal.Decimal)
            yield (str(rate["eiaid"]), rate["label"]), rate


@functools.lru_cache(maxsize=2)
def cells(name: str) -> batch.Cells:
    load = rating_factory.load_file(LOADS[name])
    return batch.aggregate(
        energy_milliwh=load.import_milliwh[None, :],
        starts=load.starts,
        interval_seconds=3600,
        zone=rating_factory.UTC,
    )


def rated(case: Case) -> dict[bill.Component, loads.Int64s]:
    year = cells(case.load)
    found = batch.rate(
        compiled=batch.compile_tariff(tariff=case.tariff, reading=terms.AS_REFERENCE),
        cells=year,
        reading=terms.AS_REFERENCE,
        before=batch.peaks_of_months(cells=year, metering=case.tariff.metering),
    )
    return {component: found.component(component)[0] for component in bill.Component}


def differing(case: Case) -> set[str]:
    ours = rated(case)
    return {
        component.value
        for component in bill.Component
        if np.abs(ours[component] / 1e9 - np.array(case.months.get(component.value, [0.0] * 12))).max() > HALF_A_CENT
    }


def test_every_total_and_component_that_a_second_computation_confirms() -> None:
    confirmed = [case for case in cases() if case.agrees]

    assert len(confirmed) > 1_000
    assert [(case.tariff.label, case.load, differing(case)) for case in confirmed if differing(case)] == []


def test_hours_of_use_and_ratchets_agree_wherever_the_reference_follows_the_words() -> None:
    chosen = [case for case in cases() if case.kind in {"kwh_per_kw_or_daily", "lookback"}]
    apart = [case for case in chosen if differing(case)]

    assert len(chosen) == 738
    assert len(apart) <= len(chosen) // 100
    # Each exception is a customer charge per day, and in nothing else.
    assert {charge.per for case in apart for charge in case.tariff.fixed} == {tariffs.ChargePer.DAY}
    assert all(differing(case) == {"fixed", "total"} for case in apart)


def test_charge_per_day_is_charged_for_each_day() -> None:
    days = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
    chosen = [case for case in cases() if case.kind == "fixed_per_day"]

    assert len(chosen) == 48
    for case in chosen:
        (charge,) = case.tariff.fixed
        ours = rated(case)
        assert ours[bill.Component.FIXED].tolist() == (charge.amount_nano * days).tolist()
        assert np.allclose(case.months["fixed"], charge.amount_nano / 1e9 * 365 / 12, atol=HALF_A_CENT)
        assert differing(case) == {"fixed", "total"}


def test_negative_price_of_energy_is_a_credit() -> None:
    chosen = [case for case in cases() if case.kind == "negative_rate"]

    assert len(chosen) == 12
    for case in chosen:
        energy = rated(case)[bill.Component.ENERGY]
        assert (energy < 0).any()
        reference = np.array(case.months.get("energy", [0.0] * 12))
        assert (reference >= 0).all()


@pytest.mark.parametrize("load", LOADS)
def test_one_by_one_and_many_at_once_give_the_same_nanos(load: str) -> None:
    series = rating_factory.load_file(LOADS[load])
    peaks = batch.peaks_of_months(cells=cells(load), metering=tariffs.Metering.NET_METERING)[0].tolist()
    history = tuple(demand.PastPeak(2017, month, peak) for month, peak in enumerate(peaks, start=1)) + tuple(
        demand.PastPeak(2018, month, peak) for month, peak in enumerate(peaks, start=1)
    )
    chosen = [case for case in cases() if case.load == load][::15]
    for case in chosen:
        ours, spent = rated(case), 0
        for month, period in enumerate(rating_factory.months(year=2018, zone=rating_factory.UTC)):
            one = rating.rate(
                tariff=case.tariff,
                load=series,
                period=period,
                reading=terms.AS_REFERENCE,
                history=rating.History(peaks=history, billed_in_year_nano=spent, ends_year=month == 11),
            )
            spent += one.exact_nano
            got = {component: one.component_nano(component) for component in bill.Component}
            assert got == {component: int(ours[component][month]) for component in bill.Component}, case.tariff.label
