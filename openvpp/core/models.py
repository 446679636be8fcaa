"""Rows of the shared kernel: jobs that must not be lost, and requests that must act once."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q


class Job(models.Model):
    """Work that must happen at least once; its function is safe to run twice.

    Written in the transaction that makes the work necessary. A runner takes a lease; a runner that dies lets the
    lease lapse and another takes it.
    """

    name = models.CharField(max_length=100, help_text="Key of JOBS in openvpp/settings/upcalls.py.")
    key = models.CharField(max_length=200, unique=True, help_text="One job per key, ever.")
    arguments = models.JSONField(default=dict)
    run_at = models.DateTimeField()
    leased_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.CharField(max_length=500, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    failed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["run_at"],
                name="job_due",
                condition=Q(finished_at__isnull=True, failed_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.key})"


class IdempotentRequest(models.Model):
    """A request that moves money, by its `Idempotency-Key`: the first answer is the only one."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="+")
    application_id = models.BigIntegerField(help_text="The OAuth client that sent it.")
    key = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of method, path and canonical body.")
    leased_until = models.DateTimeField(null=True)
    status = models.PositiveSmallIntegerField(null=True)
    body = models.JSONField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["application_id", "user", "key"], name="idempotent_request_once", nulls_distinct=False
            ),
        ]

    def __str__(self) -> str:
        return self.key
