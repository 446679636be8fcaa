"""Third parties, and what customers let them see (Green Button Connect My Data)."""

import datetime
import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from customers import models as customers_models
from wallets.domain import data_scopes


class ThirdParty(models.Model):
    """A company that a utility registered to receive its customers' data, each with that customer's leave.

    `application` asks customers; `system_application` (client credentials) asks about registration and status.
    """

    utility = models.ForeignKey(customers_models.Utility, on_delete=models.PROTECT, related_name="third_parties")
    name = models.CharField(max_length=200)
    application = models.OneToOneField("wallets.Application", on_delete=models.PROTECT, related_name="third_party")
    system_application = models.OneToOneField("wallets.Application", on_delete=models.PROTECT, related_name="+")
    description = models.CharField(max_length=256, blank=True, help_text="What it does with the data, in its words.")
    website = models.URLField(max_length=200, blank=True)
    contact_email = models.EmailField()
    notify_uri = models.URLField(max_length=400, blank=True, help_text="Told of new data (HTTPS); empty: never told.")
    registered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    registered_at = models.DateTimeField()

    utility_path = "utility"
    user_path = ""
    objects = customers_models.TenantQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "third parties"
        constraints = [
            models.UniqueConstraint(fields=["utility", "name"], name="third_party_once_per_utility"),
            models.CheckConstraint(
                condition=~Q(application=F("system_application")), name="third_party_applications_differ"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Authorization(models.Model):
    """A customer's leave for a third party to have their data: what, from which day on, until when.

    It is ESPI's Authorization and its Subscription; `shown_text` is what the person read. Ended once, for ever.
    """

    class EndedBy(models.TextChoices):
        CUSTOMER = "customer", "The customer"
        THIRD_PARTY = "third_party", "The third party"
        UTILITY = "utility", "The utility"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    third_party = models.ForeignKey(ThirdParty, on_delete=models.PROTECT, related_name="authorizations")
    customer = models.ForeignKey(customers_models.Customer, on_delete=models.PROTECT, related_name="authorizations")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    scope = models.CharField(max_length=256)
    shown_text = models.TextField(help_text="The words of the consent page that the person agreed to.")
    history_starts_at = models.DateTimeField(help_text="Nothing older is told.")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.CharField(max_length=20, choices=EndedBy, blank=True)
    data_changed_at = models.DateTimeField(null=True, blank=True, help_text="When new data last came.")
    notified_at = models.DateTimeField(null=True, blank=True, help_text="Of which change the third party was told.")

    utility_path = "third_party__utility"
    user_path = "user"
    objects = customers_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="authorization_is_forward"),
            models.CheckConstraint(
                condition=Q(history_starts_at__lte=F("starts_at")), name="authorization_history_is_before"
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True, ended_by="") | Q(ended_at__isnull=False) & ~Q(ended_by=""),
                name="authorization_is_ended_by_somebody",
            ),
        ]
        indexes = [models.Index(fields=["third_party", "-starts_at"], name="authorization_by_party")]

    def __str__(self) -> str:
        return f"{self.customer} to {self.third_party}"

    @property
    def terms(self) -> data_scopes.DataScope:
        """Return what was agreed to."""
        return data_scopes.DataScope.parse(self.scope)

    def is_live(self, *, now: datetime.datetime) -> bool:
        """Say whether the third party may have data at this instant."""
        return self.ended_at is None and self.starts_at <= now < self.ends_at


class AuthorizedPoint(models.Model):
    """A service point under an authorization; its id is what the third party calls it, and is known to no other."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    authorization = models.ForeignKey(Authorization, on_delete=models.CASCADE, related_name="points")
    service_point = models.ForeignKey(customers_models.ServicePoint, on_delete=models.PROTECT, related_name="+")

    utility_path = "authorization__third_party__utility"
    user_path = "authorization__user"
    objects = customers_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["authorization", "service_point"], name="authorized_point_once"),
        ]

    def __str__(self) -> str:
        return f"{self.service_point} ({self.authorization})"
