"""`manage.py make_api_key --utility SLUG --application NAME`: prints the token, once."""

from typing import Any

from django.core.management import base

from customers import queries as customer_queries
from openvpp.core import clock, errors
from relayer import models
from relayer.usecases import make_api_key


class Command(base.BaseCommand):
    help = "Make a key for the bundler's JSON-RPC and print its token, which is shown only now."

    def add_arguments(self, parser: base.CommandParser) -> None:
        parser.add_argument("--utility", required=True, help="slug of the utility")
        parser.add_argument("--application", required=True, help="who calls with it")
        parser.add_argument("--scope", action="append", choices=models.ApiKey.Scope.values, help="all if not said")
        parser.add_argument("--requests-per-minute", type=int, default=600)
        parser.add_argument("--operations-per-day", type=int, default=10_000)
        parser.add_argument("--sponsored-per-day", type=int, default=1_000)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            utility = customer_queries.get_utility(slug=options["utility"])
            _, token = make_api_key.make(
                utility_id=utility.pk,
                application=options["application"],
                scopes=options["scope"] or models.ApiKey.Scope.values,
                requests_per_minute=options["requests_per_minute"],
                operations_per_day=options["operations_per_day"],
                sponsored_per_day=options["sponsored_per_day"],
                now=clock.get_now(),
            )
        except errors.UnableTo as error:
            raise base.CommandError(str(error)) from None
        self.stdout.write(token)
