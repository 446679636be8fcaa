"""Imports, the queue of odd readings, CSV sources, registers and rules, for staff.

Readings are only looked at; what changes them is a use case, with a name and a reason.
"""

import datetime
import decimal
from typing import Any, NoReturn

from django import forms as django_forms
from django import http, shortcuts, urls
from django.contrib import admin, messages
from django.core import exceptions
from django.db import models as django_models
from unfold import decorators

from customers import models as customer_models
from meters import forms, models, operations, queries
from meters.api import imports
from meters.domain import estimation
from meters.usecases import decide_exceptions, import_file
from openvpp.core import admin as tenant_admin
from openvpp.core import clock, db, errors

Roles = tenant_admin.Roles
VIEWERS = frozenset({Roles.CSR, Roles.BILLING_ANALYST, Roles.AUDITOR, Roles.ADMINISTRATOR})
WORKERS = frozenset({Roles.BILLING_ANALYST, Roles.ADMINISTRATOR})
_PREVIEW_BYTES = 2**16


class _WorkMixin(tenant_admin.TenantAdmin):
    """A page with a form of its own, for those who work with readings."""

    def has_work_permission(self, request: http.HttpRequest, object_id: Any = None) -> bool:
        """Say whether the person may use the form, about a row if its key is given."""
        row = None if object_id is None else self.model._base_manager.filter(pk=object_id).first()  # noqa: SLF001 - Django's own name
        return self._may(request, WORKERS, row)

    def render(self, request: http.HttpRequest, **context: Any) -> http.HttpResponse:
        """Show the form."""
        return shortcuts.render(request, "meters/one_form.html", self.admin_site.each_context(request) | context)


@admin.register(models.FileImport)
class FileImportAdmin(_WorkMixin, tenant_admin.ReadOnlyTenantAdmin):
    viewed_by = VIEWERS
    list_display = ("file_name", "format", "state", "progress", "intervals", "failure", "received_at", "utility")
    list_filter = ("state", "format")
    list_select_related = ("utility",)
    search_fields = ("file_name",)
    ordering = ("-received_at",)
    exclude = ("carried", "sha256", "chunks")
    actions_list = ("go_to_import",)

    @admin.display(description="Read")
    def progress(self, row: models.FileImport) -> str:
        return f"{row.lines_done:,} of {row.lines_total:,} lines"

    def get_urls(self) -> list[urls.URLPattern]:
        own = urls.path("import/", self.admin_site.admin_view(self.import_view), name="meters_fileimport_import")
        return [own, *super().get_urls()]

    @decorators.action(description="Import a file", url_path="go-to-import", permissions=["work"])
    def go_to_import(self, request: http.HttpRequest) -> http.HttpResponse:
        """Go to the form."""
        return shortcuts.redirect("admin:meters_fileimport_import")

    def import_view(self, request: http.HttpRequest) -> http.HttpResponse:
        """Receive a file, or show how a CSV's first rows are understood.

        :raises PermissionDenied: the person may not import.
        """
        if not self.has_work_permission(request):
            raise exceptions.PermissionDenied
        form = forms.ImportFile(request.POST or None, request.FILES or None)
        for name, model in (("utility", customer_models.Utility), ("csv_source", models.CsvSource)):
            rows = tenant_admin._rows_of(model, request, WORKERS)  # noqa: SLF001 - the same rule
            form.fields[name].queryset = rows  # type: ignore[attr-defined] # a choice of rows
        context: dict[str, Any] = {"title": "Import readings", "verb": "Go", "form": form}
        if request.method == "POST" and form.is_valid():
            data = form.cleaned_data
            try:
                if data["only_preview"]:
                    if data["csv_source"] is None:
                        raise errors.Invalid("Name the CSV source.", code="csv_source")
                    read = import_file.preview(text=data["file"].read(_PREVIEW_BYTES), source=data["csv_source"])
                    return self.render(request, **context, preview=imports.shown(read))
                messages.success(request, _receive(data, request.user.pk))
            except errors.UnableTo as error:
                form.add_error(None, error.detail)
            else:
                return shortcuts.redirect("admin:meters_fileimport_changelist")
        return self.render(request, **context)


