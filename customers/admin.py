"""Utilities, people and service, for staff.

Who looks and who writes: CSRs keep customers, accounts, premises and service; administrators also the utility, its
tokens and its staff; billing analysts, program managers and auditors look. Treasury address, chain and tokens are
money: only an operator of the installation writes them.
"""

from typing import Any

from allauth.account import decorators as account_decorators
from allauth.mfa import models as mfa_models
from allauth.socialaccount import models as social_models
from django import http, shortcuts
from django.contrib import admin, messages
from django.contrib.auth import admin as auth_admin
from django.contrib.auth import models as auth_models
from unfold import admin as unfold_admin
from unfold import forms as unfold_forms

from customers import models
from customers.usecases import keep_sign_ins
from openvpp.core import admin as tenant_admin
from openvpp.core import clock, db

Roles = tenant_admin.Roles
EVERYBODY = Roles.ALL
KEEPERS = frozenset({Roles.CSR, Roles.ADMINISTRATOR})
# The plain filter would offer, and so name, every utility of the installation.
OF_OWN_UTILITIES = ("utility", admin.RelatedOnlyFieldListFilter)

for _model in (auth_models.Group, mfa_models.Authenticator, social_models.SocialApp, social_models.SocialToken):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)
# Staff sign in by the same door as everybody: its limits on guessing and its second factor hold for them too.
admin.site.login = account_decorators.secure_admin_login(admin.site.login)  # type: ignore[method-assign] # as allauth's documentation says


def _change_password(request: http.HttpRequest, extra_context: Any = None) -> http.HttpResponse:  # noqa: ARG001 - as Django calls it
    return shortcuts.redirect("account_change_password")


admin.site.password_change = _change_password  # type: ignore[method-assign,assignment] # unfold makes the site itself


class PasswordForm(unfold_forms.AdminPasswordChangeForm):
    """A new password for somebody else."""

    def save(self, commit: bool = True) -> Any:  # noqa: FBT001, FBT002 - Django's own
        """Store it, and end what the old one opened, at once."""
        with db.transaction_if_not_already():
            user = super().save(commit=commit)
            keep_sign_ins.end_everything(user=user, now=clock.get_now())
        return user


@admin.register(models.User)
class UserAdmin(auth_admin.UserAdmin, unfold_admin.ModelAdmin):  # type: ignore[type-arg] # no arguments at run time
    """Sign-ins belong to no utility: only an operator of the installation sees them."""

    form = unfold_forms.UserChangeForm
    add_form = unfold_forms.UserCreationForm
    change_password_form = PasswordForm
    list_display = ("email", "name", "is_active", "is_staff", "is_superuser", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("email", "name")
    ordering = ("email",)
    filter_horizontal = ()
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        ("May", {"fields": ("is_active", "is_staff", "is_superuser")}),
        ("When", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "usable_password", "password1", "password2")}),)

    def save_model(self, request: http.HttpRequest, obj: models.User, form: Any, change: Any) -> None:
        """Save; whoever may no longer sign in may no longer spend either."""
        super().save_model(request, obj, form, change)
        if change and not obj.is_active:
            keep_sign_ins.end_everything(user=obj, now=clock.get_now())

    def has_module_permission(self, request: http.HttpRequest) -> bool:
        return _is_operator(request)

    def has_view_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        return _is_operator(request)

    def has_add_permission(self, request: http.HttpRequest) -> bool:
        return _is_operator(request)

    def has_change_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        return _is_operator(request)

    def has_delete_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        return False


# Changed by two people: `controls.usecases.change_utility_terms`.
GUARDED = (
    "treasury_address",
    "default_fee_mode",
    "offers_fee_in_ovpp",
    "offers_fee_in_stablecoin",
    "absorbs_fee",
    "default_payment_limit_cents",
    "default_period_limit_cents",
    "default_grant_days",
    "max_payment_limit_cents",
    "max_period_limit_cents",
    "max_grant_days",
)


