"""Deletes readings that are older than they have to be kept."""

import argparse
import datetime
from typing import Any

from django.core.management import base

from meters.usecases import keep_meter_data
from openvpp.core import clock, errors


class Command(base.BaseCommand):
    help = "Delete readings of local days before a day, of every utility; whole months by dropping their partition."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--before", required=True, type=datetime.date.fromisoformat, metavar="YYYY-MM-DD")
        parser.add_argument("--dry-run", action="store_true", help="Only say what would go.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            pruned = keep_meter_data.prune(before=options["before"], is_dry_run=options["dry_run"], now=clock.get_now())
        except errors.UnableTo as error:
            raise base.CommandError(error.detail) from error
        verb = "Would delete" if options["dry_run"] else "Deleted"
        self.stdout.write(
            f"{verb} {pruned.days} days ({len(pruned.months)} whole months), {pruned.versions} versions, "
            f"{pruned.period_readings} readings of longer spans."
        )
