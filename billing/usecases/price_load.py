"""Real-time prices: taken in from a file of the market, and put on the intervals that they are for."""

import csv
import datetime
import decimal
import io
from collections.abc import Iterator

import numpy as np

from billing import models
from billing.domain import loads, rating, real_time, terms
from customers import models as customer_models
from openvpp.core import db, errors

_MOST_ROWS = 200_000
_KWH_PER_MWH = 1000
_DEAREST = 10**6
_DECIMALS = 9
MOST_BYTES = 16_000_000


class UnableToImportPrices(errors.Invalid):
    """The file is not one of prices; the detail names the line."""


@db.transaction
def import_prices(
    *, utility_id: int, index: str, text: str, minutes: int, is_per_mwh: bool = False, now: datetime.datetime
) -> int:
    """Add prices from lines of `starts_at,price` and return how many are news.

    A price that differs from the one that is there is its next version, and counts from now on; earlier ones stay, for
    the bills that used them.

    `starts_at` is RFC 3339 with an offset, `minutes` how long each price holds, the price per kWh or per MWh. A first
    line of words is passed over. All of the file is taken, or nothing.

    :raises UnableToImportPrices: a line is not two such values, or an instant comes twice.
    """
    rows: dict[datetime.datetime, decimal.Decimal] = {}
    if len(text) > MOST_BYTES:
        raise UnableToImportPrices(f"A file has up to {MOST_BYTES} bytes.", code="not_prices")
    for number, line in enumerate(_fields(text), start=1):
        if not line or (number == 1 and line[0].strip().lower() == "starts_at"):
            continue
        try:
            starts_at = datetime.datetime.fromisoformat(line[0].strip())
            price = decimal.Decimal(line[1].strip())
        except (ValueError, IndexError, decimal.InvalidOperation) as error:
            raise UnableToImportPrices(f"Line {number} is not an instant and a price.", code="not_prices") from error
        if starts_at.tzinfo is None or starts_at in rows or not price.is_finite() or abs(price) > _DEAREST:
            raise UnableToImportPrices(
                f"Line {number}: the instant has no offset or comes twice, or the price is none of a kWh.",
                code="not_prices",
            )
        rows[starts_at] = round(price / _KWH_PER_MWH if is_per_mwh else price, _DECIMALS)
    if not 0 < len(rows) <= _MOST_ROWS:
        raise UnableToImportPrices(f"A file has 1 to {_MOST_ROWS} prices.", code="not_prices")
    customer_models.Utility.objects.select_for_update(no_key=True).get(pk=utility_id)
    standing = {
        starts_at: (version, seconds, price)
        for starts_at, version, seconds, price in models.MarketPrice.objects.of_utility(utility_id)
        .filter(index=index, starts_at__range=(min(rows), max(rows)))
        .order_by("starts_at", "version")
        .values_list("starts_at", "version", "seconds", "price")
    }
    fresh = [
        models.MarketPrice(
            utility_id=utility_id,
            index=index,
            starts_at=starts_at,
            version=before[0] + 1,
            seconds=minutes * 60,
            price=price,
            taken_at=now,
        )
        for starts_at, price in rows.items()
        if (before := standing.get(starts_at, (0, 0, price)))[1:] != (minutes * 60, price)
    ]
    models.MarketPrice.objects.bulk_create(fresh, batch_size=5000)
    return len(fresh)


def _fields(text: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader(io.StringIO(text))
    except csv.Error as error:
        raise UnableToImportPrices(f"Not CSV: {error}.", code="not_prices") from error


def with_prices(*, load: loads.IntervalSeries, reading: terms.Terms, utility_id: int) -> loads.IntervalSeries:
    """Return a load with the real-time prices that its tariff names; see `read_prices`."""
    return read_prices(load=load, reading=reading, utility_id=utility_id)[0]


def read_prices(
    *, load: loads.IntervalSeries, reading: terms.Terms, utility_id: int
) -> tuple[loads.IntervalSeries, str]:
    """Return a load with the latest real-time prices that its tariff names, and when the last of them came.

    What came until then is what was used: of each instant's prices the last one. Without real-time prices the load is
    as it is, and the instant empty.

    :raises rating.UnableToRate: an interval has no price.
    """
    if not reading.real_time_index or not len(load):
        return load, ""
    starts_at, ends_at = (
        datetime.datetime.fromtimestamp(int(instant), tz=datetime.UTC)
        for instant in (load.starts[0], load.starts[-1] + load.seconds[-1])
    )
    rows = list(
        models.MarketPrice.objects.of_utility(utility_id)
        .filter(index=reading.real_time_index)
        .filter(starts_at__gt=starts_at - datetime.timedelta(days=1), starts_at__lt=ends_at)
        .order_by("starts_at", "-version")
        .distinct("starts_at")
        .values_list("starts_at", "seconds", "price", "taken_at")
    )
    columns = [(int(starts.timestamp()), seconds, int(price.scaleb(9))) for starts, seconds, price, _ in rows]
    table = np.array(columns, dtype=np.int64).reshape(-1, 3)
    try:
        priced = real_time.with_prices(
            load=load, prices=real_time.Prices(starts=table[:, 0], seconds=table[:, 1], nano=table[:, 2])
        )
    except real_time.Unpriced as error:
        raise rating.UnableToRate(str(error), code="no_real_time_price") from error
    return priced, max(taken_at for *_, taken_at in rows).isoformat()
