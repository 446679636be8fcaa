"""Imports a NEM12 or NEM13 file from the command line."""

from meters.management import importing
from meters.usecases import ingest_readings


class Command(importing.ImportCommand):
    help = "Import the readings of a NEM12 or NEM13 file, plain or in a zip."
    ingest = staticmethod(ingest_readings.ingest_nem)
