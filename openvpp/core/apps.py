from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "openvpp.core"
    label = "core"
    verbose_name = "Core"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from openvpp.core import checks  # noqa: F401, PLC0415 - registers the system checks
