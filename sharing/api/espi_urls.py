"""Addresses of Green Button's resources, as the standard has them: without a slash at the end."""

from django import urls

from sharing.api import espi, retail

POINTS = "Subscription/<uuid:subscription_id>/UsagePoint"
READINGS = f"{POINTS}/<uuid:point_id>/MeterReading"
BLOCKS = f"{READINGS}/<str:flow>/IntervalBlock"

app_name = "espi"
urlpatterns = [
    urls.path("ReadServiceStatus", espi.ReadServiceStatus.as_view()),
    urls.path("ApplicationInformation", espi.ApplicationInformation.as_view(schema=None)),
    urls.path("ApplicationInformation/<int:third_party_id>", espi.ApplicationInformation.as_view()),
    urls.path("Authorization", espi.Authorizations.as_view()),
    urls.path("Authorization/<uuid:authorization_id>", espi.Authorization.as_view()),
    urls.path("LocalTimeParameters", espi.LocalTimeParameters.as_view(schema=None)),
    urls.path("LocalTimeParameters/<int:utility_id>", espi.LocalTimeParameters.as_view()),
    urls.path("ReadingType/<uuid:point_id>.<str:flow>", espi.ReadingType.as_view()),
    urls.path("Batch/Subscription/<uuid:subscription_id>", espi.BatchSubscription.as_view()),
    urls.path("Subscription/<uuid:subscription_id>", espi.BatchSubscription.as_view(schema=None)),
    urls.path("Batch/Subscription/<uuid:subscription_id>/UsagePoint/<uuid:point_id>", espi.BatchUsagePoint.as_view()),
    urls.path("Batch/RetailCustomer/<uuid:subscription_id>", retail.RetailCustomer.as_view()),
    urls.path(POINTS, espi.UsagePoints.as_view()),
    urls.path(f"{POINTS}/<uuid:point_id>", espi.UsagePoint.as_view()),
    urls.path(READINGS, espi.MeterReadings.as_view()),
    urls.path(f"{READINGS}/<str:flow>", espi.MeterReading.as_view()),
    urls.path(BLOCKS, espi.IntervalBlocks.as_view()),
    urls.path(f"{BLOCKS}/<str:block>", espi.IntervalBlock.as_view()),
]
