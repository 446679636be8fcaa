"""Who may fetch Green Button resources: a token with one of its scopes. What it may have is asked of `queries`."""

from typing import Any

from rest_framework import exceptions, permissions
from rest_framework import request as drf_request

from wallets.domain import data_scopes


class HasDataScope(permissions.BasePermission):
    """The token carries a scope of Green Button."""

    def has_permission(self, request: drf_request.Request, view: Any) -> bool:
        """Refuse without a token (401) and without such a scope (403)."""
        token: Any = request.auth
        if token is None:
            return False
        if data_scopes.find(token.scope) is None:
            raise exceptions.PermissionDenied("The access token has no scope of Green Button.", "insufficient_scope")
        return True
