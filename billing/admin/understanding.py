"""One page about an account: which tariff would cost less, what the running bill will be, why the last changed."""

import logging
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

logger = logging.getLogger(__name__)

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
    found: dict[str, Any] = {"currency": account.utility.currency, "problems": []}
    for part in (_compare, _forecast, _explain):
        try:
            found |= part(account)
        except errors.UnableTo as error:
            found["problems"].append(error.detail)
        except (ValueError, ArithmeticError) as error:
            logger.exception("not understood: account=%s", account.pk)
            found["problems"].append(f"This could not be computed: {error}")
    return found


def _compare(account: customer_models.CustomerAccount) -> dict[str, Any]:
    compared = compare_tariffs.compare(account=account, now=clock.get_now())
    if not compared.costs:
        return {"comparison": compared}
    plot = plotting.comparison_svg(
        costs=compared.costs, current_code=compared.current_code, currency=account.utility.currency
    )
    return {"comparison": compared, "comparison_plot": plot}


def _forecast(account: customer_models.CustomerAccount) -> dict[str, Any]:
    forecast = forecast_bill.forecast_bill(account=account, now=clock.get_now())
    if forecast.spread is None:
        return {"forecast": forecast}
    plot = plotting.forecast_svg(
        so_far_nano=forecast.so_far_nano or 0, spread=forecast.spread, currency=account.utility.currency
    )
    return {"forecast": forecast, "forecast_plot": plot}


def _explain(account: customer_models.CustomerAccount) -> dict[str, Any]:
    last = account.bills.exclude(state=models.Bill.State.CANCELLED).order_by("-ends_on").first()
    if last is None:
        return {}
    explained = explain_bill.explain(issued=last)
    if not explained.effects:
        return {"explanation": explained}
    plot = plotting.explanation_svg(effects=explained.effects, currency=account.utility.currency)
    return {"explanation": explained, "explanation_plot": plot}
