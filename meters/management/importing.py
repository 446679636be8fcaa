"""What the commands that import a file of readings share."""

import argparse
import pathlib
from collections.abc import Callable
from typing import Any

from django.core.management import base

from customers import models as customers_models
from meters import models
from openvpp.core import clock, errors


class ImportCommand(base.BaseCommand):
    """Reads the arguments, calls `ingest`, and says what came of it."""

    ingest: Callable[..., models.ImportBatch]

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("file", type=pathlib.Path)
        parser.add_argument("--utility", required=True, help="Slug of the utility.")
        parser.add_argument("--service-point", help="Number of the service point; needed if the file does not name it.")
        parser.add_argument(
            "--point",
            action="append",
            default=[],
            metavar="USAGE_POINT=NUMBER",
            help="Which service point a usage point of the file is; once for each.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with options["file"].open("rb") as stream:
                utility = customers_models.Utility.objects.get(slug=options["utility"])
                batch = self.ingest(
                    stream=stream,
                    utility_id=utility.pk,
                    service_point_id=(_point(utility, options["service_point"]) if options["service_point"] else None),
                    points={
                        name: _point(utility, number)
                        for name, _, number in (pair.rpartition("=") for pair in options["point"])
                    },
                    file_name=options["file"].name,
                    now=clock.get_now(),
                )
        except OSError as error:
            raise base.CommandError(f"{options['file']}: {error.strerror}.") from error
        except customers_models.Utility.DoesNotExist as error:
            raise base.CommandError(f"There is no utility {options['utility']}.") from error
        except errors.UnableTo as error:
            raise base.CommandError(f"{options['file']}: {error.detail}") from error
        for warning in batch.warnings:
            self.stderr.write(self.style.WARNING(warning))
        self.stdout.write(
            f"Batch {batch.pk}: {batch.intervals} intervals; days added {batch.days_added}, changed "
            f"{batch.days_changed}, unchanged {batch.days_unchanged}."
        )


def _point(utility: customers_models.Utility, number: str) -> int:
    point = customers_models.ServicePoint.objects.of_utility(utility.pk).filter(number=number).first()
    if point is None:
        raise base.CommandError(f"{utility} has no service point {number}.")
    return int(point.pk)
