"""The weather that a utility sets beside usage, if it has a source of it."""

from django.db import models
from django.db.models import F, Q

from customers import models as customers_models


class WeatherSource(models.Model):
    """Where a utility's daily temperatures come from; a utility without one shows no weather."""

    utility = models.OneToOneField(customers_models.Utility, on_delete=models.PROTECT, related_name="weather_source")
    name = models.CharField(max_length=100, help_text="Of the station, as customers are told.")
    url = models.URLField(
        max_length=400, blank=True, help_text="CSV with the columns date and mean_c or mean_f (HTTPS); empty: by file."
    )
    heating_base_milli_c = models.IntegerField(default=18_000, help_text="Heating degree days count below it.")
    cooling_base_milli_c = models.IntegerField(default=18_000, help_text="Cooling degree days count above it.")
    fetched_at = models.DateTimeField(null=True, blank=True)

    utility_path = "utility"
    user_path = ""
    objects = customers_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(heating_base_milli_c__lte=F("cooling_base_milli_c")), name="weather_bases_are_in_order"
            )
        ]

    def __str__(self) -> str:
        return self.name


class WeatherDay(models.Model):
    """The mean temperature of a local day."""

    source = models.ForeignKey(WeatherSource, on_delete=models.CASCADE, related_name="days")
    date = models.DateField()
    mean_milli_c = models.IntegerField()

    utility_path = "source__utility"
    user_path = ""
    objects = customers_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "date"], name="weather_day_once")]

    def __str__(self) -> str:
        return f"{self.source}: {self.date}"
