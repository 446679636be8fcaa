"""Utilities (the tenants), people, accounts, premises and the service they take.

Isolation is a property of the querysets: a view or an admin page starts from `visible_to(user)`, never from
`objects.all()`.
"""

from typing import Any, ClassVar, Self

from django.conf import settings
from django.contrib.auth import base_user
from django.contrib.auth import models as auth_models
from django.core import exceptions, validators
from django.db import models
from django.db.models import F, Q, functions

from openvpp.core import fields


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
        return self.filter(pk__in=self._customer_rows(user)) if user.is_active else self.none()

    def of_utility(self, utility_id: int) -> Self:
        """Return the rows of one utility."""
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

    def _customer_rows(self, user: "User") -> Any:
        rows = self.model._base_manager.order_by()  # noqa: SLF001 - the unfiltered manager is Django's own name
        path = self.model.user_path
        return rows.filter(**{path: user.pk}).values("pk") if path else rows.none().values("pk")


class UserManager(base_user.BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **extra: Any) -> "User":
        """Make a person who signs in by e-mail."""
        user = self.model(email=self.normalize_email(email).lower(), **extra)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **extra: Any) -> "User":
        """Make an operator of the whole installation."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **extra)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email__iexact=username)


class User(base_user.AbstractBaseUser, auth_models.PermissionsMixin):
    """A person who signs in. What they may see hangs on Customer and StaffRole rows."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=200, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False, help_text="May open the admin; StaffRole says what is there.")
    date_joined = models.DateTimeField(auto_now_add=True)
    session_epoch = models.PositiveIntegerField(
        default=0, help_text="Counts how often they signed out everywhere; a session of an earlier epoch is over."
    )

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = UserManager()

    class Meta:
        constraints = [models.UniqueConstraint(functions.Lower("email"), name="user_email_once")]

    def __str__(self) -> str:
        return self.email

    def get_session_auth_hash(self) -> str:
        """Return what a session must have been opened under: the password and the epoch."""
        return f"{super().get_session_auth_hash()}{self.session_epoch:x}"

    def get_full_name(self) -> str:
        return self.name or self.email

    def get_short_name(self) -> str:
        return self.name.split(" ")[0] if self.name else self.email


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


class Customer(models.Model):
    """A person as one utility knows them. Exists before they ever sign in."""

    utility = models.ForeignKey(Utility, on_delete=models.PROTECT, related_name="customers")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="customers"
    )
    name = models.CharField(max_length=200)
    email = models.EmailField(blank=True)
    phone = models.CharField(max_length=32, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    utility_path = "utility"
    user_path = "user"
    objects = TenantQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["utility", "user"], name="customer_once_per_utility")]

    def __str__(self) -> str:
        return self.name


class CustomerAccount(models.Model):
    """What is billed: one account at one utility."""

    utility = models.ForeignKey(Utility, on_delete=models.PROTECT, related_name="accounts")
    number = models.CharField(max_length=32)
    claim_proof = models.CharField(
        max_length=200, blank=True, help_text="Hash of the second proof with which a person claims the account."
    )
    opened_on = models.DateField()
    closed_on = models.DateField(null=True, blank=True)

    utility_path = "utility"
    user_path = "accesses__customer__user"
    objects = TenantQuerySet.as_manager()

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

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="accesses")
    account = models.ForeignKey(CustomerAccount, on_delete=models.CASCADE, related_name="accesses")
    role = models.CharField(max_length=10, choices=Role)

    utility_path = "account__utility"
    user_path = "customer__user"
    objects = TenantQuerySet.as_manager()

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


class Premise(models.Model):
    """A place that is served."""

    utility = models.ForeignKey(Utility, on_delete=models.PROTECT, related_name="premises")
    street = models.CharField(max_length=200)
    city = models.CharField(max_length=100)
    region = models.CharField(max_length=100, blank=True)
    postal_code = models.CharField(max_length=20)
    country = models.CharField(max_length=2, default="US")

    utility_path = "utility"
    user_path = "service_points__agreements__account__accesses__customer__user"
    objects = TenantQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.street}, {self.city}"


class ServicePoint(models.Model):
    """Where energy is delivered; CIM's UsagePoint."""

    premise = models.ForeignKey(Premise, on_delete=models.PROTECT, related_name="service_points")
    number = models.CharField(max_length=64, help_text="The utility's own identifier of the point.")

    utility_path = "premise__utility"
    user_path = "agreements__account__accesses__customer__user"
    objects = TenantQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["premise", "number"], name="service_point_once")]

    def __str__(self) -> str:
        return self.number


class ServiceAgreement(models.Model):
    """An account takes service at a point under a tariff, on the local days `[starts_on, ends_on)`."""

    account = models.ForeignKey(CustomerAccount, on_delete=models.PROTECT, related_name="agreements")
    service_point = models.ForeignKey(ServicePoint, on_delete=models.PROTECT, related_name="agreements")
    tariff_code = models.CharField(max_length=64, help_text="Code of the utility's tariff.")
    starts_on = models.DateField()
    ends_on = models.DateField(null=True, blank=True)

    utility_path = "account__utility"
    user_path = "account__accesses__customer__user"
    objects = TenantQuerySet.as_manager()

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
    objects = TenantQuerySet.as_manager()

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


class ClaimAttempt(models.Model):
    """One try to claim an account, kept for the rate limit and for the auditor."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    utility = models.ForeignKey(Utility, on_delete=models.CASCADE, related_name="+")
    account_number = models.CharField(max_length=32)
    succeeded = models.BooleanField()
    made_at = models.DateTimeField()

    utility_path = "utility"
    user_path = ""
    objects = TenantQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["user", "made_at"], name="claim_by_user"),
            models.Index(fields=["utility", "account_number", "made_at"], name="claim_by_account"),
        ]

    def __str__(self) -> str:
        return f"{self.account_number} by {self.user_id}"
