"""Providers, devices, commands and messages for staff. Providers are set up by an operator of the installation."""

from typing import Any

from django import http
from django.contrib import admin

from ders import models
from openvpp.core import admin as tenant_admin

EVERYBODY = tenant_admin.Roles.ALL


@admin.register(models.Provider)
class ProviderAdmin(tenant_admin.TenantAdmin):
    """An address to which we send commands is the operator's to set; the shared secret is in no form."""

    viewed_by = EVERYBODY
    list_display = ("name", "slug", "utility", "base_url", "is_active")
    search_fields = ("name", "slug")

    def has_add_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        return _is_operator(request)

    def has_change_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        return _is_operator(request)

    def save_model(self, request: http.HttpRequest, obj: Any, form: Any, change: Any) -> None:
        """Save: who may, may anywhere."""
        super(tenant_admin.TenantAdmin, self).save_model(request, obj, form, change)


@admin.register(models.Device)
class DeviceAdmin(tenant_admin.ReadOnlyTenantAdmin):
    viewed_by = EVERYBODY
    list_display = ("name", "kind", "customer", "provider", "power_kw", "energy_kwh", "state", "created_at")
    list_filter = ("kind", "state")
    list_select_related = ("customer", "provider")
    search_fields = ("name", "provider_device_id", "customer__name", "customer__email")


@admin.register(models.Command)
class CommandAdmin(tenant_admin.ReadOnlyTenantAdmin):
    viewed_by = EVERYBODY
    list_display = ("device", "power_kw", "starts_at", "ends_at", "state", "attempts", "detail")
    list_filter = ("state",)
    list_select_related = ("device",)
    search_fields = ("device__name", "device__provider_device_id", "device__customer__name")


@admin.register(models.WebhookEvent)
class WebhookEventAdmin(tenant_admin.ReadOnlyTenantAdmin):
    viewed_by = EVERYBODY
    list_display = ("kind", "event_id", "provider", "received_at")
    list_filter = ("kind",)
    list_select_related = ("provider",)
    search_fields = ("event_id",)


def _is_operator(request: http.HttpRequest) -> bool:
    return bool(request.user.is_active and request.user.is_superuser)
