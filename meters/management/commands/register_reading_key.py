"""`manage.py register_reading_key`: believe what a device signs."""

import argparse
from typing import Any

from django.core.management import base

from customers import models as customers_models
from meters import operations, queries
from meters.domain import signed_readings
from openvpp.core import clock, db, errors


class Command(base.BaseCommand):
    help = "Register the public key of the device at a service point and print its fingerprint."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--utility", required=True, help="Slug of the utility.")
        parser.add_argument("--service-point", required=True, help="Its number.")
        parser.add_argument("--device", required=True, help="Serial number of the device.")
        parser.add_argument("--algorithm", required=True, choices=[one.value for one in signed_readings.Algorithm])
        parser.add_argument("--public-key", required=True, help="In hex: 32 bytes of Ed25519, 33 or 65 of a curve.")
        parser.add_argument("--required", action="store_true", help="Refuse readings of the point without a signature.")

    def handle(self, *args: Any, **options: Any) -> None:
        utility = customers_models.Utility.objects.filter(slug=options["utility"]).first()
        if utility is None:
            raise base.CommandError(f"There is no utility {options['utility']}.")
        try:
            point = queries.get_service_point_id(utility_id=utility.pk, number=options["service_point"])
            with db.transaction():
                key = operations.register_reading_key(
                    utility_id=utility.pk,
                    service_point_id=point,
                    device=options["device"],
                    algorithm=signed_readings.Algorithm(options["algorithm"]),
                    public_key=bytes.fromhex(options["public_key"]),
                    is_required=options["required"],
                    now=clock.get_now(),
                )
        except errors.UnableTo as error:
            raise base.CommandError(error.detail) from error
        except ValueError as error:
            raise base.CommandError("The public key is not hex.") from error
        self.stdout.write(key.fingerprint)
