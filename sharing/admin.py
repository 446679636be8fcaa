"""Third parties and what customers share with them, for staff.

A third party is registered by `manage.py register_third_party`, which shows its secrets once. Here its words and its
notice address are kept; an authorization is ended, never edited.
"""

from typing import Any

from django import http
from django.contrib import admin, messages

from openvpp.core import admin as tenant_admin
from openvpp.core import clock, db
from sharing import models
from sharing.usecases import share_data

Roles = tenant_admin.Roles
VIEWERS = frozenset({Roles.CSR, Roles.AUDITOR, Roles.ADMINISTRATOR})
ENDERS = frozenset({Roles.CSR, Roles.ADMINISTRATOR})


@admin.register(models.ThirdParty)
class ThirdPartyAdmin(tenant_admin.TenantAdmin):
    viewed_by = VIEWERS
    written_by = frozenset({Roles.ADMINISTRATOR})
    may_be_added = False
    list_display = ("name", "utility", "contact_email", "notify_uri", "registered_at")
    list_select_related = ("utility",)
    search_fields = ("name", "contact_email")
    readonly_fields = ("utility", "name", "application", "system_application", "registered_by", "registered_at")


class _Points(tenant_admin.ReadOnlyTenantInline):
    model = models.AuthorizedPoint
    viewed_by = VIEWERS
    fields = ("service_point",)
    show_change_link = False


@admin.register(models.Authorization)
class AuthorizationAdmin(tenant_admin.ReadOnlyTenantAdmin):
    viewed_by = VIEWERS
    list_display = ("customer", "third_party", "starts_at", "ends_at", "ended_at", "ended_by", "notified_at")
    list_filter = ("ended_by",)
    list_select_related = ("customer", "third_party")
    search_fields = ("customer__name", "customer__email", "third_party__name")
    inlines = (_Points,)
    actions = ("end_for_customer",)

    @admin.action(description="End: the third party sees nothing more")
    def end_for_customer(self, request: http.HttpRequest, rows: Any) -> None:
        """End what a customer asked the desk to end."""
        ended = 0
        for authorization in self._rows_of(request, ENDERS).filter(pk__in=rows.values("pk"), ended_at__isnull=True):
            with db.transaction():
                share_data.end(
                    authorization_id=authorization.pk,
                    ended_by=models.Authorization.EndedBy.UTILITY,
                    now=clock.get_now(),
                )
            ended += 1
        self.message_user(request, f"Ended {ended}.", messages.SUCCESS)

    def has_end_permission(self, request: http.HttpRequest) -> bool:
        """Say who may end: those who keep customers, not those who only look."""
        return self._may(request, ENDERS, None)

    end_for_customer.allowed_permissions = ["end"]  # type: ignore[attr-defined] # as Django's own decorator sets it
