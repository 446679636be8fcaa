"""A utility's daily temperatures come in, from its source's address or from a file."""

import datetime
import logging

from django.db.models import Q

from meters import models
from meters.domain import weather
from openvpp.core import db, errors, http

logger = logging.getLogger(__name__)

EVERY = datetime.timedelta(hours=20)


class UnableToTakeWeather(errors.Invalid):
    """The utility has no source, or what it sent is no weather; nothing was stored."""


@db.durable
def fetch_due(*, now: datetime.datetime) -> int:
    """Fetch each source that has an address and told nothing for `EVERY`; return how many did.

    One that does not answer, or not with weather, is logged and asked again the next time.
    """
    due = models.WeatherSource.objects.exclude(url="").filter(Q(fetched_at=None) | Q(fetched_at__lte=now - EVERY))
    fetched = 0
    for utility_id in due.order_by("pk").values_list("utility_id", flat=True):
        try:
            fetch(utility_id=utility_id, now=now)
        except (errors.UnableTo, errors.Unreachable, errors.Refused) as error:
            logger.warning("weather of utility %s: %s", utility_id, error)
        else:
            fetched += 1
    return fetched


@db.durable
def fetch(*, utility_id: int, now: datetime.datetime) -> int:
    """Fetch a utility's weather from its source and return how many days it told.

    :raises UnableToTakeWeather: see its name.
    :raises errors.Unreachable: the source did not answer.
    :raises errors.Refused: its address is none that we read from, or it answered no.
    """
    source = _source(utility_id)
    if not source.url:
        raise UnableToTakeWeather("The source has no address; bring a file.", code="no_address")
    return take(utility_id=utility_id, text=http.get_from_stranger(url=source.url), now=now)


@db.durable
def take(*, utility_id: int, text: str, now: datetime.datetime) -> int:
    """Store a CSV of daily temperatures and return how many days it holds; a day told again takes the new value.

    :raises UnableToTakeWeather: see its name.
    """
    source = _source(utility_id)
    try:
        days = weather.read(text=text)
    except weather.UnreadableWeather as error:
        raise UnableToTakeWeather(str(error), code="weather_unreadable") from error
    with db.transaction():
        models.WeatherDay.objects.bulk_create(
            [models.WeatherDay(source=source, date=day, mean_milli_c=mean) for day, mean in days.items()],
            batch_size=1000,
            update_conflicts=True,
            unique_fields=["source", "date"],
            update_fields=["mean_milli_c"],
        )
        models.WeatherSource.objects.filter(pk=source.pk).update(fetched_at=now)
    return len(days)


def _source(utility_id: int) -> models.WeatherSource:
    source: models.WeatherSource | None = models.WeatherSource.objects.filter(utility_id=utility_id).first()
    if source is None:
        raise UnableToTakeWeather("The utility has set no source of weather.", code="no_source")
    return source
