"""`manage.py take_weather --utility SLUG [--file CSV]`: daily temperatures beside usage."""

import argparse
import pathlib
from typing import Any

from django.core.management import base

from customers import models as customers_models
from meters.usecases import fetch_weather
from openvpp.core import clock, errors


class Command(base.BaseCommand):
    help = "Fetch a utility's daily temperatures from its source, or take them from a file."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--utility", required=True, help="Slug of the utility.")
        parser.add_argument("--file", type=pathlib.Path, help="CSV with the columns date and mean_c or mean_f.")

    def handle(self, *args: Any, **options: Any) -> None:
        utility = customers_models.Utility.objects.filter(slug=options["utility"]).first()
        if utility is None:
            raise base.CommandError(f"There is no utility {options['utility']}.")
        now = clock.get_now()
        try:
            if options["file"]:
                text = options["file"].read_text(encoding="utf-8-sig")
                days = fetch_weather.take(utility_id=utility.pk, text=text, now=now)
            else:
                days = fetch_weather.fetch(utility_id=utility.pk, now=now)
        except errors.UnableTo as error:
            raise base.CommandError(error.detail) from error
        except (errors.Unreachable, errors.Refused, OSError, UnicodeError) as error:
            raise base.CommandError(str(error)) from error
        self.stdout.write(f"{days} days.")
