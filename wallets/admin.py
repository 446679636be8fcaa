"""Wallets, what they did and who may spend from them, for staff to look at; applications, for the operator to keep.

Codes, tokens and keys have no page: nobody is to see or make one by hand.
"""

from typing import Any

from django import http, shortcuts, urls
from django.contrib import admin, messages
from django.core import exceptions
from django.db import models as db_models
from oauth2_provider import admin as _toolkit_pages  # noqa: F401 - registers what is taken off below

from controls import operations as controls
from customers import models as customer_models
from openvpp.core import admin as tenant_admin
from openvpp.core import clock, db, errors
from wallets import models
from wallets.usecases import close_account, revoke_session_key

for _model in (
    models.Application,
    models.Grant,
    models.AccessToken,
    models.RefreshToken,
    models.IDToken,
    models.DeviceGrant,
):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)

Roles = tenant_admin.Roles
FREEZERS = frozenset({Roles.CSR, Roles.ADMINISTRATOR})
VIEWERS = frozenset({Roles.CSR, Roles.BILLING_ANALYST, Roles.AUDITOR, Roles.ADMINISTRATOR})


class _Operations(tenant_admin.ReadOnlyTenantInline):
    """The latest operations of a wallet."""

    model = models.Operation
    viewed_by = VIEWERS
    fields = ("kind", "state", "failure", "created_at", "updated_at")
    ordering = ("-created_at",)


class _Grants(tenant_admin.ReadOnlyTenantInline):
    model = models.SessionKeyGrant
    viewed_by = VIEWERS
    fields = ("application", "state", "limit_per_period_units", "reserved_in_period_units", "starts_at", "ends_at")
    ordering = ("-created_at",)


class _Exits(tenant_admin.ReadOnlyTenantInline):
    model = models.CustodyExit
    viewed_by = VIEWERS
    fields = ("new_owner", "keeps_guardian", "state", "ready_at", "asked_by", "failure", "created_at", "ended_at")
    ordering = ("-created_at",)
    show_change_link = False


class _Recoveries(tenant_admin.ReadOnlyTenantInline):
    model = models.WalletRecovery
    viewed_by = VIEWERS
    fields = ("new_owner", "state", "ready_at", "asked_by", "failure", "created_at", "ended_at")
    ordering = ("-created_at",)
    show_change_link = False


class _Rotations(tenant_admin.ReadOnlyTenantInline):
    model = models.OwnerRotation
    viewed_by = VIEWERS
    fields = ("state", "ready_at", "failure", "created_at", "ended_at")
    ordering = ("-created_at",)
    show_change_link = False


class _History(tenant_admin.ReadOnlyTenantInline):
    model = models.OperationTransition
    viewed_by = VIEWERS
    fields = ("made_at", "state", "detail")
    show_change_link = False


