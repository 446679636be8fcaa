"""`manage.py change_payee OLD NEW`: owner keys of wallets let sessions in that pay a utility's new treasury."""

import argparse
from typing import Any

from django.core.management import base

from contracts.bindings import words
from custody.adapters import key_files, process_memory
from custody.domain import sealing
from custody.usecases import change_payee


class Command(base.BaseCommand):
    help = "Seal the keys of wallets whose sessions may pay OLD for NEW instead. Needs the key-encryption key."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("old", type=words.parse_address, help="The treasury until now.")
        parser.add_argument("new", type=words.parse_address, help="The treasury from now on.")

    def handle(self, *args: Any, **options: Any) -> None:
        process_memory.keep_private()
        try:
            ring = key_files.load_ring_from_environment()
            count = change_payee.change_payee(before=options["old"], after=options["new"], ring=ring)
        except (key_files.UnableToReadKeyFile, sealing.UnableToOpenSeal) as error:
            raise base.CommandError(str(error)) from None
        self.stdout.write(f"{count} keys are for the new payee")
