"""Meter data in and out of PostgreSQL, and readers beside their peers: `python -m benchmarks.meters`.

ingest      15-minute days of many meters from an array to committed rows (binary COPY), one connection.
bytes       the table with its index, by interval.
read        1,000 meters x a month (best of 5), and one meter x a month (p95 of 500, best of 5), from rows to arrays.
NEM12       a year of 20 meters against nemreader on the same file.
Green Button  15-minute year against lxml's iterparse visiting every element with the same XSD check.
The last line is `RESULT` and JSON.
"""

import argparse
import datetime
import functools
import io
import json
import operator
import tempfile
import time
from collections.abc import Callable

import numpy as np
from lxml import etree
from rich import console, table

NOW = datetime.datetime(2026, 1, 5, 12, tzinfo=datetime.UTC)
METERS, DAYS, INTERVALS = 5_000, 30, 96
FIRST_DAY = datetime.date(2026, 6, 1)
SEED = 11


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    from tests import bench_database  # noqa: PLC0415 - starts PostgreSQL, then Django

    with bench_database.open_database():
        result = measure_database()
    result |= {"nem12_ratio_nemreader": measure_nem12(), "green_button_ratio_walk": measure_green_button()}
    shown = table.Table("what", "value", title="Meter data, one core and PostgreSQL beside it")
    for name, value in result.items():
        shown.add_row(name, f"{value:,.3f}")
    console.Console().print(shown)
    print("RESULT " + json.dumps(result))


def measure_database() -> dict[str, float]:
    from django.db import connection  # noqa: PLC0415 - after Django is set up

    from meters import models, operations, queries  # noqa: PLC0415
    from meters.domain import units  # noqa: PLC0415
    from meters.usecases import keep_meter_data  # noqa: PLC0415
    from openvpp.core import db  # noqa: PLC0415
    from tests.factories import customers  # noqa: PLC0415

    keep_meter_data.make_ahead(now=datetime.datetime.combine(FIRST_DAY, datetime.time(), tzinfo=datetime.UTC))
    utility = customers.Utility.create()
    points = [customers.ServicePoint.create(premise__utility=utility) for _ in range(METERS)]
    channels = models.Channel.objects.bulk_create(
        models.Channel(
            utility=utility,
            service_point=point,
            source="meter",
            flow="delivered",
            unit="Wh",
            time_zone=utility.time_zone,
        )
        for point in points
    )
    ids = np.repeat([channel.pk for channel in channels], DAYS)
    dates = np.tile(np.datetime64(FIRST_DAY) + np.arange(DAYS), METERS)
    values = np.random.default_rng(SEED).integers(0, 1500, (METERS * DAYS, INTERVALS)) * 1000
    batch = models.ImportBatch.objects.create(
        utility=utility,
        format="push",
        sha256=bytes(32),
        target="bench",
        imported_at=NOW,
        intervals=values.size,
        days_added=0,
        days_changed=0,
        days_unchanged=0,
    )

    def store() -> None:
        with db.transaction():
            operations.store_whole_days(
                batch=batch,
                channel_ids=ids,
                account_ids=ids,
                dates=dates,
                interval_seconds=900,
                milli_units=values,
                quality=units.Quality.VALID,
            )

    store()
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE meters_meterday")
    began = time.perf_counter()
    store()
    ingest = values.size / (time.perf_counter() - began)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE meters_meterday")
        cursor.execute("SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('meters_meterday')")
        bytes_per_interval = float(cursor.fetchone()[0]) / values.size
    zone = datetime.timezone(datetime.timedelta(hours=-4))
    span = {
        "starts_at": datetime.datetime(2026, 6, 1, tzinfo=zone),
        "ends_at": datetime.datetime(2026, 7, 1, tzinfo=zone),
    }
    thousand = [point.pk for point in points[:1000]]
    many = min(_timed(lambda: queries.get_intervals_of_many(service_point_ids=thousand, **span)) for _ in range(5))
    rounds = [
        sorted(
            _timed(functools.partial(queries.get_consumption, service_point_id=point.pk, **span))
            for point in points[:500]
        )
        for _ in range(5)
    ]
    one = min(rounds, key=operator.itemgetter(475))
    read = queries.get_consumption(service_point_id=points[0].pk, **span)
    assert int(read.delivered_milli_wh.sum()) == int(values[:DAYS].sum())
    return {
        "ingest_intervals_per_s": round(ingest),
        "bytes_per_interval": round(bytes_per_interval, 3),
        "read_1000_meter_months_ms": round(many * 1000, 1),
        "meter_month_p95_ms": round(one[475] * 1000, 3),
        "meter_month_median_ms": round(one[250] * 1000, 3),
    }


