"""People who sign in, and people as a utility knows them."""

import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth import base_user
from django.contrib.auth import models as auth_models
from django.db import models
from django.db.models import functions

from customers.models import tenants


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


class Customer(models.Model):
    """A person as one utility knows them. Exists before they ever sign in."""

    utility = models.ForeignKey(tenants.Utility, on_delete=models.PROTECT, related_name="customers")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="customers"
    )
    name = models.CharField(max_length=200)
    email = models.EmailField(blank=True)
    phone = models.CharField(max_length=32, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    utility_path = "utility"
    user_path = "user"
    objects = tenants.TenantQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["utility", "user"], name="customer_once_per_utility")]

    def __str__(self) -> str:
        return self.name


class SignIn(models.Model):
    """A device or browser on which a person signed in; it lives as long as its session.

    `network` is the address that it was last seen at without its last part: enough to know one's own town's network,
    too little to find a house.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="sign_ins")
    session_digest = models.CharField(max_length=40, db_index=True, help_text="The session as its table names it.")
    user_agent = models.CharField(max_length=300, blank=True)
    network = models.CharField(max_length=50, blank=True)
    signed_in_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["user", "-last_seen_at"], name="sign_in_by_user")]

    def __str__(self) -> str:
        return f"{self.user_agent} since {self.signed_in_at}"