@admin.register(models.Utility)
class UtilityAdmin(tenant_admin.TenantAdmin):
    viewed_by = EVERYBODY
    written_by = frozenset({Roles.ADMINISTRATOR})
    list_display = ("name", "slug", "time_zone", "currency", "default_fee_mode", "chain_id")
    search_fields = ("name", "slug")
    fieldsets = (
        (None, {"fields": ("name", "slug", "territory", "brand_color", "time_zone", "currency")}),
        ("Money", {"fields": ("chain_id", "treasury_address")}),
        (
            "Network fee",
            {"fields": ("default_fee_mode", "offers_fee_in_ovpp", "offers_fee_in_stablecoin", "absorbs_fee")},
        ),
        (
            "What a customer is offered on the consent page",
            {
                "fields": (
                    "default_payment_limit_cents",
                    "default_period_limit_cents",
                    "default_grant_days",
                    "max_payment_limit_cents",
                    "max_period_limit_cents",
                    "max_grant_days",
                )
            },
        ),
    )

    def has_add_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        return _is_operator(request)

    def get_readonly_fields(self, request: http.HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Keep what guards money for two people (`controls`), and what names the utility for the operator."""
        if obj is None:
            return ()
        own = () if _is_operator(request) else ("slug", "currency", "time_zone")
        return (*own, "chain_id", *GUARDED)


@admin.register(models.AcceptedToken)
class AcceptedTokenAdmin(tenant_admin.TenantAdmin):
    viewed_by = EVERYBODY
    list_display = ("symbol", "utility", "address", "decimals", "pays_bills", "pays_fees")
    search_fields = ("symbol", "address")

    def has_add_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        return _is_operator(request)

    def has_change_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        """Refuse: two people change the terms of a token (`controls.usecases.change_accepted_token`)."""
        return False

    def save_model(self, request: http.HttpRequest, obj: Any, form: Any, change: Any) -> None:
        """Save: who may, may anywhere."""
        super(tenant_admin.TenantAdmin, self).save_model(request, obj, form, change)


@admin.register(models.StaffRole)
class StaffRoleAdmin(tenant_admin.TenantAdmin):
    """Who is staff. Giving a role is the operator's: an administrator could otherwise make themselves anything."""

    viewed_by = frozenset({Roles.ADMINISTRATOR, Roles.AUDITOR})
    may_be_deleted = True
    list_display = ("user", "role", "utility")
    list_filter = ("role",)
    search_fields = ("user__email", "user__name")
    autocomplete_fields = ("user",)

    def has_add_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        return _is_operator(request)

    def has_change_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        return _is_operator(request)

    def has_delete_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        return _is_operator(request)

    def save_model(self, request: http.HttpRequest, obj: Any, form: Any, change: Any) -> None:
        """Save: who may, may anywhere."""
        super(tenant_admin.TenantAdmin, self).save_model(request, obj, form, change)


class AccessInline(tenant_admin.TenantTabularInline):
    model = models.AccountAccess
    viewed_by = EVERYBODY
    written_by = KEEPERS
    autocomplete_fields = ("customer", "account")


class AgreementInline(tenant_admin.TenantTabularInline):
    model = models.ServiceAgreement
    viewed_by = EVERYBODY
    written_by = KEEPERS
    autocomplete_fields = ("account", "service_point")


class ServicePointInline(tenant_admin.TenantTabularInline):
    model = models.ServicePoint
    viewed_by = EVERYBODY
    written_by = KEEPERS


class MeterInline(tenant_admin.TenantTabularInline):
    model = models.MeterInstallation
    viewed_by = EVERYBODY
    written_by = KEEPERS


@admin.register(models.Customer)
class CustomerAdmin(tenant_admin.TenantAdmin):
    viewed_by = EVERYBODY
    written_by = KEEPERS
    list_display = ("name", "email", "phone", "utility", "signs_in")
    list_filter = (OF_OWN_UTILITIES,)
    search_fields = (
        "name",
        "email",
        "user__email",
        "accesses__account__number",
        "accesses__account__agreements__service_point__meters__serial",
    )
    search_help_text = "Name, e-mail, account number or meter serial"
    readonly_fields = ("user", "created_at")
    inlines = (AccessInline,)
    actions = ("ask_for_closing",)

    @admin.action(description="Close the selected customer's account", permissions=["change"])
    def ask_for_closing(self, request: http.HttpRequest, customers: Any) -> http.HttpResponse | None:
        """Go to where it is asked for."""
        chosen = list(customers[:2])
        if len(chosen) != 1:
            messages.error(request, "Choose one customer.")
            return None
        return shortcuts.redirect("admin:customers_closing_ask", chosen[0].pk)

    @admin.display(boolean=True, description="Signs in")
    def signs_in(self, customer: models.Customer) -> bool:
        return customer.user_id is not None


@admin.register(models.CustomerAccount)
class CustomerAccountAdmin(tenant_admin.TenantAdmin):
    """The proof's hash is not shown to anybody."""

    viewed_by = EVERYBODY
    written_by = KEEPERS
    list_display = ("number", "utility", "opened_on", "closed_on")
    list_filter = (OF_OWN_UTILITIES,)
    search_fields = ("number", "accesses__customer__name", "accesses__customer__email")
    exclude = ("claim_proof",)
    inlines = (AccessInline, AgreementInline)

    def lookup_allowed(self, lookup: str, value: Any, request: http.HttpRequest | None = None) -> bool:
        """Refuse to filter by the proof's hash, which would tell it letter by letter."""
        return "claim_proof" not in lookup and super().lookup_allowed(lookup, value, request)


@admin.register(models.Premise)
class PremiseAdmin(tenant_admin.TenantAdmin):
    viewed_by = EVERYBODY
    written_by = KEEPERS
    list_display = ("street", "city", "postal_code", "utility")
    search_fields = ("street", "city", "postal_code", "service_points__number")
    inlines = (ServicePointInline,)


@admin.register(models.ServicePoint)
class ServicePointAdmin(tenant_admin.TenantAdmin):
    viewed_by = EVERYBODY
    written_by = KEEPERS
    list_display = ("number", "premise")
    list_select_related = ("premise",)
    search_fields = ("number", "premise__street", "meters__serial")
    autocomplete_fields = ("premise",)
    inlines = (MeterInline, AgreementInline)


@admin.register(models.ServiceAgreement)
class ServiceAgreementAdmin(tenant_admin.TenantAdmin):
    viewed_by = EVERYBODY
    written_by = KEEPERS
    list_display = ("account", "service_point", "tariff_code", "starts_on", "ends_on")
    list_select_related = ("account", "service_point")
    search_fields = ("account__number", "service_point__number", "tariff_code")
    autocomplete_fields = ("account", "service_point")


@admin.register(models.MeterInstallation)
class MeterInstallationAdmin(tenant_admin.TenantAdmin):
    viewed_by = EVERYBODY
    written_by = KEEPERS
    list_display = ("serial", "service_point", "multiplier", "starts_on", "ends_on")
    list_select_related = ("service_point",)
    search_fields = ("serial", "service_point__number")
    autocomplete_fields = ("service_point",)


@admin.register(models.ClaimAttempt)
class ClaimAttemptAdmin(tenant_admin.ReadOnlyTenantAdmin):
    viewed_by = frozenset({Roles.CSR, Roles.ADMINISTRATOR, Roles.AUDITOR})
    list_display = ("account_number", "user", "succeeded", "made_at", "utility")
    list_filter = ("succeeded",)
    search_fields = ("account_number", "user__email")


def _is_operator(request: http.HttpRequest) -> bool:
    return bool(request.user.is_active and request.user.is_superuser)