@admin.register(models.Wallet)
class WalletAdmin(tenant_admin.ReadOnlyTenantAdmin):
    viewed_by = VIEWERS
    list_display = ("address", "kind", "customer", "label", "utility", "deployed_at", "left_custody_at", "created_at")
    list_filter = ("kind", ("left_custody_at", admin.EmptyFieldListFilter))
    list_select_related = ("customer", "utility")
    search_fields = ("customer__name", "customer__email", "label")
    ordering = ("-created_at",)
    exclude = ("owner_key", "salt")
    inlines = (_Exits, _Recoveries, _Rotations, _Grants, _Operations)
    actions = ("freeze", "ask_for_exit", "ask_for_recovery", "ask_for_key")

    @admin.action(description="Freeze: nothing leaves the selected wallets", permissions=["freeze"])
    def freeze(self, request: http.HttpRequest, wallets: "db_models.QuerySet[models.Wallet]") -> None:
        """Freeze at once; two people lift it again."""
        person: Any = request.user
        mine = [wallet for wallet in wallets if self._may(request, FREEZERS, wallet)]
        with db.transaction_if_not_already():
            for wallet in mine:
                controls.freeze(
                    utility_id=wallet.utility_id,
                    account=wallet.address,
                    chain_id=wallet.chain_id,
                    reason=f"Frozen by {person.get_full_name()}.",
                    by=person,
                    now=clock.get_now(),
                )
        messages.success(request, f"{len(mine)} frozen. Lifting takes two people: Changes by two people.")

    @admin.action(description="Ask for the exit of the selected customer's wallet", permissions=["freeze"])
    def ask_for_exit(
        self, request: http.HttpRequest, wallets: "db_models.QuerySet[models.Wallet]"
    ) -> http.HttpResponse | None:
        """Go to where one administrator asks and another decides."""
        return self._propose(request, wallets, kind="custody_exit")

    @admin.action(description="Ask for the recovery of the selected customer's wallet", permissions=["freeze"])
    def ask_for_recovery(
        self, request: http.HttpRequest, wallets: "db_models.QuerySet[models.Wallet]"
    ) -> http.HttpResponse | None:
        """Go to where one administrator asks and another decides."""
        return self._propose(request, wallets, kind="recover_wallet")

    @admin.action(description="Ask for another owner key of the selected customer's wallet", permissions=["freeze"])
    def ask_for_key(
        self, request: http.HttpRequest, wallets: "db_models.QuerySet[models.Wallet]"
    ) -> http.HttpResponse | None:
        """Go to where one administrator asks and another decides."""
        return self._propose(request, wallets, kind="owner_key")

    def _propose(
        self, request: http.HttpRequest, wallets: "db_models.QuerySet[models.Wallet]", *, kind: str
    ) -> http.HttpResponse | None:
        chosen = list(wallets[:2])
        if len(chosen) != 1:
            messages.error(request, "Choose one wallet.")
            return None
        return shortcuts.redirect("admin:controls_changerequest_propose", kind, str(chosen[0].pk))

    def has_freeze_permission(self, request: http.HttpRequest) -> bool:
        """Say whether the person freezes anywhere; each wallet's utility is looked at again."""
        return self._may(request, FREEZERS, None)


@admin.register(models.TreasuryMove)
class TreasuryMoveAdmin(tenant_admin.ReadOnlyTenantAdmin):
    """How far wallets have followed a utility's treasury."""

    viewed_by = VIEWERS
    list_display = ("wallet", "change", "state", "attempts", "failure", "created_at", "ended_at")
    list_filter = ("state",)
    list_select_related = ("wallet", "change")
    ordering = ("-created_at", "-pk")


@admin.register(customer_models.Closing)
class ClosingAdmin(tenant_admin.ReadOnlyTenantAdmin):
    """Accounts that are being closed, and were."""

    viewed_by = frozenset({Roles.CSR, Roles.AUDITOR, Roles.ADMINISTRATOR})
    list_display = ("customer", "state", "asked_by", "closes_at", "waits_for", "ended_at")
    list_filter = ("state",)
    list_select_related = ("customer", "asked_by")
    ordering = ("-created_at",)
    actions = ("call_off",)

    def get_urls(self) -> list[urls.URLPattern]:
        view = self.admin_site.admin_view(self.ask)
        return [urls.path("ask/<int:customer_id>/", view, name="customers_closing_ask"), *super().get_urls()]

    def ask(self, request: http.HttpRequest, customer_id: int) -> http.HttpResponse:
        """Ask for the closing at the customer's request."""
        person: Any = request.user
        customer = shortcuts.get_object_or_404(
            customer_models.Customer.objects.for_staff(person).select_related("utility"), pk=customer_id
        )
        if not self._may(request, FREEZERS, customer):
            raise exceptions.PermissionDenied
        send_to = request.POST.get("send_to", "").strip()
        if request.method == "POST":
            try:
                close_account.ask(customer=customer, by=person, send_to=send_to, now=clock.get_now())
            except (errors.UnableTo, errors.Unreachable) as error:
                messages.error(request, str(error))
            else:
                messages.success(request, "It is closed in a week; the customer was told.")
                return shortcuts.redirect("admin:customers_closing_changelist")
        context = {**self.admin_site.each_context(request), "title": "Close an account", "customer": customer}
        return shortcuts.render(request, "wallets/ask_closing.html", {**context, "send_to": send_to})

    @admin.action(description="Call the selected closings off", permissions=["call_off"])
    def call_off(self, request: http.HttpRequest, closings: "db_models.QuerySet[customer_models.Closing]") -> None:
        """Keep these accounts."""
        for closing in closings.select_related("customer"):
            if not self._may(request, FREEZERS, closing):
                raise exceptions.PermissionDenied
            try:
                close_account.cancel(customer=closing.customer, now=clock.get_now())
            except errors.UnableTo as error:
                messages.error(request, f"{closing.customer}: {error.detail}")
            else:
                messages.success(request, f"{closing.customer}: called off.")

    def has_call_off_permission(self, request: http.HttpRequest) -> bool:
        """Say whether the person keeps accounts anywhere; each utility is looked at again."""
        return self._may(request, FREEZERS, None)


