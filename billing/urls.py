from django import urls

from billing.api import bills, comparison, explanation, forecast, payments, received

urlpatterns = [
    urls.path("bills/<uuid:bill_id>/payments/", payments.PayBill.as_view(), name="bill-payments"),
    urls.path("bills/", bills.ListBills.as_view(), name="bills"),
    urls.path("bills/received/", received.ReceiveBill.as_view(), name="bills-received"),
    urls.path("bills/<uuid:bill_id>/", bills.ShowBill.as_view(), name="bill"),
    urls.path("bills/<uuid:bill_id>/quotes/", payments.QuotePayment.as_view(), name="bill-quotes"),
    urls.path("bills/<uuid:bill_id>/explanation/", explanation.ExplainBill.as_view(), name="bill-explanation"),
    urls.path(
        "accounts/<int:account_id>/tariff-comparison/",
        comparison.CompareTariffs.as_view(),
        name="account-tariff-comparison",
    ),
    urls.path("accounts/<int:account_id>/forecast/", forecast.ForecastBill.as_view(), name="account-forecast"),
    urls.path("payments/", payments.ListPayments.as_view(), name="payments"),
    urls.path("payments/<uuid:payment_id>/", payments.ShowPayment.as_view(), name="payment"),
]
