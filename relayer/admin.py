"""Operations, bundles, keys and prices, for staff to look at. Nothing here is written by hand.

Staff of a utility see its operations and quotes; keys, bundles and prices serve every utility and are the operator's.
"""

from typing import Any

from django import http
from django.contrib import admin
from unfold import admin as unfold_admin

from openvpp.core import admin as tenant_admin
from relayer import models

VIEWERS = frozenset(
    {
        tenant_admin.Roles.CSR,
        tenant_admin.Roles.BILLING_ANALYST,
        tenant_admin.Roles.AUDITOR,
        tenant_admin.Roles.ADMINISTRATOR,
    }
)


class _ReadOnly:
    """Looked at, never written."""

    def has_add_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        return False


class _OperatorOnly(_ReadOnly, unfold_admin.ModelAdmin):
    """Rows of the installation: only its operator sees them."""

    compressed_fields = True
    show_full_result_count = False

    def has_module_permission(self, request: http.HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)


class _Rows(_ReadOnly, unfold_admin.TabularInline):
    """What belongs to the row above; whoever sees that one sees these."""

    extra = 0

    def has_view_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        return True


class _History(_Rows):
    model = models.UserOperationTransition
    fields = ("made_at", "state", "detail")


class _Receipt(_Rows):
    model = models.UserOperationReceipt
    verbose_name_plural = "receipt"
    fields = ("has_succeeded", "reason", "transaction_hash", "block_number", "gas_used", "gas_cost_wei")


class _Transactions(_Rows):
    model = models.BundleTransaction
    fields = ("hash", "max_fee_per_gas_wei", "max_priority_fee_per_gas_wei", "created_at", "sent_at")


@admin.register(models.UserOperation)
class UserOperationAdmin(tenant_admin.ReadOnlyTenantAdmin):
    viewed_by = VIEWERS
    list_display = ("hash", "state", "sender", "failure", "created_at", "settled_at")
    list_filter = ("state",)
    date_hierarchy = "created_at"
    inlines = (_History, _Receipt)
    fieldsets = (
        (None, {"fields": ("hash", "utility", "sender", "nonce", "state", "failure")}),
        ("On the chain", {"fields": ("chain_id", "entry_point", "bundle", "gas_cost_wei")}),
        ("Fee", {"fields": ("quote", "max_fee_per_gas_wei", "max_priority_fee_per_gas_wei")}),
        ("When", {"fields": ("created_at", "broadcast_at", "expires_at", "settled_at", "attempts")}),
    )


@admin.register(models.FeeQuote)
class FeeQuoteAdmin(tenant_admin.ReadOnlyTenantAdmin):
    viewed_by = VIEWERS
    list_display = ("id", "sender", "mode", "fee_units", "gas_cost_wei", "created_at", "used_at")
    list_filter = ("mode",)
    date_hierarchy = "created_at"


@admin.register(models.Bundle)
class BundleAdmin(_OperatorOnly):
    list_display = ("pk", "state", "relayer_key", "nonce", "transaction_hash", "block_number", "has_reverted")
    list_filter = ("state", "has_reverted")
    exclude = ("call_data",)
    inlines = (_Transactions,)


@admin.register(models.RelayerKey)
class RelayerKeyAdmin(_OperatorOnly):
    list_display = ("address", "chain_id", "is_enabled", "leased_by", "leased_until")


@admin.register(models.TokenPrice)
class TokenPriceAdmin(_OperatorOnly):
    list_display = ("token", "price_usd", "observed_at", "source")
