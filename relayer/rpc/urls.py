"""Addresses of the bundler."""

from django import urls

from relayer.rpc import views

urlpatterns = [urls.path("rpc/v1/<int:chain_id>", views.call, name="bundler")]
