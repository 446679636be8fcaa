"""`manage.py register_third_party`: who may ask a utility's customers for their data; its secrets are shown once."""

import argparse
import dataclasses
import json
from typing import Any

from django.core.management import base

from customers import models as customers_models
from openvpp.core import clock, errors
from sharing.usecases import register_third_party


class Command(base.BaseCommand):
    help = "Register a third party for Green Button Connect My Data and print its credentials as JSON."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--utility", required=True, help="Slug of the utility.")
        parser.add_argument("--name", required=True, help="As customers know it.")
        parser.add_argument("--redirect-uri", action="append", required=True, help="HTTPS; once for each.")
        parser.add_argument("--contact-email", required=True)
        parser.add_argument("--notify-uri", default="", help="Told of new data; HTTPS at a public address.")
        parser.add_argument("--scope", default=register_third_party.DEFAULT_SCOPE, help="The most it may ask for.")
        parser.add_argument("--description", default="", help="What it does with the data.")
        parser.add_argument("--website", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        utility = customers_models.Utility.objects.filter(slug=options["utility"]).first()
        if utility is None:
            raise base.CommandError(f"There is no utility {options['utility']}.")
        try:
            credentials = register_third_party.register(
                utility_id=utility.pk,
                name=options["name"],
                redirect_uris=options["redirect_uri"],
                contact_email=options["contact_email"],
                scope=options["scope"],
                notify_uri=options["notify_uri"],
                description=options["description"],
                website=options["website"],
                now=clock.get_now(),
            )
        except errors.UnableTo as error:
            raise base.CommandError(error.detail) from error
        self.stdout.write(json.dumps(dataclasses.asdict(credentials), indent=2))
