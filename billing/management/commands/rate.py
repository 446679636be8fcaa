"""Rates a year of load on one tariff and prints the twelve months."""

import argparse
import json
import pathlib
import zoneinfo
from typing import Any

from django.core.management import base

from billing.adapters import load_files, urdb
from billing.domain import bill, terms, yearly
from openvpp.core import errors

READINGS = {"reference": terms.AS_REFERENCE, "worded": terms.Terms()}


def add_calendar_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what says which year the load is of, and how the tariff is read."""
    parser.add_argument("--load", type=pathlib.Path, required=True, help="CSV of a year's power, one kW a row.")
    parser.add_argument("--generation", type=pathlib.Path, help="CSV of a solar system's power, one kW a row.")
    parser.add_argument("--year", type=int, default=2018, help="Calendar of the load; 2018 begins on a Monday.")
    parser.add_argument("--zone", type=_zone, default="UTC", help="Time zone; UTC has no daylight saving.")
    parser.add_argument(
        "--reading",
        choices=READINGS,
        default="reference",
        help="Where the price sheet is silent: as Utilityrate5 reads it, or as its words say.",
    )


class Command(base.BaseCommand):
    help = "Rate a year of load on a URDB tariff. Amounts are before rounding to the currency."
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--tariff", type=pathlib.Path, required=True, help="URDB rate as JSON.")
        add_calendar_arguments(parser)
        parser.add_argument("--json", action="store_true", help="Print one JSON object, with every line.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            tariff = urdb.read(text=options["tariff"].read_text(encoding="utf-8"))
            load = load_files.read(
                path=options["load"],
                generation=options["generation"],
                metering=tariff.metering,
                year=options["year"],
                zone=options["zone"],
            )
            year = yearly.prepare(load=load, year=options["year"], zone=options["zone"])
            rated = yearly.bills(tariff=tariff, year=year, reading=READINGS[options["reading"]])
        except OSError as error:
            raise base.CommandError(f"{options['tariff']}: {error.strerror}.") from error
        except UnicodeDecodeError as error:
            raise base.CommandError(f"{options['tariff']} is not text.") from error
        except (errors.UnableTo, ValueError) as error:
            raise base.CommandError(str(error)) from error
        for warning in (*tariff.warnings, *rated[0].omissions):
            self.stderr.write(self.style.WARNING(warning))
        self.stdout.write(_as_json(rated) if options["json"] else _as_table(rated))


def _zone(name: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError) as error:
        raise argparse.ArgumentTypeError(f"there is no time zone {name!r}") from error


def _as_json(rated: list[bill.RatedBill]) -> str:
    return json.dumps(
        {
            "tariff": rated[0].tariff_label,
            "currency": rated[0].currency,
            "omissions": rated[0].omissions,
            "months": [
                {
                    "starts_on": one.period.starts_on.isoformat(),
                    "ends_on": one.period.ends_on.isoformat(),
                    "import_kwh": dollars(one.usage.import_milliwh * 1000),
                    "export_kwh": dollars(one.usage.export_milliwh * 1000),
                    "components": {
                        component.value: dollars(one.component_nano(component)) for component in bill.Component
                    },
                    "lines": [
                        {
                            "kind": line.kind.value,
                            "label": line.label,
                            "quantity": str(line.quantity),
                            "unit": line.unit,
                            "unit_price": dollars(line.unit_price_nano),
                            "amount": dollars(line.amount_nano),
                        }
                        for line in one.lines
                        if line.kind is not bill.LineKind.ROUNDING
                    ],
                }
                for one in rated
            ],
        }
    )


def _as_table(rated: list[bill.RatedBill]) -> str:
    heads = ["month", "kWh", *(component.value for component in bill.Component)]
    rows = [
        [
            one.period.starts_on.strftime("%Y-%m"),
            f"{(one.usage.import_milliwh - one.usage.export_milliwh) / 10**6:.3f}",
            *(f"{one.component_nano(component) / 10**9:.4f}" for component in bill.Component),
        ]
        for one in rated
    ]
    sums = [f"{sum(float(row[i]) for row in rows):.4f}" for i in range(1, len(heads))]
    table = [heads, *rows, ["year", *sums]]
    widths = [max(len(row[i]) for row in table) for i in range(len(heads))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in table)


def dollars(nano: int) -> str:
    """Return nano-units in the currency, all nine places."""
    sign = "-" if nano < 0 else ""
    return f"{sign}{abs(nano) // 10**9}.{abs(nano) % 10**9:09d}"
