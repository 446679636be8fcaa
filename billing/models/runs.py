"""Bill runs: the drafts of a whole utility, looked at before anyone owes anything."""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from django.conf import settings
from django.db import connection, models
from django.db.models import F, Q

from customers import models as customer_models


class BillRun(models.Model):
    """The bills of a utility for the local days `[starts_on, ends_on)`, from drafts to issued ones."""

    class State(models.TextChoices):
        DRAFTING = "drafting", "Drafting"
        DRAFTED = "drafted", "Drafted, to be approved"
        APPROVED = "approved", "Approved"
        ISSUED = "issued", "Issued"

    utility = models.ForeignKey("customers.Utility", on_delete=models.PROTECT, related_name="bill_runs")
    starts_on = models.DateField()
    ends_on = models.DateField()
    state = models.CharField(max_length=10, choices=State, default=State.DRAFTING)
    started_at = models.DateTimeField()
    drafted_at = models.DateTimeField(null=True, blank=True)
    approved_at = models.DateTimeField(null=True, blank=True)
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    issued_at = models.DateTimeField(null=True, blank=True)

    utility_path = "utility"
    user_path = ""
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["utility", "starts_on", "ends_on"], name="bill_run_once_per_period"),
            models.CheckConstraint(condition=Q(ends_on__gt=F("starts_on")), name="bill_run_period_is_forward"),
            models.CheckConstraint(
                condition=Q(state__in=["drafting", "drafted"], approved_at__isnull=True, approved_by__isnull=True)
                | Q(state__in=["approved", "issued"], approved_at__isnull=False, approved_by__isnull=False),
                name="bill_run_is_approved_by_somebody",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.utility}, {self.starts_on} to {self.ends_on}"


class LineLayout(models.Model):
    """What the lines of many drafts are; `billing.domain.packed_lines` says how. Never edited, never deleted."""

    digest = models.BinaryField(max_length=32, unique=True)
    content = models.JSONField()

    def __str__(self) -> str:
        return bytes(self.digest).hex()[:12]


class DraftRow(NamedTuple):
    """The columns of a new draft."""

    run_id: int
    account_id: int
    tariff_id: int
    total_cents: int
    previous_cents: int | None
    rated_alone: str
    spans: bytes


class BillDraft(models.Model):
    """One account's bill of a run, not yet owed by anyone; its lines are packed (`billing.domain.packed_lines`).

    The database does not check the references to run, account and tariff, which would cost more than writing the
    row: drafts are written only by `billing.usecases.draft_bills`, which reads them a moment before, and none of the
    three is ever deleted.
    """

    Row: TypeAlias = DraftRow  # noqa: UP040 - a name of the class

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(
        BillRun, on_delete=models.PROTECT, related_name="drafts", db_constraint=False, db_index=False
    )
    account = models.ForeignKey(
        "customers.CustomerAccount", on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    tariff = models.ForeignKey(
        "billing.Tariff", on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    total_cents = models.BigIntegerField(help_text="What its lines sum to; below zero is a credit for later bills.")
    previous_cents = models.BigIntegerField(null=True, blank=True, help_text="What the bill before it came to.")
    rated_alone = models.CharField(
        max_length=32, blank=True, help_text="Why it was not rated together with others; empty if it was."
    )
    spans = models.BinaryField()
    bill = models.OneToOneField("billing.Bill", on_delete=models.PROTECT, null=True, blank=True, related_name="draft")

    utility_path = "run__utility"
    user_path = ""
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "account"], name="bill_draft_once")]

    def __str__(self) -> str:
        return f"{self.account} in {self.run}"

    @property
    def amount_due_cents(self) -> int:
        """Return what the bill would ask for."""
        return max(0, int(self.total_cents))

    @classmethod
    def copy_in(cls, *, rows: Sequence[DraftRow]) -> None:
        """Write new drafts by COPY, which costs a tenth of an INSERT."""
        if not rows:
            return
        statement = f"COPY {cls._meta.db_table} ({', '.join(DraftRow._fields)}) FROM STDIN (FORMAT BINARY)"
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(["int8", "int8", "int8", "int8", "int8", "varchar", "bytea"])
            for row in rows:
                copy.write_row(row)


class DraftException(models.Model):
    """An account that a run has no draft for: why, and what to do about it. Gone when a later try succeeds."""

    run = models.ForeignKey(BillRun, on_delete=models.CASCADE, related_name="exceptions")
    account = models.ForeignKey("customers.CustomerAccount", on_delete=models.PROTECT, related_name="+")
    code = models.CharField(max_length=64)
    detail = models.CharField(max_length=500)
    remedy = models.CharField(max_length=200, help_text="What to do about it.")
    found_at = models.DateTimeField()

    utility_path = "run__utility"
    user_path = ""
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "account"], name="draft_exception_once")]

    def __str__(self) -> str:
        return f"{self.account}: {self.code}"