@admin.register(models.MeterException)
class MeterExceptionAdmin(_WorkMixin, tenant_admin.ReadOnlyTenantAdmin):
    viewed_by = VIEWERS
    list_display = ("kind", "is_blocking", "service_point", "starts_at", "ends_at", "state", "assigned_to", "found_at")
    list_filter = ("state", "kind", "is_blocking", "assigned_to")
    list_select_related = ("service_point", "assigned_to")
    search_fields = ("service_point__number",)
    ordering = ("-found_at",)
    actions = ("assign_to_me", "assign_to_nobody")
    actions_detail = ("go_to_decide",)

    def get_urls(self) -> list[urls.URLPattern]:
        own = urls.path(
            "<int:object_id>/decide/", self.admin_site.admin_view(self.decide_view), name="meters_meterexception_decide"
        )
        return [own, *super().get_urls()]

    @admin.action(description="Assign to me", permissions=["work"])
    def assign_to_me(self, request: http.HttpRequest, rows: "django_models.QuerySet[Any]") -> None:
        """Take questions."""
        self._assign(request, rows, request.user.pk)

    @admin.action(description="Assign to nobody", permissions=["work"])
    def assign_to_nobody(self, request: http.HttpRequest, rows: "django_models.QuerySet[Any]") -> None:
        """Give questions back."""
        self._assign(request, rows, None)

    @decorators.action(description="Decide", url_path="go-to-decide", permissions=["work"])
    def go_to_decide(self, request: http.HttpRequest, object_id: int) -> http.HttpResponse:
        """Go to the form."""
        return shortcuts.redirect("admin:meters_meterexception_decide", object_id=object_id)

    def decide_view(self, request: http.HttpRequest, object_id: int) -> http.HttpResponse:
        """Accept, estimate or edit, with a reason.

        :raises PermissionDenied: the person may not decide about this one.
        """
        found = shortcuts.get_object_or_404(self.get_queryset(request), pk=object_id)
        if not self.has_work_permission(request, found.pk):
            raise exceptions.PermissionDenied
        form = forms.Decide(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                _decide(found, form.cleaned_data, user_id=request.user.pk)
            except errors.UnableTo as error:
                form.add_error(None, error.detail)
            else:
                messages.success(request, f"{found.get_kind_display()}: decided.")
                return shortcuts.redirect("admin:meters_meterexception_changelist")
        facts = [
            ("Question", found.get_kind_display()),
            ("Service point", found.service_point),
            ("From", found.starts_at),
            ("Until", found.ends_at),
            *((name.replace("_", " "), value) for name, value in found.facts.items()),
        ]
        return self.render(request, title="Decide", verb="Decide", form=form, facts=facts)

    def _assign(self, request: http.HttpRequest, rows: "django_models.QuerySet[Any]", user_id: Any) -> None:
        own = self._rows_of(request, WORKERS).filter(pk__in=rows.values("pk"))
        count = decide_exceptions.assign(exception_ids=list(own.values_list("pk", flat=True)), user_id=user_id)
        messages.success(request, f"{count} assigned.")


@admin.register(models.CsvSource)
class CsvSourceAdmin(tenant_admin.TenantAdmin):
    viewed_by = VIEWERS
    written_by = WORKERS
    list_display = ("name", "utility", "unit", "interval_minutes", "time_format", "time_zone", "stamp")
    search_fields = ("name",)


@admin.register(models.Register)
class RegisterAdmin(tenant_admin.TenantAdmin):
    viewed_by = VIEWERS
    written_by = WORKERS
    list_display = ("serial", "service_point", "flow", "dials", "utility")
    list_select_related = ("service_point", "utility")
    search_fields = ("serial", "service_point__number")
    autocomplete_fields = ("service_point",)


@admin.register(models.RegisterRead)
class RegisterReadAdmin(tenant_admin.ReadOnlyTenantAdmin):
    viewed_by = VIEWERS
    list_display = ("register", "read_at", "milli_units", "state", "code")
    list_filter = ("state",)
    list_select_related = ("register",)
    search_fields = ("register__serial",)


@admin.register(models.ImportBatch)
class ImportBatchAdmin(tenant_admin.ReadOnlyTenantAdmin):
    viewed_by = VIEWERS
    list_display = (
        "id", "format", "file_name", "imported_at", "imported_by", "reason", "intervals", "days_added", "days_changed",
    )  # fmt: skip
    list_filter = ("format",)
    list_select_related = ("imported_by",)
    search_fields = ("file_name", "reason")
    ordering = ("-imported_at",)
    exclude = ("sha256",)


@admin.register(models.ValidationRules)
class ValidationRulesAdmin(tenant_admin.TenantAdmin):
    viewed_by = VIEWERS
    written_by = frozenset({Roles.ADMINISTRATOR})
    list_display = ("utility", "most_kw", "spike_factor", "frozen_hours", "interpolate_minutes")


def _preview(data: dict[str, Any]) -> dict[str, Any]:
    if data["csv_source"] is None:
        raise errors.Invalid("Name the CSV source.", code="csv_source")
    return imports.shown(import_file.preview(text=data["file"].read(_PREVIEW_BYTES), source=data["csv_source"]))


def _receive(data: dict[str, Any], user_id: Any) -> str:
    utility_id, number, source = data["utility"].pk, data["service_point"], data["csv_source"]
    if source is not None and source.utility_id != utility_id:
        raise errors.Invalid("The CSV source is another utility's.", code="csv_source")
    received = import_file.receive(
        stream=data["file"],
        utility_id=utility_id,
        source=models.ImportBatch.Format(data["format"]),
        csv_source_id=source.pk if source else None,
        service_point_id=queries.get_service_point_id(utility_id=utility_id, number=number) if number else None,
        file_name=data["file"].name,
        imported_by_id=user_id,
        now=clock.get_now(),
    )
    if import_file.is_small(file_import=received):
        received = import_file.run_at_once(file_import_id=received.pk, now=clock.get_now())
    return f"{received}: {received.intervals} readings."


def _decide(found: models.MeterException, data: dict[str, Any], *, user_id: Any) -> None:
    what = {"exception_id": found.pk, "user_id": user_id, "reason": data["reason"], "now": clock.get_now()}
    if data["decision"] == forms.Decide.ACCEPT:
        decide_exceptions.accept(**what)
    elif data["decision"] == forms.Decide.ESTIMATE:
        decide_exceptions.estimate(**what, method=estimation.Method(data["method"]) if data["method"] else None)
    else:
        decide_exceptions.edit(**what, values=_values(data["values"]))


def _values(text: str) -> dict[int, int]:
    values: dict[int, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            stamp, value = line.split()
            at = datetime.datetime.fromisoformat(stamp)
            values[int(at.timestamp())] = int(decimal.Decimal(value) * 10**6)
        except (ValueError, ArithmeticError) as error:
            raise errors.Invalid(f"Line {number} is no time and value.", code="wrong_values") from error
        if at.tzinfo is None:
            raise errors.Invalid(f"The time of line {number} has no offset.", code="wrong_values")
    return values


class SubmeterForm(django_forms.ModelForm):  # type: ignore[type-arg] # no arguments at run time
    """What stands behind what; checked as a whole, so that the page says what is impossible."""

    class Meta:
        model = models.Submeter
        fields = ("parent", "child", "kind", "starts_on", "ends_on")

    def clean(self) -> dict[str, Any]:
        """Try it, and take it back.

        :raises ValidationError: it cannot be so.
        """
        data: dict[str, Any] = super().clean() or {}
        if self.errors:
            return data
        try:
            with db.savepoint():
                _attach(data, replacing_id=self.instance.pk)
                _take_back()
        except _TakenBack:
            return data
        except errors.UnableTo as error:
            raise exceptions.ValidationError(error.detail) from error


class _TakenBack(Exception):
    pass


def _take_back() -> NoReturn:
    raise _TakenBack


@admin.register(models.Submeter)
class SubmeterAdmin(tenant_admin.TenantAdmin):
    """Bills that were issued stay as they are; the next ones follow the tree."""

    form = SubmeterForm
    viewed_by = VIEWERS
    written_by = frozenset({Roles.BILLING_ANALYST, Roles.ADMINISTRATOR})
    list_display = ("parent", "child", "kind", "starts_on", "ends_on")
    list_filter = ("kind",)
    list_select_related = ("parent", "child")
    search_fields = ("parent__number", "child__number", "parent__premise__street")
    autocomplete_fields = ("parent", "child")

    def save_model(self, request: http.HttpRequest, obj: Any, form: Any, change: Any) -> None:
        """Save by the operation that knows the whole tree."""
        if not self.get_writable(request).filter(pk=obj.parent.premise.utility_id).exists():
            raise exceptions.PermissionDenied
        obj.pk = _attach(form.cleaned_data, replacing_id=obj.pk if change else None).pk

    def get_writable(self, request: http.HttpRequest) -> "django_models.QuerySet[Any]":
        """Return the utilities where this person may write."""
        user: Any = request.user
        rows = customer_models.Utility.objects.all()
        roles = user.staff_roles.filter(role__in=self.written_by)
        return rows if user.is_superuser else rows.filter(pk__in=roles.values("utility_id"))


@admin.register(models.WeatherSource)
class WeatherSourceAdmin(tenant_admin.TenantAdmin):
    """Where the temperatures beside usage come from: an address that beat asks, or `manage.py take_weather`."""

    viewed_by = VIEWERS
    written_by = frozenset({Roles.ADMINISTRATOR})
    list_display = ("name", "utility", "url", "fetched_at")
    search_fields = ("name",)
    readonly_fields = ("fetched_at",)


@admin.register(models.ReadingKey)
class ReadingKeyAdmin(tenant_admin.ReadOnlyTenantAdmin):
    """Keys of devices that sign; `manage.py register_reading_key` adds one."""

    viewed_by = VIEWERS
    list_display = ("device", "service_point", "algorithm", "is_required", "registered_at", "ended_at")
    list_select_related = ("service_point",)
    search_fields = ("device", "service_point__number", "fingerprint")
    exclude = ("public_key",)
    actions = ("end_keys",)

    @admin.action(description="End: believe nothing more that the key signs", permissions=["end"])
    def end_keys(self, request: http.HttpRequest, rows: Any) -> None:
        """End keys that were lost, stolen or replaced."""
        own = self._rows_of(request, WORKERS).filter(pk__in=rows.values("pk"))
        ended = own.filter(ended_at__isnull=True).update(ended_at=clock.get_now())
        self.message_user(request, f"Ended {ended}.", messages.SUCCESS)

    def has_end_permission(self, request: http.HttpRequest) -> bool:
        """Say who may end keys."""
        return self._may(request, WORKERS, None)


@admin.register(models.SignedReading)
class SignedReadingAdmin(tenant_admin.ReadOnlyTenantAdmin):
    viewed_by = VIEWERS
    list_display = ("key", "flow", "starts_at", "ends_at", "counter", "stored_at")
    list_select_related = ("key",)
    search_fields = ("key__device", "key__service_point__number")
    exclude = ("message", "signature")
    readonly_fields = ("what_was_signed", "signature_hex")

    @admin.display(description="What was signed")
    def what_was_signed(self, signed: models.SignedReading) -> str:
        return bytes(signed.message).decode()

    @admin.display(description="Signature")
    def signature_hex(self, signed: models.SignedReading) -> str:
        return bytes(signed.signature).hex()


def _attach(data: dict[str, Any], *, replacing_id: int | None) -> models.Submeter:
    return operations.attach_submeter(
        parent_id=data["parent"].pk,
        child_id=data["child"].pk,
        kind=data["kind"],
        starts_on=data["starts_on"],
        ends_on=data["ends_on"],
        replacing_id=replacing_id,
    )
