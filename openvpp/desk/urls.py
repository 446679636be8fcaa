from django import urls
from django.contrib import admin

from openvpp.desk import policies, views

app_name = "desk"
urlpatterns = [
    urls.path("", admin.site.admin_view(views.search), name="search"),
    urls.path("policies/", admin.site.admin_view(policies.explain), name="policies"),
    urls.path("customers/<int:customer_id>/", admin.site.admin_view(views.customer), name="customer"),
]
