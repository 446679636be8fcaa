"""`manage.py check_signatures [--seen FILE]`: says whether the log of signatures is whole."""

import argparse
import json
import pathlib
from typing import Any

from django.core.management import base

from custody.usecases import check_log


class Command(base.BaseCommand):
    requires_system_checks = []
    help = (
        "Walk the hash chain of every key's signatures; fails if an entry was changed or taken out. Prints how each "
        "chain ends, a line of JSON each: keep that elsewhere and give it as --seen, then a chain that was cut at its "
        "end, or written anew, is seen as well."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--seen", type=pathlib.Path, help="What this command printed before.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            lines = options["seen"].read_text(encoding="utf-8").splitlines() if options["seen"] else []
            seen = [check_log.Head(**json.loads(line)) for line in lines if line.strip()]
        except (OSError, ValueError, TypeError) as error:
            raise base.CommandError(f"{options['seen']} is not what this command prints: {error}") from None
        findings = check_log.check_log(seen=seen)
        if findings.wrong:
            raise base.CommandError("\n".join(findings.wrong))
        for head in findings.heads:
            fields = {"address": head.address, "sequence": head.sequence, "hash": head.hash}
            self.stdout.write(json.dumps(fields, sort_keys=True))
