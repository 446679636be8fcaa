"""Which meters stand behind which: chargers, roofs, batteries, the tenants of a building."""

from django.core import exceptions
from django.db import models
from django.db.models import F, Q

from customers import models as customers_models


class Submeter(models.Model):
    """A service point whose energy passes through another's meter, on the local days `[starts_on, ends_on)`.

    Its energy is billed to its own account and taken off the parent's (`meters.domain.submetering`). Written by
    `meters.operations.attach_submeter` alone, which lets no point stand behind two at once, nor behind itself.
    """

    class Kind(models.TextChoices):
        CHARGER = "charger", "Charger"
        GENERATION = "generation", "Solar or other generation"
        BATTERY = "battery", "Battery"
        TENANT = "tenant", "Tenant"
        OTHER = "other", "Other"

    parent = models.ForeignKey(customers_models.ServicePoint, on_delete=models.PROTECT, related_name="submeters")
    child = models.ForeignKey(customers_models.ServicePoint, on_delete=models.PROTECT, related_name="behind")
    kind = models.CharField(max_length=10, choices=Kind)
    starts_on = models.DateField()
    ends_on = models.DateField(null=True, blank=True)

    utility_path = "parent__premise__utility"
    user_path = "child__agreements__account__accesses__customer__user"
    objects = customers_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(parent=F("child")), name="submeter_is_not_its_own_parent"),
            models.CheckConstraint(
                condition=Q(ends_on__isnull=True) | Q(ends_on__gt=F("starts_on")), name="submeter_is_forward"
            ),
            models.UniqueConstraint(
                fields=["child"], condition=Q(ends_on__isnull=True), name="submeter_open_once_per_child"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.child} behind {self.parent}"

    def clean(self) -> None:
        """Keep utilities apart in forms.

        :raises ValidationError: parent and child belong to different utilities, or are one.
        """
        if not self.parent_id or not self.child_id:
            return
        if self.parent_id == self.child_id:
            raise exceptions.ValidationError("A meter does not stand behind itself.")
        if self.parent.premise.utility_id != self.child.premise.utility_id:
            raise exceptions.ValidationError("The two service points belong to different utilities.")
