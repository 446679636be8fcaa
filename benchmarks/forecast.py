"""How often a bill lies between the bounds that were forecast for it: `python -m benchmarks.forecast`.

Bills of ten months of three load files on three tariffs, each forecast on five days. The widening of the bounds is
the 80 % quantile of how far bills lay outside (split conformal, by how much of the bill was to come), found on two
files and half of the months, and tried on the third file and the other months: nothing on what it was found on.
The last line is `RESULT` and JSON.
"""

import dataclasses
import itertools
import json
import math
from collections.abc import Sequence

from billing.domain import forecast, loads, rating
from tests.factories import rating as factory

LOADS = ("ssc_load_commercial.csv", "ssc_load_commercial_large.csv", "ssc_residential_load.csv")
DAYS = (3, 6, 13, 20, 27)
PATHS = 50
CHANCE = 0.8
TARIFFS = (
    factory.make_tariff(
        energy=[[{"rate": "0.12"}], [{"rate": "0.30"}]], weekday=[0] * 14 + [1] * 6 + [0] * 4, weekend=[0] * 24
    ),
    factory.make_tariff(energy=[[{"rate": "0.10", "max": "500"}, {"rate": "0.22"}]]),
    factory.make_tariff(energy=[[{"rate": "0.08"}]], flatdemandstructure=[[{"rate": "9"}]], flatdemandmonths=[0] * 12),
)


@dataclasses.dataclass(frozen=True)
class Tried:
    """A forecast: of which file, month, how much was to come, and how far out the bill lay, in widths of the paths."""

    name: str
    month: int
    is_early: bool
    outside: float


def main() -> None:
    tried = [one for name in LOADS for one in _try(name)]
    held = [one.outside <= _widening([other for other in tried if _is_found_on(other, one)]) for one in tried]
    widenings = {
        "early" if is_early else "late": round(_widening([one for one in tried if one.is_early is is_early]), 3)
        for is_early in (True, False)
    }
    bare = sum(one.outside <= 0 for one in tried)
    print(f"Between the tenths of the paths: {bare} of {len(tried)}. Widened, out of sample: {sum(held)}.")
    result = {"coverage": round(sum(held) / len(held), 3), "forecasts": len(held), "widening": widenings}
    print("RESULT " + json.dumps(result))


def _is_found_on(other: Tried, one: Tried) -> bool:
    return other.name != one.name and other.month % 2 != one.month % 2 and other.is_early is one.is_early


def _try(name: str) -> list[Tried]:
    load = factory.load_file(name)
    found: list[Tried] = []
    for period, day in itertools.product(factory.months(year=2018, zone=factory.UTC)[2:], DAYS):
        until = period.starts_on.replace(day=day)
        known = load.between(starts=0, ends=loads.BillingPeriod(until, period.ends_on, factory.UTC).starts)
        days = forecast.to_days(load=known, period=period)
        paths = forecast.draw(days=days, known=known, period=period, until=until, paths=PATHS)
        is_early = forecast.share_to_come(period=period, until=until) > forecast.EARLY_SHARE
        for tariff in TARIFFS:
            bill = rating.rate(tariff=tariff, load=load, period=period).total_nano
            low, high = forecast.tenths(
                totals_nano=[rating.rate(tariff=tariff, load=path, period=period).total_nano for path in paths]
            )
            outside = max(low - bill, bill - high) / max(high - low, 1)
            found.append(Tried(name, period.starts_on.month, is_early, outside))
    return found


def _widening(tried: Sequence[Tried]) -> float:
    outside = sorted(one.outside for one in tried)
    return outside[min(len(outside), math.ceil((len(outside) + 1) * CHANCE)) - 1]


if __name__ == "__main__":
    main()