@admin.register(models.Operation)
class OperationAdmin(tenant_admin.ReadOnlyTenantAdmin):
    viewed_by = VIEWERS
    list_display = ("id", "kind", "state", "wallet", "failure", "chain_state", "created_at", "updated_at")
    list_filter = ("kind", "state")
    list_select_related = ("wallet", "user_operation__bundle")
    search_fields = ("id", "wallet__customer__name", "wallet__customer__email")
    ordering = ("-created_at",)
    readonly_fields = ("chain_state", "transaction_hash")
    exclude = ("leased_until", "attempts")
    inlines = (_History,)

    @admin.display(description="On the chain")
    def chain_state(self, operation: models.Operation) -> str:
        """Return what the relayer says of it."""
        sent = operation.user_operation
        return sent.get_state_display() if sent is not None else "Not sent"

    @admin.display(description="Transaction")
    def transaction_hash(self, operation: models.Operation) -> str:
        """Return the transaction that carried it."""
        sent = operation.user_operation
        bundle = sent.bundle if sent is not None else None
        return str(bundle.transaction_hash or "") if bundle is not None else ""


@admin.register(models.SessionKeyGrant)
class SessionKeyGrantAdmin(tenant_admin.ReadOnlyTenantAdmin):
    viewed_by = VIEWERS
    list_display = ("user", "application", "state", "payee_name", "limit_per_period_units", "starts_at", "ends_at")
    list_filter = ("state",)
    list_select_related = ("user", "application")
    search_fields = ("user__email", "user__name", "wallet__customer__name")
    ordering = ("-created_at",)
    exclude = ("key", "owner_leave")

    def get_queryset(self, request: object) -> "db_models.QuerySet[models.SessionKeyGrant]":
        """Return grants with what their names are made of."""
        return super().get_queryset(request).select_related("wallet__utility", "application")  # type: ignore[arg-type]


@admin.register(models.Application)
class ApplicationAdmin(tenant_admin.TenantAdmin):
    """OAuth clients. Their secrets are shown to nobody."""

    viewed_by = frozenset({Roles.ADMINISTRATOR, Roles.AUDITOR})
    list_display = ("name", "client_id", "utility", "client_type", "authorization_grant_type", "is_active")
    list_filter = ("is_active", "client_type")
    search_fields = ("name", "client_id")
    fieldsets = (
        (None, {"fields": ("name", "client_id", "utility", "is_active")}),
        ("May", {"fields": ("client_type", "authorization_grant_type", "allowed_scopes", "redirect_uris")}),
    )

    def has_add_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)

    def has_change_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)

    def lookup_allowed(self, lookup: str, value: Any, request: http.HttpRequest | None = None) -> bool:
        """Refuse to filter by the secret's hash, which would tell it letter by letter."""
        return "client_secret" not in lookup and bool(super().lookup_allowed(lookup, value, request))

    def save_model(self, request: http.HttpRequest, obj: models.Application, form: Any, change: Any) -> None:
        """Save; an application that is switched off may no longer spend."""
        super(tenant_admin.TenantAdmin, self).save_model(request, obj, form, change)
        if change and not obj.is_active:
            revoke_session_key.on_application_disabled(application_id=obj.pk, now=clock.get_now())
