"""What those who asked for an operation have not heard of it yet."""

from django.db import models

from relayer.models import operations


class OperationNews(models.Model):
    """Word of one step of an operation that was asked for here; the row goes once its taker has written it down."""

    user_operation = models.ForeignKey(operations.UserOperation, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=10, choices=operations.UserOperation.State)
    detail = models.CharField(max_length=500, blank=True)
    made_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    not_before = models.DateTimeField(null=True, help_text="Its taker failed; it is told again then.")

    class Meta:
        verbose_name_plural = "operation news"

    def __str__(self) -> str:
        return f"{self.user_operation_id}: {self.state}"
