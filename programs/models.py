"""Programs in which devices earn money: enrollment, events, shares, settlements and payouts."""

import uuid

from django.conf import settings
from django.core import validators
from django.db import models
from django.db.models import F, Q

from customers import models as customer_models
from openvpp.core import fields


class Program(models.Model):
    """A utility's offer: who may join, what is asked, what a kWh of performance earns."""

    class Kind(models.TextChoices):
        DEMAND_RESPONSE = "demand_response", "Demand response"
        BATTERY_DISPATCH = "battery_dispatch", "Battery dispatch"
        MANAGED_CHARGING = "managed_charging", "Managed charging"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    utility = models.ForeignKey("customers.Utility", on_delete=models.PROTECT, related_name="programs")
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=20, choices=Kind)
    description = models.CharField(max_length=500, blank=True)
    terms = models.TextField(help_text="What a customer agrees to, in plain words.")
    terms_version = models.PositiveIntegerField(default=1, help_text="Raise it with every change of the terms.")
    eligibility = models.JSONField(
        default=dict, help_text='{"device_kinds": ["battery"], "min_power_kw": "1", "postal_codes": ["04101"]}'
    )
    payout_usd_per_kwh = models.DecimalField(max_digits=12, decimal_places=6)
    payout_token = models.ForeignKey("customers.AcceptedToken", on_delete=models.PROTECT, related_name="+")
    treasury_wallet = models.ForeignKey("wallets.Wallet", on_delete=models.PROTECT, related_name="programs")
    baseline_min_days = models.PositiveSmallIntegerField(
        default=10,
        validators=[validators.MinValueValidator(1), validators.MaxValueValidator(10)],
        help_text="Fewest like days that make a baseline; with fewer nothing is paid.",
    )
    holidays = models.JSONField(default=list, blank=True, help_text="Dates that count as weekend days: [2026-11-26, …]")
    is_open = models.BooleanField(default=True, help_text="Customers may apply.")
    created_at = models.DateTimeField()

    utility_path = "utility"
    user_path = "utility__customers__user"
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["utility", "name"], name="program_name_once"),
            models.CheckConstraint(condition=Q(payout_usd_per_kwh__gt=0), name="program_payout_is_positive"),
            models.CheckConstraint(
                condition=Q(baseline_min_days__gte=1, baseline_min_days__lte=10), name="program_baseline_days_in_range"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Enrollment(models.Model):
    """A customer's part in a program, with the terms that they agreed to."""

    class State(models.TextChoices):
        APPLIED = "applied", "Applied"
        APPROVED = "approved", "Approved"
        REFUSED = "refused", "Refused"
        LEFT = "left", "Left"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    program = models.ForeignKey(Program, on_delete=models.PROTECT, related_name="enrollments")
    customer = models.ForeignKey("customers.Customer", on_delete=models.PROTECT, related_name="enrollments")
    state = models.CharField(max_length=10, choices=State, default=State.APPLIED)
    terms = models.TextField(help_text="The words that the customer agreed to.")
    terms_version = models.PositiveIntegerField()
    applied_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    reason = models.CharField(max_length=300, blank=True, help_text="Why it was refused.")
    left_at = models.DateTimeField(null=True, blank=True)

    utility_path = "program__utility"
    user_path = "customer__user"
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["program", "customer"],
                condition=Q(state__in=["applied", "approved"]),
                name="enrollment_open_once_per_customer",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.customer} in {self.program} ({self.get_state_display()})"


class EnrollmentDevice(models.Model):
    """A device that takes part; in one program at a time, so that one kWh is paid once."""

    enrollment = models.ForeignKey(Enrollment, on_delete=models.PROTECT, related_name="devices")
    device = models.ForeignKey("ders.Device", on_delete=models.PROTECT, related_name="enrollments")
    ended_at = models.DateTimeField(null=True, blank=True)

    utility_path = "enrollment__program__utility"
    user_path = "enrollment__customer__user"
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["enrollment", "device"], name="enrollment_device_once"),
            models.UniqueConstraint(
                fields=["device"], condition=Q(ended_at__isnull=True), name="device_in_one_program"
            ),
        ]

    def __str__(self) -> str:
        return str(self.device)


class Event(models.Model):
    """A program asks its devices for `target_kw` on `[starts_at, ends_at)`."""

    class State(models.TextChoices):
        SCHEDULED = "scheduled", "Scheduled"
        DISPATCHING = "dispatching", "Dispatching"
        ACTIVE = "active", "Active"
        ENDED = "ended", "Ended"
        SETTLING = "settling", "Settling"
        SETTLED = "settled", "Settled"
        CANCELLED = "cancelled", "Cancelled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    program = models.ForeignKey(Program, on_delete=models.PROTECT, related_name="events")
    name = models.CharField(max_length=200)
    target_kw = models.DecimalField(max_digits=12, decimal_places=3)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    state = models.CharField(max_length=12, choices=State, default=State.SCHEDULED)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField()
    dispatched_at = models.DateTimeField(null=True, blank=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)

    utility_path = "program__utility"
    user_path = "devices__device__customer__user"
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="event_window_is_forward"),
            models.CheckConstraint(condition=Q(target_kw__gt=0), name="event_target_is_positive"),
        ]

    def __str__(self) -> str:
        return self.name


