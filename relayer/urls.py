"""Addresses under `/api/v1/`."""

from django import urls

from relayer.api import gas

urlpatterns = [
    urls.path("gas/budgets/", gas.ListBudgets.as_view(), name="gas-budgets"),
    urls.path("gas/days/", gas.ListDays.as_view(), name="gas-days"),
]
