"""Gas: each budget and how long it lasts, and what gas cost against the fees, for those who look after it."""

import csv
import decimal
import io
from typing import Any

from django import http, shortcuts, urls
from django.contrib import admin
from django.core import exceptions
from django.utils import safestring

from controls import queries as controls
from customers import models as customer_models
from openvpp.core import admin as tenant_admin
from openvpp.core import clock
from relayer import models
from relayer.domain import gas_plot
from relayer.usecases import report_gas

Roles = tenant_admin.Roles
VIEWERS = frozenset({Roles.PROGRAM_MANAGER, Roles.BILLING_ANALYST, Roles.AUDITOR, Roles.ADMINISTRATOR})
PERIODS = (7, 30, 90)
_USUAL = 30
_DAY_COLUMNS = ("day", "operations", "gas_wei", "fees_wei", "result_wei")


@admin.register(models.SponsorshipPolicy)
class SponsorshipPolicyAdmin(tenant_admin.ReadOnlyTenantAdmin):
    """The list is a page of its own; two people change a policy, under "Changes by two people"."""

    viewed_by = VIEWERS

    def get_urls(self) -> list[urls.URLPattern]:
        """Add the file of days."""
        view = self.admin_site.admin_view(self.days_file)
        return [urls.path("days.csv", view, name="relayer_gas_days"), *super().get_urls()]

    def changelist_view(self, request: http.HttpRequest, extra_context: Any = None) -> http.HttpResponse:
        """Show budgets, and gas against fees."""
        chosen, utilities, days = self._choose(request)
        now = clock.get_now()
        found = report_gas.read_days(utility_ids=chosen, days=days, now=now)
        decides = {pk for pk in chosen if controls.may_decide(user=_person(request), utility_id=pk)}
        context = {
            **self.admin_site.each_context(request),
            "title": "Gas",
            "utilities": utilities,
            "utility": chosen[0] if len(chosen) == 1 and len(utilities) > 1 else None,
            "may_ask_at": [(utility, f"new:{utility.pk}") for utility in utilities if utility.pk in decides],
            "decides": decides,
            "budgets": report_gas.read_budgets(utility_ids=chosen, now=now),
            "days": [day for day in reversed(found) if day.operations],
            "gas_wei": sum(day.gas_wei for day in found),
            "fees_wei": sum(day.fees_wei for day in found),
            "result": _signed(sum(day.result_wei for day in found)),
            "operations": sum(day.operations for day in found),
            "plot": safestring.mark_safe(gas_plot.to_svg(days=found)),  # noqa: S308 - numbers and dates alone
            "period": days,
            "periods": PERIODS,
            "query": request.GET.urlencode(),
            "held": models.TokenPrice.objects.filter(held_at__isnull=False),
        }
        return shortcuts.render(request, "relayer/gas.html", context)

    def days_file(self, request: http.HttpRequest) -> http.HttpResponse:
        """Send the days as CSV, in wei."""
        chosen, _, days = self._choose(request)
        text = io.StringIO()
        rows = csv.writer(text)
        rows.writerow(_DAY_COLUMNS)
        for day in report_gas.read_days(utility_ids=chosen, days=days, now=clock.get_now()):
            rows.writerow([getattr(day, name) for name in _DAY_COLUMNS])
        headers = {"Content-Disposition": f'attachment; filename="gas-{days}-days.csv"'}
        return http.HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8", headers=headers)

    def _choose(self, request: http.HttpRequest) -> tuple[list[int], list[customer_models.Utility], int]:
        """Return the utilities that are looked at, those that may be, and over how many days.

        :raises PermissionDenied: the person may look nowhere, or not there.
        """
        utilities = list(tenant_admin._rows_of(customer_models.Utility, request, VIEWERS).order_by("name"))  # noqa: SLF001
        if not utilities or not self.has_view_permission(request):
            raise exceptions.PermissionDenied
        asked = request.GET.get("utility", "")
        chosen = [utility.pk for utility in utilities if asked in ("", str(utility.pk))]
        if not chosen:
            raise exceptions.PermissionDenied
        days = request.GET.get("days", "")
        return chosen, utilities, int(days) if days in map(str, PERIODS) else _USUAL


@admin.register(models.Sponsorship)
class SponsorshipAdmin(tenant_admin.ReadOnlyTenantAdmin):
    """Each operation that was paid for."""

    viewed_by = VIEWERS
    list_display = ("made_at", "utility", "payer", "reason", "sender", "reserved_wei", "cost_wei", "state")
    list_filter = ("state", "payer")
    list_select_related = ("utility",)
    ordering = ("-made_at",)


def _signed(wei: int) -> str:
    return f"{decimal.Decimal(wei).scaleb(-18):+.6f}"


def _person(request: http.HttpRequest) -> Any:
    return request.user
