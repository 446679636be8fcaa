from django import urls

from billing.api import bills, payments, received

urlpatterns = [
    urls.path("bills/", bills.ListBills.as_view(), name="bills"),
    urls.path("bills/received/", received.ReceiveBill.as_view(), name="bills-received"),
    urls.path("bills/<uuid:bill_id>/", bills.ShowBill.as_view(), name="bill"),
    urls.path("bills/<uuid:bill_id>/quotes/", payments.QuotePayment.as_view(), name="bill-quotes"),
    urls.path("bills/<uuid:bill_id>/payments/", payments.PayBill.as_view(), name="bill-payments"),
    urls.path("payments/", payments.ListPayments.as_view(), name="payments"),
    urls.path("payments/<uuid:payment_id>/", payments.ShowPayment.as_view(), name="payment"),
]
