"""What is billed, who may do what with it, and tries to claim it."""

from django.conf import settings
from django.core import exceptions
from django.db import models
from django.db.models import F, Q

from customers.models import people, tenants


class CustomerAccount(models.Model):
    """What is billed: one account at one utility."""

    utility = models.ForeignKey(tenants.Utility, on_delete=models.PROTECT, related_name="accounts")
    number = models.CharField(max_length=32)
    claim_proof = models.CharField(
        max_length=200, blank=True, help_text="Hash of the second proof with which a person claims the account."
    )
    opened_on = models.DateField()
    closed_on = models.DateField(null=True, blank=True)

    utility_path = "utility"
    user_path = "accesses__customer__user"
    objects = tenants.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["utility", "number"], name="account_number_once"),
            models.CheckConstraint(
                condition=Q(closed_on__isnull=True) | Q(closed_on__gte=F("opened_on")), name="account_period_is_forward"
            ),
        ]

    def __str__(self) -> str:
        return self.number


class AccountAccess(models.Model):
    """What a customer may do with an account."""

    class Role(models.TextChoices):
        HOLDER = "holder", "Holder"
        PAYER = "payer", "Payer"
        VIEWER = "viewer", "Viewer"

    customer = models.ForeignKey(people.Customer, on_delete=models.CASCADE, related_name="accesses")
    account = models.ForeignKey(CustomerAccount, on_delete=models.CASCADE, related_name="accesses")
    role = models.CharField(max_length=10, choices=Role)

    utility_path = "account__utility"
    user_path = "customer__user"
    objects = tenants.TenantQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "account accesses"
        constraints = [models.UniqueConstraint(fields=["customer", "account"], name="account_access_once")]

    def __str__(self) -> str:
        return f"{self.customer} ({self.get_role_display()})"

    def clean(self) -> None:
        """Keep utilities apart in forms.

        :raises ValidationError: customer and account belong to different utilities.
        """
        if self.customer_id and self.account_id and self.customer.utility_id != self.account.utility_id:
            raise exceptions.ValidationError("Customer and account belong to different utilities.")


class ClaimAttempt(models.Model):
    """One try to claim an account, kept for the rate limit and for the auditor."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    utility = models.ForeignKey(tenants.Utility, on_delete=models.CASCADE, related_name="+")
    account_number = models.CharField(max_length=32)
    succeeded = models.BooleanField()
    made_at = models.DateTimeField()

    utility_path = "utility"
    user_path = ""
    objects = tenants.TenantQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["user", "made_at"], name="claim_by_user"),
            models.Index(fields=["utility", "account_number", "made_at"], name="claim_by_account"),
        ]

    def __str__(self) -> str:
        return f"{self.account_number} by {self.user_id}"
