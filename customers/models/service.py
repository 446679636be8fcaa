"""Places that are served, the service that accounts take there, and the meters."""

from django.core import exceptions
from django.db import models
from django.db.models import F, Q

from customers.models import accounts, tenants


class Premise(models.Model):
    """A place that is served."""

    utility = models.ForeignKey(tenants.Utility, on_delete=models.PROTECT, related_name="premises")
    street = models.CharField(max_length=200)
    city = models.CharField(max_length=100)
    region = models.CharField(max_length=100, blank=True)
    postal_code = models.CharField(max_length=20)
    country = models.CharField(max_length=2, default="US")

    utility_path = "utility"
    user_path = "service_points__agreements__account__accesses__customer__user"
    objects = tenants.TenantQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.street}, {self.city}"


class ServicePoint(models.Model):
    """Where energy is delivered; CIM's UsagePoint."""

    premise = models.ForeignKey(Premise, on_delete=models.PROTECT, related_name="service_points")
    number = models.CharField(max_length=64, help_text="The utility's own identifier of the point.")

    utility_path = "premise__utility"
    user_path = "agreements__account__accesses__customer__user"
    objects = tenants.TenantQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["premise", "number"], name="service_point_once")]

    def __str__(self) -> str:
        return self.number


class ServiceAgreement(models.Model):
    """An account takes service at a point under a tariff, on the local days `[starts_on, ends_on)`."""

    account = models.ForeignKey(accounts.CustomerAccount, on_delete=models.PROTECT, related_name="agreements")
    service_point = models.ForeignKey(ServicePoint, on_delete=models.PROTECT, related_name="agreements")
    tariff_code = models.CharField(max_length=64, help_text="Code of the utility's tariff.")
    starts_on = models.DateField()
    ends_on = models.DateField(null=True, blank=True)

    utility_path = "account__utility"
    user_path = "account__accesses__customer__user"
    objects = tenants.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_on__isnull=True) | Q(ends_on__gt=F("starts_on")), name="agreement_period_is_forward"
            ),
            models.UniqueConstraint(
                fields=["service_point"], condition=Q(ends_on__isnull=True), name="agreement_open_once_per_point"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account} at {self.service_point}"

    def clean(self) -> None:
        """Keep utilities apart in forms.

        :raises ValidationError: account and service point belong to different utilities.
        """
        if not self.account_id or not self.service_point_id:
            return
        if self.account.utility_id != self.service_point.premise.utility_id:
            raise exceptions.ValidationError("Account and service point belong to different utilities.")


class MeterInstallation(models.Model):
    """A meter stands at a service point on the local days `[starts_on, ends_on)`."""

    service_point = models.ForeignKey(ServicePoint, on_delete=models.PROTECT, related_name="meters")
    serial = models.CharField(max_length=64)
    multiplier = models.DecimalField(
        max_digits=12, decimal_places=6, default=1, help_text="Reads times this are energy."
    )
    starts_on = models.DateField()
    ends_on = models.DateField(null=True, blank=True)

    utility_path = "service_point__premise__utility"
    user_path = "service_point__agreements__account__accesses__customer__user"
    objects = tenants.TenantQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["serial"], name="meter_by_serial")]
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_on__isnull=True) | Q(ends_on__gt=F("starts_on")), name="meter_period_is_forward"
            ),
            models.CheckConstraint(condition=Q(multiplier__gt=0), name="meter_multiplier_is_positive"),
            models.UniqueConstraint(
                fields=["service_point", "serial"], condition=Q(ends_on__isnull=True), name="meter_open_once_per_point"
            ),
        ]

    def __str__(self) -> str:
        return self.serial
