"""What the columns of one source's CSV mean."""

import dataclasses
import zoneinfo
from collections.abc import Mapping
from fractions import Fraction

from meters.domain import units

ISO, EPOCH = "iso", "epoch"
_HOUR = 3600
_KILO = 1000
_UNITS = {
    "Wh": (units.Unit.WATT_HOUR, 1),
    "kWh": (units.Unit.WATT_HOUR, _KILO),
    "MWh": (units.Unit.WATT_HOUR, _KILO**2),
    "kVAh": (units.Unit.VOLT_AMPERE_HOUR, _KILO),
    "kvarh": (units.Unit.VOLT_AMPERE_REACTIVE_HOUR, _KILO),
}
POWER = "kW"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CsvMapping:
    """A column is named by its header, or by `#` and its place from 1; empty where there is none.

    `time_format` is `iso`, `epoch` (seconds), or strptime's. Stamps without an offset are those of `zone`; of a local
    hour that comes twice, the first stamp seen of a point is the earlier one. `unit` is one of Wh, kWh, MWh, kVAh,
    kvarh, or kW for the mean power over the interval.
    """

    zone: zoneinfo.ZoneInfo
    time_column: str
    value_column: str
    delimiter: str = ","
    lines_before: int = 0
    has_header: bool = True
    point_column: str = ""
    clock_column: str = ""
    time_format: str = ISO
    is_end_stamped: bool = False
    interval_seconds: int = 900
    received_column: str = ""
    unit: str = "kWh"
    decimal_comma: bool = False
    flow: units.Flow = units.Flow.DELIVERED
    quality_column: str = ""
    quality_words: Mapping[str, units.Quality] = dataclasses.field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that are named, each once."""
        named = (
            self.point_column,
            self.time_column,
            self.clock_column,
            self.value_column,
            self.received_column,
            self.quality_column,
        )
        return tuple(dict.fromkeys(column for column in named if column))

    @property
    def stored_unit(self) -> units.Unit:
        """Return the unit that readings are kept in."""
        return units.Unit.WATT_HOUR if self.unit == POWER else _UNITS[self.unit][0]

    @property
    def milli_per_unit(self) -> Fraction:
        """Return how many thousandths of the kept unit one of the file's is."""
        if self.unit == POWER:
            return Fraction(_KILO * _KILO * self.interval_seconds, _HOUR)
        return Fraction(_UNITS[self.unit][1] * _KILO)
