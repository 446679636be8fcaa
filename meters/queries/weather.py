"""The weather of days, for utilities that have a source of it."""

import dataclasses
import datetime

from meters import models
from meters.domain import weather


@dataclasses.dataclass(frozen=True, slots=True)
class DailyWeather:
    """A source's means by local day, and its bases."""

    station: str
    means: dict[datetime.date, int]
    heating_base_milli_c: int
    cooling_base_milli_c: int

    def of(self, *, first: datetime.date, after: datetime.date) -> weather.Weather | None:
        """Return the weather of the local days `[first, after)`, or None where none is known."""
        return weather.summarize(
            means=[mean for day, mean in self.means.items() if first <= day < after],
            heating_base_milli_c=self.heating_base_milli_c,
            cooling_base_milli_c=self.cooling_base_milli_c,
        )


def get_weather(*, utility_id: int, first: datetime.date, after: datetime.date) -> DailyWeather | None:
    """Return the weather of the local days `[first, after)`, or None of a utility without a source."""
    source = models.WeatherSource.objects.filter(utility_id=utility_id).first()
    if source is None:
        return None
    days = source.days.filter(date__gte=first, date__lt=after).values_list("date", "mean_milli_c")
    return DailyWeather(source.name, dict(days), source.heating_base_milli_c, source.cooling_base_milli_c)
