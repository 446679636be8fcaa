"""Celery: it wakes work up; what must not be lost stands in a table."""

import os

import celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openvpp.settings.local")

app = celery.Celery("openvpp")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.conf.beat_schedule = {
    "submit-waiting-operations": {"task": "wallets.submit_waiting", "schedule": 1.0, "options": {"expires": 1}},
    "run-due-jobs": {"task": "core.run_due_jobs", "schedule": 1.0, "options": {"expires": 1}},
    "watch-wallets": {"task": "wallets.watch_wallets", "schedule": 10.0, "options": {"expires": 10}},
    "compare-grants": {"task": "wallets.compare_grants", "schedule": 3600.0, "options": {"expires": 3600}},
    "clear-out": {"task": "wallets.clear_out", "schedule": 300.0, "options": {"expires": 300}},
    "fetch-weather": {"task": "meters.fetch_weather", "schedule": 3600.0, "options": {"expires": 3600}},
    "make-meter-partitions": {"task": "meters.make_partitions", "schedule": 3600.0, "options": {"expires": 3600}},
    "name-members": {"task": "programs.name_members", "schedule": 60.0, "options": {"expires": 60}},
    "settle-sponsorships": {"task": "relayer.settle_sponsorships", "schedule": 5.0, "options": {"expires": 5}},
    "refill": {"task": "relayer.refill", "schedule": 15.0, "options": {"expires": 15}},
    "look-after-relayer": {"task": "relayer.look_after", "schedule": 30.0, "options": {"expires": 30}},
    "clear-out-relayer": {"task": "relayer.clear_out", "schedule": 3600.0, "options": {"expires": 3600}},
    "refresh-prices": {"task": "relayer.refresh_prices", "schedule": 60.0, "options": {"expires": 60}},
}
