"""OpenVPP: the payment and orchestration layer under a utility's mobile app."""

from openvpp.celery import app as celery_app

__all__ = ["celery_app"]
