"""Makes monthly partitions of the table of meter days, for history that is about to be imported."""

import argparse
import datetime
from typing import Any

from django.core.management import base

from meters.usecases import keep_meter_data
from openvpp.core import clock


class Command(base.BaseCommand):
    help = "Make monthly partitions; without dates those around today. Beat makes these by itself."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--first", type=datetime.date.fromisoformat, metavar="YYYY-MM-DD")
        parser.add_argument("--last", type=datetime.date.fromisoformat, metavar="YYYY-MM-DD")

    def handle(self, *args: Any, **options: Any) -> None:
        first, last = options["first"], options["last"]
        if (first is None) != (last is None) or (first and first > last):
            raise base.CommandError("Name both --first and --last, in this order, or neither.")
        made = (
            keep_meter_data.make_partitions(first=first, last=last)
            if first
            else keep_meter_data.make_ahead(now=clock.get_now())
        )
        self.stdout.write(f"Made {len(made)} partitions.")
