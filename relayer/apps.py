from django.apps import AppConfig


class RelayerConfig(AppConfig):
    name = "relayer"
    default_auto_field = "django.db.models.BigAutoField"
