"""Imports a Green Button file from the command line."""

from meters.management import importing
from meters.usecases import ingest_readings


class Command(importing.ImportCommand):
    help = "Import the readings of a Green Button (ESPI) file."
    ingest = staticmethod(ingest_readings.ingest_green_button)
