"""The seeded statement computed a second way: a plain loop over the file's XML and the tariff's JSON, in Decimal.

Nothing of the rating engine or of the Green Button reader is used on the second way.
"""

import datetime
import decimal
import json
import pathlib
import zoneinfo
from xml.etree import ElementTree

import numpy as np

from billing.adapters import urdb
from billing.domain import bill, loads, rating
from meters.adapters import green_button

SEED = pathlib.Path(__file__).parents[4] / "openvpp" / "seed_data"
READINGS = SEED / "green_button_hourly_32_days.xml"
TARIFF = SEED / "tariff_psegli_residential_tou.json"
ZONE = zoneinfo.ZoneInfo("America/New_York")
FIRST, AFTER = datetime.date(2012, 4, 1), datetime.date(2012, 5, 1)


def _second_way() -> tuple[decimal.Decimal, decimal.Decimal]:
    """Return kWh and dollars."""
    (tariff,) = json.loads(TARIFF.read_text(), parse_float=decimal.Decimal)["items"]
    used = owed = decimal.Decimal(0)
    espi = "{http://naesb.org/espi}"
    for reading in ElementTree.parse(READINGS).iter(f"{espi}IntervalReading"):
        start = int(reading.findtext(f"{espi}timePeriod/{espi}start", ""))
        local = datetime.datetime.fromtimestamp(start, tz=ZONE)
        if not FIRST <= local.date() < AFTER:
            continue
        kwh = decimal.Decimal(reading.findtext(f"{espi}value", "")) / 1000
        day = "energyweekendschedule" if local.isoweekday() >= 6 else "energyweekdayschedule"
        (tier,) = tariff["energyratestructure"][tariff[day][local.month - 1][local.hour]]
        used += kwh
        owed += kwh * (tier["rate"] + tier["adj"])
    owed += tariff["fixedchargefirstmeter"]
    return used, owed.quantize(decimal.Decimal("0.01"), rounding=decimal.ROUND_HALF_UP)


def test_bill_equals_an_independent_computation_to_the_cent() -> None:
    with READINGS.open("rb") as stream:
        (channel,) = green_button.read(stream=stream).channels
    (series,) = channel.series

    rated = rating.rate(
        tariff=urdb.read(text=TARIFF.read_text()),
        load=loads.IntervalSeries(
            starts=series.starts,
            seconds=np.full(len(series), series.interval_seconds, dtype=np.int64),
            import_milliwh=series.milli_units,
        ),
        period=loads.BillingPeriod(FIRST, AFTER, ZONE),
    )

    kwh, dollars = _second_way()
    assert rated.total == dollars == decimal.Decimal("470.02")
    assert rated.usage.import_milliwh == kwh * 10**6 == 2_215_348_000
    assert [(line.kind, line.label, line.quantity) for line in rated.lines] == [
        (bill.LineKind.ENERGY, "Energy, weekdays 0-15 and 19-24 h, weekends all day", decimal.Decimal("1971.833")),
        (bill.LineKind.ENERGY, "Energy, weekdays 15-19 h", decimal.Decimal("243.515")),
        (bill.LineKind.FIXED, "Customer charge", decimal.Decimal(1)),
        (bill.LineKind.ROUNDING, "Rounding to the minor unit by bill", decimal.Decimal(1)),
    ]
    assert rated.omissions == ()
