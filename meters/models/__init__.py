"""What is measured, how it came in, what is odd about it, and what it was before."""

from meters.models.channels import Channel, ImportBatch
from meters.models.days import MeterDay, MeterDayVersion, PackedDay, PeriodReading
from meters.models.imports import CsvSource, FileImport, ImportPart, StagedChunk
from meters.models.questions import MeterException, ValidationRules
from meters.models.registers import Register, RegisterRead
from meters.models.signatures import ReadingKey, SignedReading
from meters.models.submeters import Submeter
from meters.models.weather import WeatherDay, WeatherSource

__all__ = [
    "Channel",
    "CsvSource",
    "FileImport",
    "ImportBatch",
    "ImportPart",
    "MeterDay",
    "MeterDayVersion",
    "MeterException",
    "PackedDay",
    "PeriodReading",
    "ReadingKey",
    "Register",
    "RegisterRead",
    "SignedReading",
    "StagedChunk",
    "Submeter",
    "ValidationRules",
    "WeatherDay",
    "WeatherSource",
]
