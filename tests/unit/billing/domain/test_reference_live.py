"""PySAM in the same process: random tariffs on random loads with a solar system, within a cent a month.

Twenty of them here, two hundred in `make verify` (PROPERTY_EXAMPLES).
"""

import datetime
import decimal
import gzip
import json
import os
import random
from typing import Any

import numpy as np

from billing.adapters import urdb
from billing.domain import bill, loads, tariffs, terms, yearly
from tests.factories import rating as factory

CENT = 0.01
TARIFFS = 200 if "PROPERTY_EXAMPLES" in os.environ else 20


def sample() -> list[str]:
    with gzip.open(factory.DATA / "tariffs" / "comstock_urdb.ndjson.gz", "rt") as file:
        return random.Random(20261122).sample(file.readlines(), TARIFFS + 40)


def random_year(seed: int) -> tuple[Any, Any]:
    """Return hourly kW of a load and of a solar system of up to four times its energy by day."""
    numbers = np.random.default_rng(seed)
    hour = np.arange(8760) % 24
    load = numbers.gamma(2, numbers.choice([0.5, 5, 50]), 8760)
    sun = np.maximum(np.sin((hour - 6) / 12 * np.pi), 0) * (hour >= 6) * (hour < 18)
    generation = sun * load.mean() * numbers.uniform(0, 4) * numbers.uniform(0.3, 1, 8760)
    return np.round(load, 3), np.round(generation, 3)


def words_win(tariff: tariffs.Tariff) -> bool:
    """Say whether the tariff is one where the reference does not follow its words: $/day, prices below zero."""
    prices = [tier.total_nano for period in (tariff.energy.tiers if tariff.energy else ()) for tier in period]
    return any(charge.per is tariffs.ChargePer.DAY for charge in tariff.fixed) or min(prices) < 0


def test_net_metering_of_random_tariffs_agrees_to_the_cent() -> None:
    from benchmarks import pysam_reference  # noqa: PLC0415 - only where PySAM is

    compared = 0
    for seed, line in enumerate(sample()):
        tariff = urdb.to_tariff(rate=json.loads(line, parse_float=decimal.Decimal))
        if words_win(tariff) or compared == TARIFFS:
            continue
        load, generation = random_year(seed)
        try:
            reference = pysam_reference.run(pysam_reference.prepare(json.loads(line)), load=load, generation=generation)
        except Exception as error:
            if "exec fail" not in str(error):
                raise
            continue

        months = yearly.rate(tariff=tariff, year=year_of(tariff, load, generation), reading=terms.AS_REFERENCE)

        ours = np.array(months[bill.Component.TOTAL]) / 1e9
        assert np.abs(ours - reference).max() <= CENT, (tariff.label, ours, reference)
        compared += 1
    assert compared == TARIFFS


def year_of(tariff: tariffs.Tariff, load: Any, generation: Any) -> yearly.Year:
    taken, given = (np.rint(power * 1_000_000).astype(np.int64) for power in (load, generation))
    if tariff.metering is not tariffs.Metering.BUY_ALL_SELL_ALL:
        net = taken - given
        taken, given = np.maximum(net, 0), np.maximum(-net, 0)
    series = loads.IntervalSeries.regular(
        starts_at=datetime.datetime(2018, 1, 1, tzinfo=datetime.UTC),
        interval_seconds=3600,
        import_milliwh=taken,
        export_milliwh=given,
    )
    return yearly.prepare(load=series, year=2018, zone=factory.UTC)
