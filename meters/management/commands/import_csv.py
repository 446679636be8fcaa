"""Imports a CSV file of readings by the mapping of its source."""

import argparse
import pathlib
from typing import Any

from django.core.management import base

from customers import models as customers_models
from meters import models, queries
from meters.usecases import import_file
from openvpp.core import clock, errors

_PREVIEW_BYTES = 2**16


class Command(base.BaseCommand):
    help = "Import the readings of a CSV file by the mapping of its source; --preview shows the first rows instead."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("file", type=pathlib.Path)
        parser.add_argument("--utility", required=True, help="Slug of the utility.")
        parser.add_argument("--source", required=True, help="Name of the CSV source.")
        parser.add_argument("--service-point", help="Number of the service point, if the file has no column for it.")
        parser.add_argument("--preview", action="store_true", help="Store nothing.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            utility = customers_models.Utility.objects.get(slug=options["utility"])
            source = queries.get_csv_source(utility_id=utility.pk, name=options["source"])
            if options["preview"]:
                self._preview(options["file"], source)
            else:
                self._store(options["file"], source, options["service_point"])
        except OSError as error:
            raise base.CommandError(f"{options['file']}: {error.strerror}.") from error
        except customers_models.Utility.DoesNotExist as error:
            raise base.CommandError(f"There is no utility {options['utility']}.") from error
        except errors.UnableTo as error:
            raise base.CommandError(f"{options['file']}: {error.detail}") from error

    def _preview(self, path: pathlib.Path, source: models.CsvSource) -> None:
        with path.open("rb") as stream:
            read = import_file.preview(text=stream.read(_PREVIEW_BYTES), source=source)
        for row in read.rows:
            self.stdout.write(
                f"{row.line}: {row.point} {row.starts} to {row.ends}: {row.milli_units} {row.quality.name.lower()}"
            )
        for error in read.errors:
            self.stderr.write(self.style.ERROR(f"{error.line}: {error.detail} ({error.code})"))

    def _store(self, path: pathlib.Path, source: models.CsvSource, number: str | None) -> None:
        point = queries.get_service_point_id(utility_id=source.utility_id, number=number) if number else None
        with path.open("rb") as stream:
            received = import_file.receive(
                stream=stream,
                utility_id=source.utility_id,
                source=models.ImportBatch.Format.CSV,
                csv_source_id=source.pk,
                service_point_id=point,
                file_name=path.name,
                now=clock.get_now(),
            )
        try:
            done = import_file.run_at_once(file_import_id=received.pk, now=clock.get_now())
        except import_file.ImportIsBusy as error:
            raise base.CommandError(f"{error} Follow it in the admin.") from error
        if done.batch is None:
            raise base.CommandError(f"Import {done.pk} is {done.get_state_display().lower()}.")
        for warning in done.batch.warnings:
            self.stderr.write(self.style.WARNING(warning))
        self.stdout.write(
            f"Batch {done.batch.pk}: {done.batch.intervals} intervals; days added {done.batch.days_added}, changed "
            f"{done.batch.days_changed}, unchanged {done.batch.days_unchanged}."
        )