class EventDevice(models.Model):
    """A device's share of an event's target."""

    event = models.ForeignKey(Event, on_delete=models.PROTECT, related_name="devices")
    device = models.ForeignKey("ders.Device", on_delete=models.PROTECT, related_name="events")
    available_kw = models.DecimalField(max_digits=9, decimal_places=3, help_text="What it could give over the window.")
    share_kw = models.DecimalField(max_digits=9, decimal_places=3)
    command = models.OneToOneField(
        "ders.Command", on_delete=models.PROTECT, null=True, blank=True, related_name="event_device"
    )
    acknowledged_at = models.DateTimeField(null=True, blank=True)

    utility_path = "event__program__utility"
    user_path = "device__customer__user"
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["event", "device"], name="event_device_once"),
            models.CheckConstraint(
                condition=Q(share_kw__gt=0, share_kw__lte=F("available_kw")), name="share_within_available_power"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.device}: {self.share_kw} kW"


class Settlement(models.Model):
    """What an event earned. Its reference names the batch on the chain, where each reference is paid once."""

    class State(models.TextChoices):
        PAYING = "paying", "Paying"
        PAID = "paid", "Paid"
        FAILED = "failed", "Failed; may be tried again"
        SET_ASIDE = "set_aside", "All of it set aside"
        NOTHING_DUE = "nothing_due", "Nothing due"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    event = models.OneToOneField(Event, on_delete=models.PROTECT, related_name="settlement")
    reference = fields.ReferenceField(unique=True)
    token = fields.AddressField()
    token_symbol = models.CharField(max_length=16)
    token_decimals = models.PositiveSmallIntegerField()
    payout_usd_per_kwh = models.DecimalField(max_digits=12, decimal_places=6)
    total_units = fields.Uint256Field()
    state = models.CharField(max_length=12, choices=State)
    failure = models.CharField(max_length=500, blank=True)
    operation = models.ForeignKey(
        "wallets.Operation", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    computed_at = models.DateTimeField()
    paid_at = models.DateTimeField(null=True, blank=True)
    transaction_hash = fields.HashField(null=True, blank=True)
    block_number = models.PositiveBigIntegerField(null=True, blank=True)

    utility_path = "event__program__utility"
    user_path = "event__devices__device__customer__user"
    objects = customer_models.TenantQuerySet.as_manager()

    def __str__(self) -> str:
        return f"Settlement of {self.event}"


class Payout(models.Model):
    """What one device earned in one event, with the numbers it follows from.

    `performance_wh` is baseline minus actual, both counted as net consumption (delivered minus received).
    """

    class State(models.TextChoices):
        NONE = "none", "Nothing due"
        PENDING = "pending", "Pending"
        PAID = "paid", "Paid"
        HELD = "held", "Set aside"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    settlement = models.ForeignKey(Settlement, on_delete=models.PROTECT, related_name="payouts")
    event_device = models.OneToOneField(EventDevice, on_delete=models.PROTECT, related_name="payout")
    recipient_wallet = models.ForeignKey("wallets.Wallet", on_delete=models.PROTECT, related_name="payouts")
    baseline_days = models.JSONField(help_text="The local days that make the baseline.")
    intervals = models.JSONField(help_text="Start, baseline and actual of each interval, in Wh of net consumption.")
    baseline_wh = models.DecimalField(max_digits=15, decimal_places=3, null=True)
    actual_wh = models.BigIntegerField(null=True)
    performance_wh = models.DecimalField(max_digits=15, decimal_places=3)
    amount_units = fields.Uint256Field()
    reason = models.CharField(max_length=40, blank=True, help_text="Why nothing is due.")
    state = models.CharField(max_length=10, choices=State)
    paid_at = models.DateTimeField(null=True, blank=True)

    utility_path = "settlement__event__program__utility"
    user_path = "event_device__device__customer__user"
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state="none", amount_units=0)
                | Q(state__in=["pending", "paid", "held"], amount_units__gt=0),
                name="payout_pays_something_or_nothing",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount_units} for {self.event_device}"

    # Properties

    @property
    def reason_words(self) -> str:
        """Why nothing is due, for people."""
        return self.reason.replace("_", " ").capitalize()

    @property
    def alone(self) -> "list[Payout]":
        """This payout as a list of one."""
        return [self]


class HeldPayout(models.Model):
    """A payout that was set aside, because its wallet is on a list; its neighbours are paid without it.

    Two people release it. It is then checked again, and paid under a reference of its own, which the chain pays once.
    """

    class State(models.TextChoices):
        HELD = "held", "Set aside"
        RELEASED = "released", "Released, not yet paid"
        PAID = "paid", "Paid"

    payout = models.OneToOneField(Payout, on_delete=models.PROTECT, primary_key=True, related_name="hold")
    reason = models.CharField(max_length=300)
    held_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State, default=State.HELD)
    change = models.ForeignKey(
        "controls.ChangeRequest",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="By which two people released it.",
    )
    reference = fields.ReferenceField(unique=True)
    operation = models.ForeignKey(
        "wallets.Operation", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    failure = models.CharField(max_length=500, blank=True, help_text="Why it was not paid when it was released.")

    utility_path = "payout__settlement__event__program__utility"
    user_path = ""
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state="held") | Q(change__isnull=False), name="held_payout_released_by_change"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.payout}: {self.get_state_display()}"


class PayoutTransfer(models.Model):
    """A token's own `Transfer` log that proves a settlement's payouts to one wallet; each log counts once."""

    settlement = models.ForeignKey(Settlement, on_delete=models.PROTECT, related_name="transfers")
    recipient_wallet = models.ForeignKey("wallets.Wallet", on_delete=models.PROTECT, related_name="+")
    amount_units = fields.Uint256Field()
    chain_id = models.PositiveBigIntegerField()
    transaction_hash = fields.HashField()
    log_index = models.PositiveIntegerField()

    utility_path = "settlement__event__program__utility"
    user_path = "recipient_wallet__customer__user"
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["chain_id", "transaction_hash", "log_index"], name="payout_transfer_counted_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.transaction_hash} log {self.log_index}"
