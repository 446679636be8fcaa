#!/usr/bin/env python3
"""Django's command line."""

import os
import sys

from django.core import management

OFFLINE = {"rate", "rate_batch"}
LEAN = {"bundler", "relay", "signer"}  # processes of their own that know only the storeys they need

if __name__ == "__main__":
    if LEAN.intersection(sys.argv[1:2]):
        os.environ["OPENVPP_IS_LEAN"] = "yes"
    settings = "offline" if OFFLINE.intersection(sys.argv[1:2]) else "local"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", f"openvpp.settings.{settings}")
    management.execute_from_command_line(sys.argv)
