"""Utilities (the tenants), the tokens they take, their staff, and whose row is whose.

Isolation is a property of the querysets: a view or an admin page starts from `visible_to(user)`, never from
`objects.all()`.
"""

from typing import TYPE_CHECKING, Any, Self

from django.conf import settings
from django.core import validators
from django.db import models
from django.db.models import F, Q

from openvpp.core import fields

if TYPE_CHECKING:
    from customers.models.people import User


class TenantQuerySet(models.QuerySet[Any]):
    """Rows that belong to a utility, found by the model's `utility_path` and `user_path`."""

    def visible_to(self, user: "User") -> Self:
        """Return what this person may know of: as staff of a utility, or as its customer."""
        if not user.is_active:
            return self.none()
        return self.filter(Q(pk__in=self._staff_rows(user)) | Q(pk__in=self._customer_rows(user)))

    def for_staff(self, user: "User") -> Self:
        """Return the rows of the utilities where this person has a staff role."""
        return self.filter(pk__in=self._staff_rows(user)) if user.is_active else self.none()

    def for_customer(self, user: "User") -> Self:
        """Return the rows that are this person's own as a customer."""
        return self.of_customer(user.pk) if user.is_active else self.none()

    def of_customer(self, user_id: Any) -> Self:
        """Return the same of an active person by their id, or by the place of one in a statement (`sql.Slot`)."""
        return self.filter(pk__in=self._customer_rows(user_id))

    def of_utility(self, utility_id: Any) -> Self:
        """Return the rows of one utility, given by its id or the place of one in a statement (`sql.Slot`)."""
        return self.filter(**{self._utility_path: utility_id})

    @property
    def _utility_path(self) -> str:
        return str(self.model.utility_path)

    def _staff_rows(self, user: "User") -> Any:
        rows = self.model._base_manager.order_by()  # noqa: SLF001 - the unfiltered manager is Django's own name
        if not user.is_superuser:
            rows = rows.filter(
                **{f"{self._utility_path}__in": StaffRole.objects.filter(user=user).values("utility_id")}
            )
        return rows.values("pk")

    def _customer_rows(self, user_id: Any) -> Any:
        rows = self.model._base_manager.order_by()  # noqa: SLF001 - the unfiltered manager is Django's own name
        path = self.model.user_path
        return rows.filter(**{path: user_id}).values("pk") if path else rows.none().values("pk")


class FeeMode(models.TextChoices):
    """Who pays the network fee, and in what."""

    OVPP = "ovpp", "Customer, in $OVPP"
    STABLECOIN = "stablecoin", "Customer, in the stablecoin"
    UTILITY = "utility", "Utility"


class Utility(models.Model):
    """A tenant: an electric utility."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=200)
    time_zone = models.CharField(max_length=64, default="America/New_York")
    currency = models.CharField(max_length=3, default="USD")
    territory = models.CharField(max_length=200, blank=True, help_text="Where it serves, in words.")
    brand_color = models.CharField(
        max_length=7, default="#0b5fff", validators=[validators.RegexValidator(r"^#[0-9a-fA-F]{6}$")]
    )
    chain_id = models.PositiveBigIntegerField()
    treasury_address = fields.AddressField(help_text="Where customers' payments go.")
    default_fee_mode = models.CharField(max_length=10, choices=FeeMode, default=FeeMode.UTILITY)
    offers_fee_in_ovpp = models.BooleanField(default=True)
    offers_fee_in_stablecoin = models.BooleanField(default=True)
    absorbs_fee = models.BooleanField(default=True)
    # What a customer is first offered on the consent page, and how far they may go from there.
    default_payment_limit_cents = models.PositiveIntegerField(default=50_000)
    default_period_limit_cents = models.PositiveIntegerField(default=100_000)
    default_grant_days = models.PositiveSmallIntegerField(default=180)
    max_payment_limit_cents = models.PositiveIntegerField(default=200_000)
    max_period_limit_cents = models.PositiveIntegerField(default=400_000)
    max_grant_days = models.PositiveSmallIntegerField(default=365)
    step_up_above_cents = models.PositiveIntegerField(
        default=100_000,
        help_text="Above this limit for 30 days a customer proves again who they are before they allow it.",
    )

    utility_path = "id"
    user_path = "customers__user"
    objects = TenantQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "utilities"
        constraints = [
            models.CheckConstraint(
                condition=Q(default_payment_limit_cents__lte=F("default_period_limit_cents"))
                & Q(default_payment_limit_cents__lte=F("max_payment_limit_cents"))
                & Q(default_period_limit_cents__lte=F("max_period_limit_cents"))
                & Q(default_grant_days__lte=F("max_grant_days"))
                & Q(default_payment_limit_cents__gt=0)
                & Q(default_grant_days__gt=0),
                name="utility_grant_defaults_within_bounds",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class AcceptedToken(models.Model):
    """A token that a utility takes for bills (one unit of `currency` each), or for fees only."""

    utility = models.ForeignKey(Utility, on_delete=models.PROTECT, related_name="tokens")
    address = fields.AddressField()
    symbol = models.CharField(max_length=16)
    decimals = models.PositiveSmallIntegerField(validators=[validators.MaxValueValidator(36)])
    pays_bills = models.BooleanField()
    pays_fees = models.BooleanField()
    fee_cap_units = fields.Uint256Field(
        default=0, help_text="Most network fee per payment that a customer's grant allows in this token, in base units."
    )

    utility_path = "utility"
    user_path = "utility__customers__user"
    objects = TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["utility", "address"], name="accepted_token_once"),
            models.UniqueConstraint(fields=["utility", "symbol"], name="accepted_token_symbol_once"),
        ]

    def __str__(self) -> str:
        return self.symbol


class StaffRole(models.Model):
    """What a person may do at a utility."""

    class Role(models.TextChoices):
        CSR = "csr", "Customer service"
        BILLING_ANALYST = "billing_analyst", "Billing analyst"
        PROGRAM_MANAGER = "program_manager", "Program manager"
        AUDITOR = "auditor", "Auditor"
        ADMINISTRATOR = "administrator", "Administrator"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="staff_roles")
    utility = models.ForeignKey(Utility, on_delete=models.CASCADE, related_name="staff_roles")
    role = models.CharField(max_length=20, choices=Role)

    utility_path = "utility"
    user_path = ""
    objects = TenantQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "utility", "role"], name="staff_role_once")]

    def __str__(self) -> str:
        return f"{self.get_role_display()} at {self.utility}"
