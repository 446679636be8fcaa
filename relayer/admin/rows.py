"""Quotes, bundles, keys and prices, for staff to look at. Nothing of these is written by hand.

Staff of a utility see its quotes; keys, bundles and prices serve every utility and are the operator's.
"""

from typing import Any

from django import forms, http
from django.contrib import admin, messages
from django.core import exceptions
from unfold import admin as unfold_admin

from openvpp.core import admin as tenant_admin
from openvpp.core import clock
from relayer import models
from relayer.domain import reputation
from relayer.usecases import make_api_key

VIEWERS = frozenset(
    {
        tenant_admin.Roles.CSR,
        tenant_admin.Roles.BILLING_ANALYST,
        tenant_admin.Roles.AUDITOR,
        tenant_admin.Roles.ADMINISTRATOR,
    }
)


_HOUR_S = 3_600


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


class _Transactions(_Rows):
    model = models.BundleTransaction
    fields = ("hash", "max_fee_per_gas_wei", "max_priority_fee_per_gas_wei", "created_at", "sent_at")


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
    list_display = ("address", "chain_id", "is_enabled", "draining_since", "leased_by", "leased_until")


@admin.register(models.TokenPrice)
class TokenPriceAdmin(_OperatorOnly):
    list_display = ("token", "price_usd", "observed_at", "source")


@admin.register(models.Reputation)
class ReputationAdmin(_OperatorOnly):
    """Paymasters and factories of others, as they are looked at now (ERC-7562)."""

    list_display = ("entity", "standing", "seen", "included", "counted_at")
    ordering = ("-seen",)

    @admin.display(description="Standing")
    def standing(self, row: models.Reputation) -> str:
        """Return how the entity is looked at, its counts faded until now."""
        hours = int((clock.get_now() - row.counted_at).total_seconds()) // _HOUR_S
        return reputation.Record(seen=row.seen, included=row.included).after(hours=hours).standing.value


@admin.register(models.StaffAction)
class StaffActionAdmin(_OperatorOnly):
    list_display = ("made_at", "kind", "made_by", "reason", "utility")
    list_filter = ("kind",)
    list_select_related = ("made_by", "utility")
    ordering = ("-made_at",)


@admin.register(models.ApiKey)
class ApiKeyAdmin(tenant_admin.TenantAdmin):
    """Keys to the bundler: made here, their token shown once; revoked by an action."""

    viewed_by = frozenset({tenant_admin.Roles.AUDITOR})
    written_by = frozenset({tenant_admin.Roles.ADMINISTRATOR})
    list_display = ("application", "identifier", "utility", "created_at", "revoked_at")
    fields = ("utility", "application", "scopes", "requests_per_minute", "operations_per_day", "sponsored_per_day")
    readonly_fields = ("created_at", "revoked_at")
    actions = ("revoke",)

    def get_fields(self, request: http.HttpRequest, obj: Any = None) -> Any:
        return self.fields if obj is None else (*self.fields, *self.readonly_fields)

    def formfield_for_dbfield(self, db_field: Any, request: http.HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "scopes":
            return forms.MultipleChoiceField(
                choices=models.ApiKey.Scope.choices, widget=forms.CheckboxSelectMultiple, label="Scopes"
            )
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def save_model(self, request: http.HttpRequest, obj: Any, form: Any, change: Any) -> None:
        """Save; a new key's token is shown in this answer and never again."""
        token = "" if change else make_api_key.prepare(key=obj, now=clock.get_now())
        super().save_model(request, obj, form, change)
        if token:
            self.message_user(request, f"The token, shown only now: {token}", level=messages.WARNING)

    @admin.action(description="Revoke")
    def revoke(self, request: http.HttpRequest, queryset: Any) -> None:
        """Let the chosen keys open nothing any more."""
        if not self.has_change_permission(request):
            raise exceptions.PermissionDenied
        may = [key.pk for key in queryset if self.has_change_permission(request, key)]
        count = make_api_key.revoke(key_ids=may, now=clock.get_now())
        self.message_user(request, f"{count} keys revoked.")
