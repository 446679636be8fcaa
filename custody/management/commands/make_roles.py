"""`manage.py make_roles`: the signer's own role of the database, and everybody else's."""

import argparse
import pathlib
from typing import Any

from django.core.management import base

from custody.usecases import make_roles


class Command(base.BaseCommand):
    requires_system_checks = []
    help = (
        "Make the database's roles of signer and web, or renew their rights; run as the owner of the tables after each "
        "migrate, then give each process the URL of its role."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        for role in ("signer", "web"):
            parser.add_argument(f"--{role}", default=f"openvpp_{role}", help=f"Name of the {role}'s role.")
            parser.add_argument(f"--{role}-password-file", type=pathlib.Path, required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        roles = {
            role: make_roles.Role(name=options[role], password=options[f"{role}_password_file"].read_text().strip())
            for role in ("signer", "web")
        }
        make_roles.make_roles(signer=roles["signer"], web=roles["web"])
        self.stdout.write(f"{options['signer']} signs, {options['web']} does everything else")
