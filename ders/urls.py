from django import urls

from ders.api import views

urlpatterns = [
    urls.path("devices/", views.Devices.as_view(), name="devices"),
    urls.path("devices/<uuid:device_id>/", views.Device.as_view(), name="device"),
    urls.path("providers/<slug:slug>/webhooks/", views.Webhook.as_view(), name="provider-webhooks"),
]
