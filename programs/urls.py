from django import urls

from programs.api import views

urlpatterns = [
    urls.path("programs/", views.Programs.as_view(), name="programs"),
    urls.path("programs/<uuid:program_id>/", views.OneProgram.as_view(), name="program"),
    urls.path("enrollments/", views.Enrollments.as_view(), name="enrollments"),
    urls.path("enrollments/<uuid:enrollment_id>/", views.OneEnrollment.as_view(), name="enrollment"),
    urls.path("events/", views.Events.as_view(), name="events"),
    urls.path("payouts/", views.Payouts.as_view(), name="payouts"),
]
