"""Scopes: a view says `required_scopes`; a token without them gets 403 `insufficient_scope`, no token gets 401.

Which rows a caller may see is decided by `queries`, never here.
"""

from typing import TYPE_CHECKING, Any

from rest_framework import exceptions, permissions
from rest_framework import request as drf_request

from openvpp.core import errors

if TYPE_CHECKING:  # rest_framework.views imports this module, and models cannot be loaded yet
    from rest_framework import views

    from customers import models as customer_models


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


def get_person(request: drf_request.Request) -> "customer_models.User":
    """Return the person that the token speaks for.

    :raises errors.Forbidden: `person_required`, the token belongs to a utility's system.
    """
    user = request.user
    if user is None or not user.is_authenticated:  # type: ignore[redundant-expr] # UNAUTHENTICATED_USER is None
        raise errors.Forbidden("This address is for people; the token belongs to a system.", code="person_required")
    return user
