"""Issues the approved drafts of a utility's run."""

import argparse
import datetime
from typing import Any

from django.core.management import base

from billing import models
from billing.management.commands import draft_bills
from billing.usecases import issue_drafts
from customers import queries as customer_queries
from openvpp.core import clock, errors


class Command(base.BaseCommand):
    help = "Issue the drafts of a run that was approved in the admin. May be stopped and started again."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--utility", required=True, help="Its slug.")
        parser.add_argument("--from", dest="starts_on", type=datetime.date.fromisoformat, required=True)
        parser.add_argument("--to", dest="ends_on", type=datetime.date.fromisoformat, required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            utility = customer_queries.get_utility(slug=options["utility"])
            run = models.BillRun.objects.filter(
                utility=utility, starts_on=options["starts_on"], ends_on=options["ends_on"]
            ).first()
            if run is None:
                raise base.CommandError("There is no run of this utility for these days.")
            with draft_bills.bar() as shown:
                task = shown.add_task("Issuing", total=None)
                issued = issue_drafts.issue_drafts(
                    run_id=run.pk,
                    now=clock.get_now(),
                    on_progress=lambda done, total: shown.update(task, completed=done, total=total),
                )
        except errors.UnableTo as error:
            raise base.CommandError(error.detail) from error
        left = models.BillDraft.objects.filter(run=run, bill__isnull=True).count()
        self.stdout.write(f"{run}: {issued} issued, {left} left as drafts.")
