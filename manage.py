#!/usr/bin/env python3
"""Django's command line."""

import os
import sys

from django.core import management

OFFLINE = {"rate", "rate_batch"}
# Processes of their own that know only the storeys they need: up to which one.
LEAN = {"bundler": "relayer", "relay": "relayer", "revoker": "wallets", "signer": "relayer"}

if __name__ == "__main__":
    for command in LEAN.keys() & set(sys.argv[1:2]):
        os.environ["OPENVPP_LEAN_UP_TO"] = LEAN[command]
    settings = "offline" if OFFLINE.intersection(sys.argv[1:2]) else "local"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", f"openvpp.settings.{settings}")
    management.execute_from_command_line(sys.argv)
