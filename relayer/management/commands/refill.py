"""`manage.py refill`: what beat does every fifteen seconds, at once."""

from typing import Any

from django.conf import settings
from django.core.management import base

from openvpp.core import clock, errors
from relayer.usecases import refill


class Command(base.BaseCommand):
    help = "Fill up relayer keys and paymasters' deposits that have fallen below their thresholds; say what is low."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            said = refill.refill(chain_id=settings.CHAIN_ID, now=clock.get_now())
        except errors.Unreachable as error:
            raise base.CommandError(str(error)) from None
        self.stdout.write("\n".join(said) or "nothing is low")
