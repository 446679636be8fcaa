from django import urls

from notifications.api import views

urlpatterns = [
    urls.path("notices/", views.ListNotices.as_view(), name="notices"),
    urls.path("notices/<int:sequence>/read/", views.ReadNotice.as_view(), name="notice-read"),
]
