"""`manage.py rewrap_keys`: wrap every data key by the key in KEK_FILE; KEK_PREVIOUS_FILE opens what is older."""

from typing import Any

from django.core.management import base

from custody.adapters import key_files, process_memory
from custody.domain import sealing
from custody.usecases import rewrap_keys


class Command(base.BaseCommand):
    help = (
        "Rotate the key-encryption key. Start the signer with both files first (KEK_FILE the new one, "
        "KEK_PREVIOUS_FILE the old one), run this with the same two, then drop the old one."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        process_memory.keep_private()
        try:
            count = rewrap_keys.rewrap_keys(ring=key_files.load_ring_from_environment())
        except (key_files.UnableToReadKeyFile, sealing.UnableToOpenSeal) as error:
            raise base.CommandError(str(error)) from None
        self.stdout.write(f"{count} keys wrapped anew")
