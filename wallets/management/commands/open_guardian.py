"""`manage.py open_guardian --utility SLUG`."""

from typing import Any

from django.core.management import base

from customers import queries as customer_queries
from openvpp.core import clock, errors
from wallets import operations


class Command(base.BaseCommand):
    help = "Make the wallet and key by which a utility guards accounts that left custody; idempotent."

    def add_arguments(self, parser: base.CommandParser) -> None:
        parser.add_argument("--utility", required=True, help="slug of the utility")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            utility = customer_queries.get_utility(slug=options["utility"])
            wallet = operations.open_guardian_wallet(utility_id=utility.pk, now=clock.get_now())
        except (errors.UnableTo, errors.Unreachable) as error:
            raise base.CommandError(str(error)) from None
        self.stdout.write(wallet.address)
