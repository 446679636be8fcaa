"""Riders, taxes, discounts, credits and plans, for staff: added and ended, each with a reason, never rewritten.

Analysts keep the rules; customer service puts accounts into programs and plans. A rider, tax or discount is shown on
an account's last bill before it is saved.
"""

import decimal
from typing import Any, ClassVar

from django import forms, http
from django.contrib import admin
from django.core import exceptions
from unfold import widgets as unfold_widgets

from billing import models, operations
from billing.domain import rules
from billing.usecases import adjust_bill, preview_rules
from openvpp.core import admin as tenant_admin
from openvpp.core import clock, money

Roles = tenant_admin.Roles
VIEWERS = frozenset({Roles.CSR, Roles.BILLING_ANALYST, Roles.AUDITOR, Roles.ADMINISTRATOR})
ANALYSTS = frozenset({Roles.BILLING_ANALYST, Roles.ADMINISTRATOR})
KEEPERS = frozenset({Roles.CSR, Roles.BILLING_ANALYST, Roles.ADMINISTRATOR})


class EnteredForm(forms.ModelForm):  # type: ignore[type-arg] # no arguments at run time
    """A row whose change says why, and whose parts are of one utility."""

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if self.instance.pk and self.changed_data and "reason" not in self.changed_data:
            self.add_error("reason", "Say why it is changed now.")
        utilities = {_utility_of(value) for value in data.values()} - {None}
        if len(utilities) > 1:
            raise exceptions.ValidationError("These belong to different utilities.")
        return data


