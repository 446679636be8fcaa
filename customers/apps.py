from django.apps import AppConfig, apps


class CustomersConfig(AppConfig):
    name = "customers"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        if apps.is_installed("allauth.account"):  # relay and signer do without; nobody signs in there
            from customers import receivers  # noqa: F401, PLC0415 - models are loaded now, and not before
