"""`manage.py provision_chain --utility SLUG`."""

import os
import uuid
from typing import Any

from django.conf import settings
from django.core.management import base

from customers import queries as customer_queries
from openvpp.core import clock, errors
from relayer.adapters import deployer
from relayer.usecases import deploy_contracts, provision_chain, refresh_prices


class Command(base.BaseCommand):
    help = (
        "Make relayer, refill and sponsor keys, fund them by the signer's deployer key (on a development chain by "
        "that of DEPLOYER_KEY_FILE), set budgets and limits; idempotent."
    )

    def add_arguments(self, parser: base.CommandParser) -> None:
        parser.add_argument("--utility", required=True, help="slug of the utility")
        parser.add_argument(
            "--program",
            type=uuid.UUID,
            action="append",
            default=[],
            help="id of a program with a budget of its own",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path = os.environ.get("DEPLOYER_KEY_FILE")
        try:
            utility = customer_queries.get_utility(slug=options["utility"])
            done = provision_chain.provision_chain(
                utility_id=utility.pk,
                chain_id=settings.CHAIN_ID,
                owner=(
                    deployer.load(path=path, chain_id=settings.CHAIN_ID)
                    if path
                    else deploy_contracts.get_deployer(chain_id=settings.CHAIN_ID)
                ),
                provision=provision_chain.Provision(
                    limit_per_operation_wei=settings.GAS_PER_OPERATION_WEI,
                    limit_per_day_wei=settings.GAS_PER_DAY_WEI,
                    program_budget_wei=settings.GAS_PER_PROGRAM_WEI,
                    most_per_refill_wei=settings.REFILL_PER_TRANSFER_WEI,
                    most_refilled_per_day_wei=settings.REFILL_PER_DAY_WEI,
                    programs=tuple(options["program"]),
                ),
            )
            refresh_prices.refresh_prices(chain_id=settings.CHAIN_ID, now=clock.get_now())
        except (errors.UnableTo, errors.Unreachable, errors.Refused, deployer.UnableToReadDeployerKey) as error:
            raise base.CommandError(str(error)) from None
        self.stdout.write("\n".join(done) or "nothing to do")