def measure_nem12() -> float:
    """Return how many times nemreader's time ours is a part of, on a year of half hours of 20 meters."""
    import nemreader  # noqa: PLC0415 - slow to import, and needed here alone

    from meters.adapters import nem  # noqa: PLC0415

    numbers = np.random.default_rng(SEED)
    lines = ["100,NEM12,202601010000,MDP,RET"]
    for meter in range(20):
        lines.append(f"200,NMI{meter:07d},E1,1,E1,N1,METER,kWh,30,")
        for day in range(365):
            date = datetime.date(2025, 1, 1) + datetime.timedelta(days=day)
            values = ",".join(f"{value:.3f}" for value in numbers.gamma(2, 0.4, 48))
            lines.append(f"300,{date:%Y%m%d},{values},A,,,{date:%Y%m%d}235959,")
    text = "\n".join([*lines, "900", ""]).encode()
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(text)
        file.flush()
        theirs = min(_timed(lambda: nemreader.NEMFile(file.name).nem_data()) for _ in range(2))
    ours = min(_timed(lambda: nem.read(content=text)) for _ in range(5))
    return round(theirs / ours, 1)


def measure_green_button() -> float:
    """Return our time over that of visiting every element of the same file with the XSD check on."""
    from meters.adapters import espi, green_button  # noqa: PLC0415

    text = _green_button_year()
    schema = espi.schema()

    def walk() -> int:
        seen = 0
        for _, element in etree.iterparse(io.BytesIO(text), events=("end",), resolve_entities=False):
            seen += 1
            if element.tag == f"{espi.ATOM}content":
                schema.validate(element[0])
            elif element.tag == f"{espi.ATOM}entry":
                element.clear()
        return seen

    theirs = min(_timed(walk) for _ in range(5))
    ours = min(_timed(lambda: green_button.read(stream=io.BytesIO(text))) for _ in range(5))
    return round(ours / theirs, 3)


def _green_button_year() -> bytes:
    def entry(own: str, up: str, resource: str, related: str = "") -> str:
        return (
            f'<entry><id>{own}</id><link rel="self" href="{own}"/><link rel="up" href="{up}"/>{related}'
            f"<content>{resource}</content></entry>"
        )

    espi_namespace = 'xmlns="http://naesb.org/espi"'
    start = int(datetime.datetime(2025, 1, 1, 5, tzinfo=datetime.UTC).timestamp())
    values = np.random.default_rng(SEED).integers(0, 900, (365, INTERVALS))
    entries = [
        entry("U/1", "U", f"<UsagePoint {espi_namespace}/>"),
        entry(
            "U/1/MeterReading/1",
            "U/1/MeterReading",
            f"<MeterReading {espi_namespace}/>",
            '<link rel="related" href="ReadingType/1"/>',
        ),
        entry(
            "ReadingType/1",
            "ReadingType",
            f"<ReadingType {espi_namespace}><flowDirection>1</flowDirection><intervalLength>900</intervalLength>"
            "<uom>72</uom></ReadingType>",
        ),
    ]
    for day in range(365):
        readings = "".join(
            f"<IntervalReading><timePeriod><duration>900</duration><start>{start + 900 * (day * INTERVALS + i)}</start>"
            f"</timePeriod><value>{value}</value></IntervalReading>"
            for i, value in enumerate(values[day])
        )
        up = "U/1/MeterReading/1/IntervalBlock"
        entries.append(entry(f"{up}/{day}", up, f"<IntervalBlock {espi_namespace}>{readings}</IntervalBlock>"))
    return f'<feed xmlns="http://www.w3.org/2005/Atom"><id>x</id>{"".join(entries)}</feed>'.encode()


def _timed(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