class RuleForm(EnteredForm):
    """A version of a rule, with a preview on one account's last bill."""

    preview: preview_rules.Preview | None = None
    preview_account = forms.CharField(
        required=False,
        max_length=32,
        widget=unfold_widgets.UnfoldAdminTextInputWidget,
        help_text="Number of an account: see its last bill with this rule before you save.",
    )
    bases = forms.MultipleChoiceField(
        required=False,
        choices=[(base.value, base.value.capitalize()) for base in rules.Base],
        widget=unfold_widgets.UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="What a percentage is of.",
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if self.errors:
            return data
        change = self._change(data)
        if "_preview" in self.data:
            self._show(data, change)
        return data

    def _change(self, data: dict[str, Any]) -> preview_rules.Change | None:
        """Return the rule as rating reads it, or refuse what cannot be one."""
        row = self._meta.model(**{name: value for name, value in data.items() if name != "preview_account"})
        row.reason = row.reason or ""
        try:
            if isinstance(row, models.Rider):
                return preview_rules.Change(rule=adjust_bill.to_rider(row=row))
            if isinstance(row, models.Tax):
                return preview_rules.Change(rule=adjust_bill.to_tax(row=row), jurisdiction_id=row.jurisdiction_id or 0)
            return preview_rules.Change(rule=adjust_bill.to_discount(row=row))
        except ValueError as error:
            raise exceptions.ValidationError(str(error)) from error

    def _show(self, data: dict[str, Any], change: preview_rules.Change | None) -> None:
        """Keep the preview for the page; the form does not save with it."""
        if change is None or not data.get("preview_account"):
            self.add_error("preview_account", "Say on whose last bill.")
            return
        try:
            self.preview = preview_rules.preview(
                utility_id=data["utility"].pk, account_number=data["preview_account"], change=change
            )
        except preview_rules.UnableToPreview as error:
            self.add_error("preview_account", error.detail)
            return
        self.add_error(None, "This is the preview. Nothing is saved yet.")


class EnteredAdmin(tenant_admin.TenantAdmin):
    """Rows that are added and ended. What a bill may have used does not change."""

    viewed_by = VIEWERS
    written_by = ANALYSTS
    form = EnteredForm
    exclude = ("entered_by", "entered_at")
    changeable: ClassVar[tuple[str, ...]] = ("ends_on",)

    def get_readonly_fields(self, request: http.HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ()
        names = [field.name for field in self.opts.fields if field.editable and not field.primary_key]
        return [name for name in names if name not in {*self.changeable, "reason", *self.exclude}]

    def save_model(self, request: http.HttpRequest, obj: Any, form: Any, change: Any) -> None:
        """Save with who and when."""
        obj.entered_by, obj.entered_at = request.user, clock.get_now()
        super().save_model(request, obj, form, change)

    def log_addition(self, request: http.HttpRequest, obj: Any, message: Any) -> Any:
        return super().log_addition(request, obj, f"Added: {obj.reason}")

    def log_change(self, request: http.HttpRequest, obj: Any, message: Any) -> Any:
        changed = ", ".join(f"{name} {getattr(obj, name)}" for name in self.changeable)
        return super().log_change(request, obj, f"Changed to {changed}: {obj.reason}")


class RuleAdmin(EnteredAdmin):
    form = RuleForm
    changeable = ("effective_until",)
    change_form_before_template = "billing/rule_preview.html"
    list_display: Any = ("code", "name", "utility", "effective_from", "effective_until", "basis", "price", "percent")
    list_filter = (("utility", admin.RelatedOnlyFieldListFilter), "basis")
    list_select_related: Any = ("utility",)
    search_fields = ("code", "name")

    def get_form(self, request: http.HttpRequest, obj: Any = None, change: Any = None, **kwargs: Any) -> Any:
        """Return the form; an existing version is only ended, so it needs neither bases nor a preview."""
        if obj is not None:
            kwargs["form"] = EnteredForm
        return super().get_form(request, obj, change, **kwargs)


@admin.register(models.Rider)
class RiderAdmin(RuleAdmin):
    pass


@admin.register(models.Tax)
class TaxAdmin(RuleAdmin):
    list_display = (*RuleAdmin.list_display, "jurisdiction", "stage")
    list_select_related = ("utility", "jurisdiction")


@admin.register(models.DiscountProgram)
class DiscountProgramAdmin(RuleAdmin):
    pass


@admin.register(models.Jurisdiction)
class JurisdictionAdmin(tenant_admin.TenantAdmin):
    viewed_by = VIEWERS
    written_by = ANALYSTS
    list_display = ("code", "name", "utility")
    list_select_related = ("utility",)
    search_fields = ("code", "name")


@admin.register(models.TaxedPlace)
class TaxedPlaceAdmin(EnteredAdmin):
    list_display = ("service_point", "jurisdiction", "starts_on", "ends_on")
    list_select_related = ("service_point", "jurisdiction")
    search_fields = ("service_point__number", "jurisdiction__code")
    raw_id_fields = ("service_point",)


class OfAccountAdmin(EnteredAdmin):
    written_by = KEEPERS
    list_select_related = ("account",)
    search_fields = ("account__number",)
    raw_id_fields = ("account",)


@admin.register(models.DiscountEnrollment)
class DiscountEnrollmentAdmin(OfAccountAdmin):
    list_display = ("account", "program_code", "starts_on", "ends_on", "proof", "proven_on")


@admin.register(models.TaxExemption)
class TaxExemptionAdmin(OfAccountAdmin):
    list_display = ("account", "tax_code", "percent", "certificate", "starts_on", "ends_on")


@admin.register(models.BudgetPlan)
class BudgetPlanAdmin(OfAccountAdmin):
    list_display = ("account", "instalment", "settlement_month", "starts_on", "ends_on")


@admin.register(models.PrepayPlan)
class PrepayPlanAdmin(OfAccountAdmin):
    list_display = ("account", "daily_charge", "starts_on", "ends_on")


@admin.register(models.AccountCredit)
class AccountCreditAdmin(EnteredAdmin):
    changeable = ()
    list_display = ("account", "label", "amount", "withdrawn", "left", "given_on", "from_bill")
    list_select_related = ("account",)
    search_fields = ("account__number", "label")
    raw_id_fields = ("account",)

    @admin.display(description="Left")
    def left(self, credit: models.AccountCredit) -> decimal.Decimal:
        standing = credit.uses.exclude(bill__state=models.Bill.State.CANCELLED)
        used = sum(standing.values_list("amount_nano", flat=True))
        used_amount = money.from_units(units=used, decimals=9).quantize(decimal.Decimal("0.01"))
        return credit.amount - credit.withdrawn - used_amount

    def save_model(self, request: http.HttpRequest, obj: Any, form: Any, change: Any) -> None:
        """Save with who and when, and book it."""
        super().save_model(request, obj, form, change)
        if not change:
            operations.book_credit(credit=obj, now=obj.entered_at)


@admin.register(models.PrepaidDeposit)
class PrepaidDepositAdmin(EnteredAdmin):
    changeable = ()
    list_display = ("account", "amount", "paid_on")
    list_select_related = ("account",)
    search_fields = ("account__number",)
    raw_id_fields = ("account",)

    def save_model(self, request: http.HttpRequest, obj: Any, form: Any, change: Any) -> None:
        """Save with who and when, and book it."""
        super().save_model(request, obj, form, change)
        if not change:
            operations.book_deposit(deposit=obj, now=obj.entered_at)


def _utility_of(value: Any) -> Any:
    """Return the utility that a chosen row belongs to, or None for what belongs to none."""
    path = getattr(type(value), "utility_path", None)
    if path is None or not hasattr(value, "pk"):
        return None
    if path == "id":
        return value.pk
    for name in path.split("__"):
        value = getattr(value, name)
    return value.pk
