"""What people were told, for staff to read."""

from django.contrib import admin

from notifications import models
from openvpp.core import admin as tenant_admin

Roles = tenant_admin.Roles


@admin.register(models.Notice)
class NoticeAdmin(tenant_admin.ReadOnlyTenantAdmin):
    viewed_by = frozenset({Roles.CSR, Roles.BILLING_ANALYST, Roles.AUDITOR, Roles.ADMINISTRATOR})
    list_display = ("created_at", "user", "sequence", "kind", "title", "read_at")
    list_filter = ("kind",)
    search_fields = ("user__email", "title")
    ordering = ("-created_at",)
    list_select_related = ("user",)
