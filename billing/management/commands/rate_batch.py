"""Rates a year of load on every tariff of a file."""

import argparse
import csv
import gzip
import io
import pathlib
import sys
import zlib
from collections.abc import Iterator
from typing import Any, TextIO

from django.core.management import base
from rich import console, progress

from billing.adapters import load_files, urdb
from billing.domain import bill, tariffs, yearly
from billing.management.commands import rate
from openvpp.core import errors


class Command(base.BaseCommand):
    help = (
        "Rate a year of load on a corpus of URDB tariffs (one JSON object a line, plain or gzip). Amounts are before "
        "rounding to the currency. A tariff that cannot be rated is named on stderr, and the command ends with 1."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--tariffs", type=pathlib.Path, required=True, help="NDJSON, or NDJSON.gz.")
        parser.add_argument("--out", type=pathlib.Path, required=True, help="CSV: label, component, m1 to m12.")
        rate.add_calendar_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        refused = read = 0
        years: dict[bool, yearly.Year] = {}
        reading = rate.READINGS[options["reading"]]
        try:
            with options["out"].open("w", newline="", encoding="utf-8") as file, _progress() as bar:
                out = csv.writer(file)
                out.writerow(["label", "component", *(f"m{month}" for month in range(1, 13))])
                task = bar.add_task("Rating", total=options["tariffs"].stat().st_size)
                for read, (line, place) in enumerate(_lines(options["tariffs"]), start=1):
                    bar.update(task, completed=place)
                    try:
                        tariff = urdb.read(text=line)
                        months = yearly.rate(tariff=tariff, year=_year(years, tariff, options), reading=reading)
                    except errors.UnableTo as error:
                        refused += 1
                        bar.console.print(f"Tariff {read}, {line.strip()[:60]}…: {error.detail}", markup=False)
                        continue
                    for component in bill.Component:
                        out.writerow([tariff.label, component.value, *map(rate.dollars, months[component])])
        except (EOFError, zlib.error, gzip.BadGzipFile, UnicodeDecodeError) as error:
            raise base.CommandError(
                f"{options['tariffs']} is not whole, or not what its name says: {error}."
            ) from error
        except OSError as error:
            raise base.CommandError(f"{error.filename}: {error.strerror}.") from error
        except (errors.UnableTo, ValueError) as error:
            raise base.CommandError(str(error)) from error
        if not read:
            raise base.CommandError(f"{options['tariffs']} holds no tariff.")
        if refused:
            raise base.CommandError(f"{refused} tariffs could not be rated.")


def _year(years: dict[bool, yearly.Year], tariff: tariffs.Tariff, options: dict[str, Any]) -> yearly.Year:
    """Return the load as this tariff meters it; read once for each of the two ways."""
    is_apart = tariff.metering is tariffs.Metering.BUY_ALL_SELL_ALL
    if is_apart not in years:
        load = load_files.read(
            path=options["load"],
            generation=options["generation"],
            metering=tariff.metering,
            year=options["year"],
            zone=options["zone"],
        )
        years[is_apart] = yearly.prepare(load=load, year=options["year"], zone=options["zone"])
    return years[is_apart]


def _lines(path: pathlib.Path) -> Iterator[tuple[str, int]]:
    """Yield each line that holds something, and how much of the file is read."""
    with path.open("rb") as raw:
        stream: TextIO = io.TextIOWrapper(
            gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw,
            encoding="utf-8",
        )
        for line in stream:
            if line.strip():
                yield line, raw.tell()


def _progress() -> progress.Progress:
    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TimeRemainingColumn(),
        console=console.Console(file=sys.stderr),
        transient=True,
    )
