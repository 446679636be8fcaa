"""Tariffs, bills, payments and books, for staff. Money is only looked at; what changes it is a use case."""

import dataclasses
from collections.abc import Callable
from typing import Any

from django import forms as django_forms
from django import http, shortcuts, urls
from django.contrib import admin, messages
from django.core import exceptions
from unfold import decorators

from billing import forms, models
from billing.adapters import urdb
from billing.admin import rules as rules
from billing.admin import runs, understanding
from billing.usecases import import_tariff, issue_bill, price_load, rebill
from customers import models as customer_models
from openvpp.core import admin as tenant_admin
from openvpp.core import clock, errors, money

Roles = tenant_admin.Roles
VIEWERS = frozenset({Roles.CSR, Roles.BILLING_ANALYST, Roles.AUDITOR, Roles.ADMINISTRATOR})
BOOKKEEPERS = frozenset({Roles.BILLING_ANALYST, Roles.AUDITOR, Roles.ADMINISTRATOR})
ANALYSTS = frozenset({Roles.BILLING_ANALYST, Roles.ADMINISTRATOR})


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Wish:
    """One form of the admin: its title, its button, and what it does with what was typed."""

    title: str
    verb: str
    form: type[django_forms.Form]
    act: Callable[[dict[str, Any]], str]


