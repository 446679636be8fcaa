"""One page about an account: which tariff would cost less, what the running bill will be, why the last changed."""

from typing import Any

from django import http, shortcuts, urls
from django.core import exceptions
from unfold import decorators

from billing import models
from billing.domain import plotting
from billing.usecases import compare_tariffs, explain_bill, forecast_bill
from customers import models as customer_models
from openvpp.core import admin as tenant_admin
from openvpp.core import clock, errors

Roles = tenant_admin.Roles
VIEWERS = frozenset({Roles.CSR, Roles.BILLING_ANALYST, Roles.AUDITOR, Roles.ADMINISTRATOR})


class UnderstandingMixin(tenant_admin.TenantAdmin):
    """Adds the page to a list page."""

    def get_urls(self) -> list[urls.URLPattern]:
        view = self.admin_site.admin_view(self.understand_view)
        return [urls.path("understand/", view, name="billing_understand"), *super().get_urls()]

    @decorators.action(description="Understand an account", url_path="go-to-understand")
    def go_to_understand(self, request: http.HttpRequest) -> http.HttpResponse:
        """Go to the page."""
        return shortcuts.redirect("admin:billing_understand")

    def understand_view(self, request: http.HttpRequest) -> http.HttpResponse:
        """Show an account of a utility where the person may look; the number is in `account`.

        :raises PermissionDenied: the person may look nowhere.
        """
        if not self._may(request, VIEWERS, None):
            raise exceptions.PermissionDenied
        number = request.GET.get("account", "").strip()
        rows: Any = tenant_admin._rows_of(customer_models.CustomerAccount, request, VIEWERS)  # noqa: SLF001 - same rule
        account = rows.select_related("utility").filter(number=number).first() if number else None
        context = {
            **self.admin_site.each_context(request),
            "title": "Understand an account",
            "number": number,
            "account": account,
            **(_about(account) if account else {}),
        }
        return shortcuts.render(request, "billing/understand.html", context)


def _about(account: customer_models.CustomerAccount) -> dict[str, Any]:
    now, currency = clock.get_now(), account.utility.currency
    found: dict[str, Any] = {"currency": currency, "problems": []}
    try:
        compared = compare_tariffs.compare(account=account, now=now)
        found |= {"comparison": compared}
        if compared.costs:
            found["comparison_plot"] = plotting.comparison_svg(
                costs=compared.costs, current_code=compared.current_code, currency=currency
            )
        forecast = forecast_bill.forecast_bill(account=account, now=now)
        found |= {"forecast": forecast}
        if forecast.spread is not None:
            found["forecast_plot"] = plotting.forecast_svg(
                so_far_nano=forecast.so_far_nano or 0, spread=forecast.spread, currency=currency
            )
    except errors.UnableTo as error:
        found["problems"].append(error.detail)
    last = account.bills.exclude(state=models.Bill.State.CANCELLED).order_by("-ends_on").first()
    if last is not None:
        explained = explain_bill.explain(issued=last)
        found |= {"explanation": explained}
        if explained.effects:
            found["explanation_plot"] = plotting.explanation_svg(effects=explained.effects, currency=currency)
    return found
