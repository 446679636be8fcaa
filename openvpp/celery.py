"""Celery: it wakes work up; what must not be lost stands in a table."""

import os

import celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openvpp.settings.local")

app = celery.Celery("openvpp")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.conf.beat_schedule = {
    "run-due-jobs": {"task": "core.run_due_jobs", "schedule": 5.0, "options": {"expires": 5}},
}
