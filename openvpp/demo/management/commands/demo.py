"""`manage.py demo`: play a journey in the terminal; the last line is its result as JSON."""

import argparse
import logging
import sys
from typing import Any

from django.core.management import base

from customers import models as customer_models
from openvpp.core import errors
from openvpp.demo import cast, join_an_event, pay_a_bill
from openvpp.demo import stage as stages


class Command(base.BaseCommand):
    help = "Play a customer's journey against the running stack."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--fee-mode", "--fee", dest="fee_mode", default="ovpp", choices=customer_models.FeeMode.values
        )
        parser.add_argument("--journey", default="bill", choices=["bill", "event"])

    def handle(self, *args: Any, **options: Any) -> None:
        logging.disable(logging.WARNING)
        stage = stages.Stage()
        try:
            stack = cast.find_stack()
            if options["journey"] == "event":
                result = join_an_event.Journey(stack=stack, stage=stage).play()
                words = f"Paid {result['payout_units']} units of {result['token']} in {result['paid_in_s']} s"
            else:
                result = pay_a_bill.Journey(stack=stack, stage=stage, fee_mode=options["fee_mode"]).play()
                words = f"Paid and settled in {result['settled_in_s']} s, native coin spent by Ada: 0"
        except (errors.UnableTo, errors.Unreachable, errors.Refused, OSError) as error:
            stage.fail(str(error))
            sys.exit(1)
        stage.end(words=words, result=result)
