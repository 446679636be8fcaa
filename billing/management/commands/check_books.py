"""`manage.py check_books`: ends with 1 when the books differ from chain or rows by a single unit."""

import sys
from typing import Any

from django.core.management import base

from billing.usecases import check_books
from customers import models as customer_models
from openvpp.core import errors


class Command(base.BaseCommand):
    help = "Compare the ledger with the chain's transfers, and with bills, credits and deposits."

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
        rows = [row for utility in utilities for row in check_books.check_rows(utility_id=utility.pk)]
        for row in rows:
            self.stdout.write(
                f"{row.utility} {row.code}: booked {row.booked_cents}, by bills, credits and deposits "
                f"{row.expected_cents}: {'equal' if row.holds else 'DIFFERENT'}"
            )
            for number in row.wrong:
                self.stderr.write(f"  different: account {number}")
        if not (all(line.holds for line in found) and all(row.holds for row in rows)):
            sys.exit(1)
