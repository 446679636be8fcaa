"""The end of what a person has at a utility."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from customers.models import people, tenants
from openvpp.core import fields


class Closing(models.Model):
    """A customer's wish to end what they have here: announced, called off until it is carried out, then final."""

    class State(models.TextChoices):
        ANNOUNCED = "announced", "Announced"
        CLOSING = "closing", "Being carried out"
        CLOSED = "closed", "Closed"
        CANCELLED = "cancelled", "Called off"

    OPEN_STATES = (State.ANNOUNCED, State.CLOSING)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    customer = models.ForeignKey(people.Customer, on_delete=models.PROTECT, related_name="closings")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    send_to = fields.AddressField(null=True, blank=True, help_text="Where what is left in the wallet goes.")
    state = models.CharField(max_length=10, choices=State, default=State.ANNOUNCED)
    closes_at = models.DateTimeField(help_text="Until then it can be called off.")
    waits_for = models.JSONField(
        default=list, blank=True, help_text="What stood against it when it was looked at last."
    )
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    utility_path = "customer__utility"
    user_path = "customer__user"
    objects = tenants.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["customer"], condition=Q(state__in=["announced", "closing"]), name="closing_open_once"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["announced", "closing"], ended_at__isnull=True)
                | Q(state__in=["closed", "cancelled"], ended_at__isnull=False),
                name="closing_ended_with_its_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.customer}: {self.get_state_display()}"
