"""Scopes: a view says `required_scopes`; a token without them gets 403 `insufficient_scope`, no token gets 401.

Which rows a caller may see is decided by `queries`, never here.
"""

from typing import TYPE_CHECKING, Any

from rest_framework import exceptions, permissions
from rest_framework import request as drf_request

if TYPE_CHECKING:  # rest_framework.views imports this module
    from rest_framework import views


class HasScopes(permissions.BasePermission):
    """The token carries every scope of the view's `required_scopes`."""

    def has_permission(self, request: drf_request.Request, view: "views.APIView") -> bool:
        wanted: list[str] = view.required_scopes  # type: ignore[attr-defined] # a view without scopes is a mistake
        token: Any = request.auth
        if token is None:
            return False
        if not token.allow_scopes(wanted):
            raise exceptions.PermissionDenied(
                f"The access token lacks the scope {' '.join(wanted)}.", code="insufficient_scope"
            )
        return True


class IsPerson(permissions.BasePermission):
    """The token speaks for a person, not for a utility's system."""

    message = "This address is for people; the access token belongs to a system."
    code = "person_required"

    def has_permission(self, request: drf_request.Request, view: "views.APIView") -> bool:
        return request.user is not None and request.user.is_authenticated
