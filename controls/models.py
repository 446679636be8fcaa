"""What may happen and who said so: spending policies, changes under four eyes, freezes, and address checks."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from customers import models as customer_models
from openvpp.core import fields


class ChangeRequest(models.Model):
    """One person's wish to change something that guards money, for another person to decide.

    The database refuses a checker who is the maker, a decision after `expires_at`, and any change of what was asked.
    """

    class Kind(models.TextChoices):
        UTILITY_TERMS = "utility_terms", "Treasury, network fee and limits of a utility"
        ACCEPTED_TOKEN = "accepted_token", "A token that a utility takes"
        SPENDING_POLICY = "spending_policy", "Spending policy"
        LIFT_FREEZE = "lift_freeze", "Lifting of a freeze"
        SCREENING = "screening", "What happens when addresses cannot be checked"
        TREASURY_CAPS = "treasury_caps", "Caps of a program's treasury key"
        PROGRAM_TREASURY = "program_treasury", "Treasury and token of a program"
        CUSTODY_EXIT = "custody_exit", "A customer's exit from custody"
        OWNER_KEY = "owner_key", "Owner key of a customer's wallet"
        RECOVER_WALLET = "recover_wallet", "Recovery of a customer's wallet"
        SPONSORSHIP = "sponsorship", "What a utility pays gas for"
        RELEASE_PAYOUT = "release_payout", "Release of a payout that was set aside"

    class State(models.TextChoices):
        OPEN = "open", "Waits for a second person"
        APPLIED = "applied", "Approved and applied"
        REJECTED = "rejected", "Rejected"
        WITHDRAWN = "withdrawn", "Withdrawn"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    utility = models.ForeignKey("customers.Utility", on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=20, choices=Kind)
    subject = models.CharField(max_length=100, help_text="What is changed, by its id.")
    title = models.CharField(max_length=200)
    before = models.JSONField()
    after = models.JSONField()
    reason = models.CharField(max_length=500)
    maker = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    checker = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)

    utility_path = "utility"
    user_path = ""
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(checker__isnull=True) | ~Q(checker=F("maker")), name="change_checked_by_another"
            ),
            models.CheckConstraint(
                condition=Q(state="open", checker__isnull=True, decided_at__isnull=True)
                | Q(state="withdrawn", checker__isnull=True, decided_at__isnull=False)
                | Q(state__in=["applied", "rejected"], checker__isnull=False, decided_at__isnull=False),
                name="change_decided_whole",
            ),
            models.CheckConstraint(
                condition=~Q(state="applied") | Q(decided_at__lt=F("expires_at")), name="change_applied_in_time"
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def difference(self) -> list[tuple[str, object, object]]:
        """Return what would change: name, before, after."""
        names = sorted({*self.before, *self.after})
        pairs = [(name, self.before.get(name), self.after.get(name)) for name in names]
        return [(name, before, after) for name, before, after in pairs if before != after]


class SpendingPolicy(models.Model):
    """One version of a spending policy; append only, the highest version holds. Each came by an applied change.

    Where a utility has none the built-in one holds (`controls.domain.spending.DEFAULT`).
    """

    class Scope(models.TextChoices):
        UTILITY = "utility", "Utility"
        PROGRAM = "program", "Program"
        CUSTOMER = "customer", "Customer"

    utility = models.ForeignKey("customers.Utility", on_delete=models.PROTECT, related_name="+")
    scope = models.CharField(max_length=10, choices=Scope)
    customer = models.ForeignKey(
        "customers.Customer", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    program = models.CharField(max_length=100, blank=True, help_text="Label of the program's treasury wallet.")
    version = models.PositiveIntegerField()
    document = models.JSONField()
    change = models.OneToOneField(ChangeRequest, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField()

    utility_path = "utility"
    user_path = ""
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "spending policies"
        constraints = [
            models.UniqueConstraint(
                fields=["utility", "scope", "customer", "program", "version"],
                name="spending_policy_version_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(scope="utility", customer__isnull=True, program="")
                | Q(scope="customer", customer__isnull=False, program="")
                | (Q(scope="program", customer__isnull=True) & ~Q(program="")),
                name="spending_policy_scope_whole",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_scope_display()} {self.version}"


class Freeze(models.Model):
    """Nothing leaves an account while this holds; one person freezes, two lift."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    utility = models.ForeignKey("customers.Utility", on_delete=models.PROTECT, related_name="+")
    chain_id = models.PositiveBigIntegerField()
    account = fields.AddressField()
    reason = models.CharField(max_length=300)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    made_at = models.DateTimeField()
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.OneToOneField(ChangeRequest, on_delete=models.PROTECT, null=True, blank=True, related_name="+")

    utility_path = "utility"
    user_path = ""
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["chain_id", "account"], condition=Q(lifted_at__isnull=True), name="freeze_once_per_account"
            ),
            models.CheckConstraint(
                condition=Q(lifted_at__isnull=True, lifted_by__isnull=True)
                | Q(lifted_at__isnull=False, lifted_by__isnull=False),
                name="freeze_lifted_by_change",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account}: {self.reason}"


