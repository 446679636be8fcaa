from django import urls

from meters.api import imports, usage

urlpatterns = [
    urls.path("usage/", usage.Usage.as_view(), name="usage"),
    urls.path("meter-imports/", imports.ImportReadings.as_view(), name="meter-imports"),
]
