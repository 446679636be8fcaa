"""What an application may ask for: what its row says, and no more."""

from typing import Any

from oauth2_provider import scopes

from wallets import models
from wallets.domain import data_scopes
from wallets.oauth import data_access

SPENDING_SCOPE = "payments:write"


class ApplicationScopes(scopes.SettingsScopes):
    """The scopes of settings, cut down to those of the application."""

    def get_available_scopes(
        self, application: models.Application | None = None, request: Any = None, *args: Any, **kwargs: Any
    ) -> list[str]:
        """Return what this application may ask for; without one, what any application may."""
        known = list(self.get_all_scopes())
        if application is None:
            return known
        allowed = set(application.allowed_scopes.split())
        if application.utility_id is None:
            allowed.discard(SPENDING_SCOPE)
        asked = {*allowed, *(getattr(request, "scopes", None) or ())}
        data = sorted(scope for scope in asked if data_scopes.is_data_scope(scope))
        return [scope for scope in known if scope in allowed] + [
            scope for scope in data if data_access.may_ask(scope=scope, application=application, request=request)
        ]

    def get_default_scopes(
        self, application: models.Application | None = None, request: Any = None, *args: Any, **kwargs: Any
    ) -> list[str]:
        """Return what an application that names no scope gets: a person's name alone, a system all that is its own."""
        available = self.get_available_scopes(application=application, request=request)
        is_system = application is not None and application.authorization_grant_type == "client-credentials"
        return available if is_system else [scope for scope in super().get_default_scopes() if scope in available]