class _FormMixin(tenant_admin.TenantAdmin):
    """A list page with a form of its own behind a button, which analysts see."""

    def has_act_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        """Say whether the person may use the form."""
        return self._may(request, ANALYSTS, None)

    def serve(self, request: http.HttpRequest, wish: _Wish) -> http.HttpResponse:
        """Show the form, or do what it says and go back to the list.

        :raises PermissionDenied: the person is no analyst.
        """
        if not self.has_act_permission(request):
            raise exceptions.PermissionDenied
        form = wish.form(request.POST or None, request.FILES or None)
        own = tenant_admin._rows_of(customer_models.Utility, request, ANALYSTS)  # noqa: SLF001 - the same rule
        form.fields["utility"].queryset = own  # type: ignore[attr-defined] # a choice of rows
        if request.method == "POST" and form.is_valid():
            try:
                messages.success(request, wish.act(form.cleaned_data))
            except errors.UnableTo as error:
                form.add_error(None, error.detail)
            else:
                return shortcuts.redirect(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
        context = {**self.admin_site.each_context(request), "title": wish.title, "verb": wish.verb, "form": form}
        return shortcuts.render(request, "desk/one_form.html", context)


@admin.register(models.Tariff)
class TariffAdmin(_FormMixin, tenant_admin.ReadOnlyTenantAdmin):
    viewed_by = VIEWERS
    list_display = ("code", "name", "utility", "effective_from", "effective_until", "imported_at")
    list_select_related = ("utility",)
    search_fields = ("code", "name")
    actions_list = ("go_to_import",)

    def get_urls(self) -> list[urls.URLPattern]:
        own = urls.path("import/", self.admin_site.admin_view(self.import_view), name="billing_tariff_import")
        return [own, *super().get_urls()]

    @decorators.action(description="Import a tariff", url_path="go-to-import", permissions=["act"])
    def go_to_import(self, request: http.HttpRequest) -> http.HttpResponse:
        """Go to the form."""
        return shortcuts.redirect("admin:billing_tariff_import")

    def import_view(self, request: http.HttpRequest) -> http.HttpResponse:
        """Import a URDB rate as a version of a tariff."""
        wish = _Wish(title="Import a tariff", verb="Import", form=forms.ImportTariff, act=_import)
        return self.serve(request, wish)


@admin.register(models.MarketPrice)
class MarketPriceAdmin(_FormMixin, tenant_admin.ReadOnlyTenantAdmin):
    viewed_by = VIEWERS
    list_display = ("index", "starts_at", "seconds", "price", "version", "taken_at", "utility")
    list_filter = ("index",)
    list_select_related = ("utility",)
    date_hierarchy = "starts_at"
    actions_list = ("go_to_import",)

    def get_urls(self) -> list[urls.URLPattern]:
        own = urls.path("import/", self.admin_site.admin_view(self.import_view), name="billing_marketprice_import")
        return [own, *super().get_urls()]

    @decorators.action(description="Import prices", url_path="go-to-import", permissions=["act"])
    def go_to_import(self, request: http.HttpRequest) -> http.HttpResponse:
        """Go to the form."""
        return shortcuts.redirect("admin:billing_marketprice_import")

    def import_view(self, request: http.HttpRequest) -> http.HttpResponse:
        """Import real-time prices."""
        wish = _Wish(title="Import real-time prices", verb="Import", form=forms.ImportPrices, act=_import_prices)
        return self.serve(request, wish)


class _Lines(tenant_admin.ReadOnlyTenantInline):
    model = models.BillLine
    viewed_by = VIEWERS
    fields = ("position", "label", "quantity", "unit", "price", "amount", "tariff")
    readonly_fields = ("price", "amount")
    show_change_link = False

    @admin.display(description="Unit price")
    def price(self, line: models.BillLine) -> str:
        return f"{money.from_units(units=line.unit_price_nano, decimals=9):f}"

    @admin.display(description="Amount")
    def amount(self, line: models.BillLine) -> str:
        return f"{money.from_units(units=line.amount_nano, decimals=9):f}"


class _Allocations(tenant_admin.ReadOnlyTenantInline):
    model = models.PaymentAllocation
    viewed_by = VIEWERS
    fields = ("bill", "payment", "amount_cents", "state")
    show_change_link = False


class _CreditUses(tenant_admin.ReadOnlyTenantInline):
    model = models.CreditUse
    viewed_by = VIEWERS
    fields = ("credit", "amount")
    readonly_fields = ("amount",)
    show_change_link = False

    @admin.display(description="Amount")
    def amount(self, use: models.CreditUse) -> str:
        return f"{money.from_units(units=use.amount_nano, decimals=9):.2f}"


class _Transfers(tenant_admin.ReadOnlyTenantInline):
    model = models.ProvenTransfer
    viewed_by = VIEWERS
    fields = ("transaction_hash", "log_index", "block_number", "token", "units")
    show_change_link = False


@admin.register(models.Bill)
class BillAdmin(understanding.UnderstandingMixin, runs.CorrectingMixin, _FormMixin, tenant_admin.ReadOnlyTenantAdmin):
    viewed_by = VIEWERS
    list_display = ("number", "account", "amount_due", "state", "source", "starts_on", "ends_on", "due_on", "issued_at")
    list_filter = ("state", "source", "starts_on")
    list_select_related = ("account",)
    search_fields = ("number", "account__number", "account__accesses__customer__name")
    date_hierarchy = "issued_at"
    ordering = ("-issued_at",)
    readonly_fields = (
        "total",
        "brought_forward",
        "amount_due",
        "carried_forward",
        "not_charged",
        "estimated",
        "prices",
    )
    exclude = ("total_cents", "brought_forward_cents", "amount_due_cents", "carried_forward_cents")
    inlines = (_Lines, _Allocations, _CreditUses)
    actions_list = ("go_to_understand", "go_to_issue")

    def get_urls(self) -> list[urls.URLPattern]:
        own = urls.path("issue/", self.admin_site.admin_view(self.issue_view), name="billing_bill_issue")
        return [own, *super().get_urls()]

    @admin.display(description="Amount due", ordering="amount_due_cents")
    def amount_due(self, bill: models.Bill) -> str:
        return _cents(bill.amount_due_cents, bill)

    @admin.display(description="Total")
    def total(self, bill: models.Bill) -> str:
        return _cents(bill.total_cents, bill)

    @admin.display(description="Credit brought forward")
    def brought_forward(self, bill: models.Bill) -> str:
        return _cents(bill.brought_forward_cents, bill)

    @admin.display(description="Credit carried forward")
    def carried_forward(self, bill: models.Bill) -> str:
        return _cents(bill.carried_forward_cents, bill)

    @admin.display(description="Estimated readings")
    def estimated(self, bill: models.Bill) -> str:
        truth = "The meter's own readings have come: correct this bill." if rebill.has_truth(bill=bill) else ""
        return f"{bill.estimates_text} {truth}".strip()

    @admin.display(description="Real-time prices")
    def prices(self, bill: models.Bill) -> str:
        return f"Those known at {bill.prices_known_at}" if bill.prices_known_at else ""

    @admin.display(description="Not charged")
    def not_charged(self, bill: models.Bill) -> str:
        return " ".join(bill.omissions)

    @decorators.action(description="Issue a bill", url_path="go-to-issue", permissions=["act"])
    def go_to_issue(self, request: http.HttpRequest) -> http.HttpResponse:
        """Go to the form."""
        return shortcuts.redirect("admin:billing_bill_issue")

    def issue_view(self, request: http.HttpRequest) -> http.HttpResponse:
        """Rate an account's meter data and issue the bill."""
        return self.serve(request, _Wish(title="Issue a bill", verb="Issue", form=forms.IssueBill, act=_issue))


@admin.register(models.Payment)
class PaymentAdmin(tenant_admin.ReadOnlyTenantAdmin):
    viewed_by = VIEWERS
    list_display = ("id", "account", "amount", "fee", "state", "failure", "created_at", "settled_at")
    list_filter = ("state", "fee_mode")
    list_select_related = ("account", "token", "fee_token")
    search_fields = ("id", "account__number", "allocations__bill__number")
    ordering = ("-created_at",)
    readonly_fields = ("amount", "fee")
    inlines = (_Allocations, _Transfers)

    @admin.display(description="Amount")
    def amount(self, payment: models.Payment) -> str:
        return _tokens(payment.amount_units, payment.token)

    @admin.display(description="Network fee")
    def fee(self, payment: models.Payment) -> str:
        return "Utility pays" if payment.fee_token is None else _tokens(payment.fee_units, payment.fee_token)


@admin.register(models.LedgerAccount)
class LedgerAccountAdmin(tenant_admin.ReadOnlyTenantAdmin):
    viewed_by = BOOKKEEPERS
    list_display = ("code", "commodity", "customer_account", "utility")
    list_filter = ("code",)
    list_select_related = ("customer_account", "utility")
    search_fields = ("commodity", "customer_account__number")


class _Entries(tenant_admin.ReadOnlyTenantInline):
    model = models.LedgerEntry
    viewed_by = BOOKKEEPERS
    fields = ("account", "amount")
    show_change_link = False


@admin.register(models.LedgerTransaction)
class LedgerTransactionAdmin(tenant_admin.ReadOnlyTenantAdmin):
    viewed_by = BOOKKEEPERS
    list_display = ("id", "kind", "bill", "payment", "credit", "deposit", "operation", "booked_at", "utility")
    list_filter = ("kind",)
    list_select_related = ("bill", "payment", "credit", "deposit", "operation", "utility")
    search_fields = ("bill__number", "payment__id", "operation__id")
    ordering = ("-booked_at",)
    inlines = (_Entries,)


def _cents(cents: int, bill: models.Bill) -> str:
    return f"{money.from_units(units=cents, decimals=2):f} {bill.currency}"


def _tokens(units: int, token: customer_models.AcceptedToken) -> str:
    return f"{money.from_units(units=units, decimals=token.decimals):f} {token.symbol}"


def _import(data: dict[str, Any]) -> str:
    if data["file"].size > urdb.MAX_BYTES:
        raise errors.Invalid(f"The file is longer than {urdb.MAX_BYTES} bytes.", code="too_long")
    try:
        text = data["file"].read().decode()
    except UnicodeDecodeError as error:
        raise errors.Invalid("The file is not text.", code="not_text") from error
    tariff = import_tariff.import_tariff(
        utility_id=data["utility"].pk,
        code=data["code"],
        text=text,
        effective_from=data["effective_from"],
        terms=data["terms"] or {},
        now=clock.get_now(),
    )
    notes = f" Not priced: {' '.join(tariff.warnings)}" if tariff.warnings else ""
    return f"{tariff} is imported.{notes}"


def _import_prices(data: dict[str, Any]) -> str:
    if data["file"].size > price_load.MOST_BYTES:
        raise errors.Invalid(f"The file is longer than {price_load.MOST_BYTES} bytes.", code="too_long")
    try:
        text = data["file"].read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise errors.Invalid("The file is not text.", code="not_text") from error
    count = price_load.import_prices(
        utility_id=data["utility"].pk,
        index=data["index"],
        text=text,
        minutes=data["minutes"],
        is_per_mwh=data["is_per_mwh"],
        now=clock.get_now(),
    )
    return f"{count} prices of {data['index']} are new. Bills that are issued keep those that they used."


def _issue(data: dict[str, Any]) -> str:
    accounts = customer_models.CustomerAccount.objects.of_utility(data["utility"].pk)
    account = accounts.filter(number=data["account"]).first()
    if account is None:
        raise errors.NotFound("There is no account of this number.")
    bill = issue_bill.issue_bill(
        account_id=account.pk, starts_on=data["starts_on"], ends_on=data["ends_on"], now=clock.get_now()
    )
    return f"Bill {bill.number} stands: {money.from_units(units=bill.amount_due_cents, decimals=2):f} {bill.currency}."