class ScreeningRule(models.Model):
    """What a utility does while nobody can say whether an address is listed."""

    class WhenDown(models.TextChoices):
        ALLOW = "allow", "Let it pass, and check again"
        HOLD = "hold", "Wait until it can be checked"
        REFUSE = "refuse", "Refuse it"

    utility = models.OneToOneField(
        "customers.Utility", on_delete=models.PROTECT, primary_key=True, related_name="screening_rule"
    )
    when_down = models.CharField(max_length=10, choices=WhenDown, default=WhenDown.HOLD)

    utility_path = "utility"
    user_path = ""
    objects = customer_models.TenantQuerySet.as_manager()

    def __str__(self) -> str:
        return self.get_when_down_display()


class Screening(models.Model):
    """One check of addresses and what followed from it; append only."""

    class Direction(models.TextChoices):
        DEPOSIT = "deposit", "Deposit"
        PAYOUT = "payout", "Payout"

    class Outcome(models.TextChoices):
        CLEAR = "clear", "Clear"
        LISTED = "listed", "Listed"
        DOWN = "down", "Could not be checked"

    class Decision(models.TextChoices):
        PASSED = "passed", "Passed"
        HELD = "held", "Held"
        REFUSED = "refused", "Refused"

    utility = models.ForeignKey("customers.Utility", on_delete=models.PROTECT, related_name="+")
    direction = models.CharField(max_length=10, choices=Direction)
    reference = models.CharField(max_length=100, help_text="Operation or transfer that was checked.")
    addresses = models.JSONField()
    listed = models.JSONField(default=list)
    outcome = models.CharField(max_length=10, choices=Outcome)
    decision = models.CharField(max_length=10, choices=Decision)
    provider = models.CharField(max_length=50)
    made_at = models.DateTimeField()

    utility_path = "utility"
    user_path = ""
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["reference", "-made_at"], name="screening_by_reference")]

    def __str__(self) -> str:
        return f"{self.get_direction_display()} {self.reference}: {self.get_decision_display()}"


class ChainCursor(models.Model):
    """How far the logs of our wallets were read on a chain."""

    chain_id = models.PositiveBigIntegerField(primary_key=True)
    block_number = models.PositiveBigIntegerField(help_text="Last block that was read.")

    def __str__(self) -> str:
        return f"{self.chain_id}: {self.block_number}"


class Deposit(models.Model):
    """Tokens that came into one of our wallets, seen in a final block; each log once."""

    utility = models.ForeignKey("customers.Utility", on_delete=models.PROTECT, related_name="+")
    chain_id = models.PositiveBigIntegerField()
    account = fields.AddressField()
    sender = fields.AddressField()
    token = fields.AddressField()
    units = fields.Uint256Field()
    transaction_hash = fields.HashField()
    log_index = models.PositiveIntegerField()
    block_number = models.PositiveBigIntegerField()
    seen_at = models.DateTimeField()

    utility_path = "utility"
    user_path = ""
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["chain_id", "transaction_hash", "log_index"], name="deposit_seen_once")
        ]

    def __str__(self) -> str:
        return f"{self.units} of {self.token} from {self.sender}"
