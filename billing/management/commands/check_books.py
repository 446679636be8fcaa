"""`manage.py check_books`: ends with 1 when books and chain differ by a single unit."""

import sys
from typing import Any

from django.core.management import base

from billing.usecases import check_books
from customers import models as customer_models
from openvpp.core import errors


class Command(base.BaseCommand):
    help = "Compare the ledger with the tokens' own transfers into treasuries and out of program treasuries."

    def add_arguments(self, parser: base.CommandParser) -> None:
        parser.add_argument("--utility", help="Slug of one utility; all of them if left out.")

    def handle(self, *args: Any, **options: Any) -> None:
        utilities = customer_models.Utility.objects.order_by("slug")
        if options["utility"]:
            utilities = utilities.filter(slug=options["utility"])
            if not utilities:
                raise base.CommandError(f"There is no utility {options['utility']}.")
        try:
            found = [line for utility in utilities for line in check_books.check_books(utility_id=utility.pk)]
        except errors.Unreachable as error:
            raise base.CommandError(f"The chain cannot be read: {error}") from error
        for line in found:
            self.stdout.write(
                f"{line.utility} {line.token}: booked {line.booked_units}, proven {line.counted_units}, "
                f"received on the chain {line.received_units}, treasury holds {line.balance_units}; "
                f"payouts booked {line.booked_out_units}, on the chain {line.paid_out_units}: "
                f"{'equal' if line.holds else 'DIFFERENT'}"
            )
            for log in line.unbooked:
                self.stderr.write(
                    f"  not booked: {log.units} from {log.sender} in {log.transaction_hash}, log {log.log_index}"
                )
            for transaction_hash, log_index in line.missing:
                self.stderr.write(f"  not on the chain: {transaction_hash}, log {log_index}")
        if not all(line.holds for line in found):
            sys.exit(1)
