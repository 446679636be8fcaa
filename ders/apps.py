from django.apps import AppConfig


class DersConfig(AppConfig):
    name = "ders"
    default_auto_field = "django.db.models.BigAutoField"
