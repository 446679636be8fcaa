"""Drafts all bills of a utility for a period."""

import argparse
import datetime
import sys
from typing import Any

from django.core.management import base
from rich import console, progress

from billing import models
from billing.usecases import draft_bills
from customers import queries as customer_queries
from openvpp.core import clock, errors

EXCEPTIONS_SHOWN = 20


class Command(base.BaseCommand):
    help = (
        "Draft the bills of every account of a utility that was served on the local days from --from until before "
        "--to. May be stopped and started again: what is drafted stays, what failed is tried again."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--utility", required=True, help="Its slug.")
        parser.add_argument("--from", dest="starts_on", type=datetime.date.fromisoformat, required=True)
        parser.add_argument("--to", dest="ends_on", type=datetime.date.fromisoformat, required=True)
        parser.add_argument("--workers", type=int, default=1, help="Processes that rate at once.")
        parser.add_argument("--again", action="store_true", help="First throw the drafts away that are there.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["workers"] < 1:
            raise base.CommandError("There is at least one worker.")
        try:
            utility = customer_queries.get_utility(slug=options["utility"])
            run = models.BillRun.objects.filter(
                utility=utility, starts_on=options["starts_on"], ends_on=options["ends_on"]
            ).first()
            if options["again"] and run is not None:
                draft_bills.discard_drafts(run_id=run.pk)
            with bar() as shown:
                task = shown.add_task("Drafting", total=None)
                run, done = draft_bills.draft_bills(
                    utility_id=utility.pk,
                    starts_on=options["starts_on"],
                    ends_on=options["ends_on"],
                    now=clock.get_now(),
                    workers=options["workers"],
                    on_progress=lambda done, total: shown.update(task, completed=done.done, total=total),
                )
        except errors.UnableTo as error:
            raise base.CommandError(error.detail) from error
        self.stdout.write(
            f"{run}: {done.together + done.alone} drafted, {done.alone} of them alone, {done.billed} billed before, "
            f"{done.impossible} impossible."
        )
        exceptions = run.exceptions.select_related("account").order_by("account__number")
        for each in exceptions[:EXCEPTIONS_SHOWN]:
            self.stderr.write(f"{each.account.number} {each.code}: {each.detail} {each.remedy}")
        if exceptions.count() > EXCEPTIONS_SHOWN:
            self.stderr.write(f"and {exceptions.count() - EXCEPTIONS_SHOWN} more: see the run in the admin.")


def bar() -> progress.Progress:
    """Return a progress bar on stderr that goes away at the end."""
    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
        console=console.Console(file=sys.stderr),
        transient=True,
    )
