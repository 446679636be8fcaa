"""The base of every admin page about a utility: whose rows, and which role may do what. What is not said is refused.

A page names the roles that may look (`viewed_by`) and that may write (`written_by`); superusers run the installation
and may do both everywhere. Rows of utilities where the person has none of these roles do not exist for them: not in
the list, not by their address, not in a choice of another form, not in autocomplete.
"""

from collections.abc import Collection
from typing import Any, ClassVar

from django import http
from django.core import exceptions
from django.db import models
from unfold import admin as unfold_admin
from unfold import widgets as unfold_widgets

from openvpp.core import fields


class Roles:
    """Values of `customers.StaffRole.Role`, which this storey may not import."""

    CSR = "csr"
    BILLING_ANALYST = "billing_analyst"
    PROGRAM_MANAGER = "program_manager"
    AUDITOR = "auditor"
    ADMINISTRATOR = "administrator"
    ALL = frozenset({CSR, BILLING_ANALYST, PROGRAM_MANAGER, AUDITOR, ADMINISTRATOR})


class TenantMixin:
    """Rows and permissions by staff role; the model has `utility_path`."""

    model: Any
    viewed_by: ClassVar[Collection[str]] = ()
    written_by: ClassVar[Collection[str]] = ()
    may_be_added: ClassVar[bool] = True
    may_be_deleted: ClassVar[bool] = False

    def get_queryset(self, request: http.HttpRequest) -> "models.QuerySet[Any]":
        """Return the rows of the utilities where this person may look."""
        rows: models.QuerySet[Any] = super().get_queryset(request)  # type: ignore[misc] # the admin's own
        return rows.filter(pk__in=self._rows_of(request, {*self.viewed_by, *self.written_by}).values("pk"))

    def has_module_permission(self, request: http.HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        return self._may(request, {*self.viewed_by, *self.written_by}, obj)

    def has_add_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        return self.may_be_added and self._may(request, self.written_by, obj)

    def has_change_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        return self._may(request, self.written_by, obj)

    def has_delete_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        return self.may_be_deleted and self._may(request, self.written_by, obj)

    def formfield_for_foreignkey(self, db_field: Any, request: http.HttpRequest, **kwargs: Any) -> Any:
        """Offer only rows of the utilities where this person may write this kind of row."""
        related = db_field.remote_field.model
        if hasattr(related, "utility_path"):
            user: Any = request.user
            roles = Roles.ALL if user.is_superuser else self.written_by
            kwargs.setdefault("queryset", _rows_of(related, request, roles))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc] # the admin's own

    def _may(self, request: http.HttpRequest, roles: Collection[str], obj: Any) -> bool:
        user: Any = request.user
        if not user.is_active or not user.is_staff:
            return False
        if obj is None or obj.pk is None:
            return bool(roles) if user.is_superuser else not _held(user).isdisjoint(roles)
        # On an inline `obj` is the row that the page is about.
        return _rows_of(type(obj), request, roles).filter(pk=obj.pk).exists()

    def _rows_of(self, request: http.HttpRequest, roles: Collection[str]) -> "models.QuerySet[Any]":
        return _rows_of(self.model, request, roles)


class TenantAdmin(TenantMixin, unfold_admin.ModelAdmin):
    """A page of rows that belong to a utility."""

    compressed_fields = True
    formfield_overrides: ClassVar[dict[Any, Any]] = {
        fields.AddressField: {"widget": unfold_widgets.UnfoldAdminTextInputWidget}
    }
    show_full_result_count = False
    list_per_page = 50

    def save_model(self, request: http.HttpRequest, obj: Any, form: Any, change: Any) -> None:
        """Save, and refuse a row that would end up where the person may not write.

        :raises PermissionDenied: the row belongs to another utility; nothing is kept, the admin's transaction ends.
        """
        super().save_model(request, obj, form, change)
        if not self._rows_of(request, self.written_by).filter(pk=obj.pk).exists():
            raise exceptions.PermissionDenied


class ReadOnlyTenantAdmin(TenantAdmin):
    """A page where nobody writes: money, keys and history change by what happens, not by hand."""

    may_be_added = False

    def has_change_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        return False


class TenantTabularInline(TenantMixin, unfold_admin.TabularInline):
    """Rows on another row's page."""

    extra = 0
    show_change_link = True


class ReadOnlyTenantInline(TenantTabularInline):
    """Rows on another row's page that nobody writes."""

    may_be_added = False

    def has_change_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        return False


def _held(user: Any) -> frozenset[str]:
    """Return the roles that a person has anywhere, asked once a request: the sidebar alone asks for each page."""
    held: frozenset[str] | None = user.__dict__.get("_held_roles")
    if held is None:
        held = frozenset(user.staff_roles.values_list("role", flat=True))
        user.__dict__["_held_roles"] = held
    return held


def _rows_of(model: Any, request: http.HttpRequest, roles: Collection[str]) -> "models.QuerySet[Any]":
    """Return a model's rows of the utilities where the person has one of these roles."""
    user: Any = request.user
    rows: models.QuerySet[Any] = model._base_manager.order_by()  # noqa: SLF001 - Django's own name
    if user.is_superuser:
        return rows if roles else rows.none()
    utilities = user.staff_roles.filter(role__in=roles).values("utility_id")
    return rows.filter(**{f"{model.utility_path}__in": utilities})
