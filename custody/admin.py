"""Keys and what they signed, for the installation's operator to look at; what is sealed is not shown."""

from typing import Any

from django import http
from django.contrib import admin
from unfold import admin as unfold_admin

from custody import models


class _OperatorOnly(unfold_admin.ModelAdmin):
    compressed_fields = True
    show_full_result_count = False

    def has_module_permission(self, request: http.HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)

    def has_add_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(models.SealedKey)
class SealedKeyAdmin(_OperatorOnly):
    list_display = ("subject", "purpose", "address", "key_encryption_key_id", "created_at", "disabled_at")
    list_filter = ("purpose",)
    search_fields = ("subject",)
    fields = ("subject", "purpose", "address", "policy", "key_encryption_key_id", "created_at", "disabled_at")


@admin.register(models.Consent)
class ConsentAdmin(_OperatorOnly):
    list_display = ("recorded_at", "key", "digest")
    list_select_related = ("key",)


@admin.register(models.SignatureLog)
class SignatureLogAdmin(_OperatorOnly):
    list_display = ("made_at", "key", "sequence", "kind", "digest")
    list_filter = ("kind",)
    list_select_related = ("key",)
