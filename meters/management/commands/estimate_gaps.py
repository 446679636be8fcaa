"""Fills gaps that were asked about with estimates, by the utility's rules."""

import argparse
from typing import Any

from django.core.management import base

from customers import models as customers_models
from meters import models, queries
from meters.usecases import decide_exceptions
from openvpp.core import clock, errors


class Command(base.BaseCommand):
    help = "Estimate the open gaps of a utility's meters, or of one service point; real readings replace estimates."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--utility", required=True, help="Slug of the utility.")
        parser.add_argument("--service-point", help="Number of the one service point.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            utility = customers_models.Utility.objects.get(slug=options["utility"])
            gaps = models.MeterException.objects.of_utility(utility.pk).filter(
                kind=models.MeterException.Kind.GAP, state=models.MeterException.State.OPEN, channel__isnull=False
            )
            if options["service_point"]:
                number = options["service_point"]
                gaps = gaps.filter(service_point=queries.get_service_point_id(utility_id=utility.pk, number=number))
            filled = sum(
                decide_exceptions.fill_gaps(channel_id=channel_id, now=clock.get_now())
                for channel_id in sorted(set(gaps.values_list("channel_id", flat=True)))
            )
        except customers_models.Utility.DoesNotExist as error:
            raise base.CommandError(f"There is no utility {options['utility']}.") from error
        except errors.UnableTo as error:
            raise base.CommandError(error.detail) from error
        self.stdout.write(f"Filled {filled} gaps; {gaps.count()} stay open.")
