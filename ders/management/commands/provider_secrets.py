"""`manage.py provider_secrets SLUG`: the two secrets to hand over to a provider, shown once and stored nowhere."""

import argparse
from typing import Any

from django.core.management import base

from ders import models
from ders.adapters import secrets


class Command(base.BaseCommand):
    help = "Print the secrets that sign our requests to a provider and its messages to us."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("slug")

    def handle(self, *args: Any, **options: Any) -> None:
        provider = models.Provider.objects.filter(slug=options["slug"]).first()
        if provider is None:
            raise base.CommandError(f"There is no provider {options['slug']}.")
        for direction in secrets.Direction:
            secret = secrets.derive(slug=provider.slug, version=provider.secret_version, direction=direction)
            self.stdout.write(f"{direction.value} {secret.hex()}")
