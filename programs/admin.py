"""Programs for staff: managers decide enrollments, schedule, dispatch and settle events; money moves by use cases only.

What changes state is a POST with its own address and one call of a use case, never a saved form.
"""

import dataclasses
import functools
import uuid
from collections.abc import Callable
from typing import Any

from django import http, shortcuts, urls
from django.contrib import admin, messages
from django.core import exceptions
from django.db import models as django_models

from openvpp.core import admin as tenant_admin
from openvpp.core import clock, errors
from programs import forms, models, queries
from programs.usecases import dispatch_event, enroll, settle_event

Roles = tenant_admin.Roles
EVERYBODY = Roles.ALL
MANAGERS = queries.MANAGERS
State = models.Event.State


@admin.register(models.Program)
class ProgramAdmin(tenant_admin.TenantAdmin):
    """From which wallet and in which token a program pays is set by an operator of the installation."""

    viewed_by = EVERYBODY
    written_by = MANAGERS
    form = forms.Program
    list_display = ("name", "kind", "utility", "payout_usd_per_kwh", "terms_version", "is_open")
    list_filter = ("is_open", "kind")
    search_fields = ("name",)
    readonly_fields = ("created_at",)

    def has_add_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)

    def get_readonly_fields(self, request: http.HttpRequest, obj: Any = None) -> tuple[str, ...]:
        # From where and in what is paid changes by two people: `change_treasury`.
        fixed = ("utility", "payout_token", "treasury_wallet") if obj is not None else ()
        return (*self.readonly_fields, *fixed)

    def save_model(self, request: http.HttpRequest, obj: models.Program, form: Any, change: Any) -> None:
        """Save; a new program begins now."""
        if not change:
            obj.created_at = clock.get_now()
        super().save_model(request, obj, form, change)


class EnrollmentDeviceInline(tenant_admin.ReadOnlyTenantInline):
    model = models.EnrollmentDevice
    viewed_by = EVERYBODY
    fields = ("device", "ended_at")


@admin.register(models.Enrollment)
class EnrollmentAdmin(tenant_admin.ReadOnlyTenantAdmin):
    """Applications, and the manager's decision on them."""

    viewed_by = EVERYBODY
    list_display = ("customer", "program", "state", "applied_at", "decided_at", "decided_by")
    list_filter = ("state",)
    list_select_related = ("customer", "program", "decided_by")
    search_fields = ("customer__name", "customer__email", "program__name")
    inlines = (EnrollmentDeviceInline,)
    actions = ("approve", "refuse")

    @admin.action(description="Approve the selected applications", permissions=["decide"])
    def approve(self, request: http.HttpRequest, enrollments: "django_models.QuerySet[models.Enrollment]") -> None:
        """Let the customers in."""
        self._decide(request, enrollments, approve=True)

    @admin.action(description="Refuse the selected applications", permissions=["decide"])
    def refuse(self, request: http.HttpRequest, enrollments: "django_models.QuerySet[models.Enrollment]") -> None:
        """Keep the customers out."""
        self._decide(request, enrollments, approve=False)

    def has_decide_permission(self, request: http.HttpRequest) -> bool:
        """Say whether the person manages programs anywhere; the use case looks at each program's utility."""
        return self._may(request, MANAGERS, None)

    def _decide(
        self, request: http.HttpRequest, enrollments: "django_models.QuerySet[models.Enrollment]", *, approve: bool
    ) -> None:
        for enrollment in enrollments:
            act = functools.partial(
                enroll.decide,
                enrollment_id=enrollment.pk,
                approve=approve,
                reason="",
                by=_person(request),
                now=clock.get_now(),
            )
            _try(request, act, done=f"{enrollment.customer}: {'approved' if approve else 'refused'}.")


@dataclasses.dataclass(frozen=True, slots=True)
class Verb:
    """What a manager may do with an event in some states."""

    name: str
    label: str
    states: frozenset[str]
    done: str
    act: Callable[..., object]


VERBS = (
    Verb(
        "dispatch",
        "Dispatch event",
        frozenset({State.SCHEDULED}),
        "Commands are on their way.",
        dispatch_event.dispatch,
    ),
    Verb("cancel", "Cancel event", frozenset({State.SCHEDULED}), "The event is cancelled.", dispatch_event.cancel),
    Verb(
        "settle",
        "Settle",
        frozenset({State.DISPATCHING, State.ACTIVE, State.ENDED}),
        "The event is settled; payouts are on their way.",
        settle_event.start,
    ),
    Verb(
        "settle-with-gaps",
        "Settle, gaps in telemetry earn nothing",
        frozenset({State.DISPATCHING, State.ACTIVE, State.ENDED}),
        "The event is settled; payouts are on their way.",
        settle_event.start_with_gaps,
    ),
    Verb(
        "retry",
        "Send failed payouts again",
        frozenset({State.SETTLING}),
        "Payouts are on their way again.",
        settle_event.retry,
    ),
)


@admin.register(models.Event)
class EventAdmin(tenant_admin.TenantAdmin):
    """Events with shares, commands, performance and payouts; scheduled by a form, moved on by buttons."""

    viewed_by = EVERYBODY
    written_by = MANAGERS
    form = forms.Event
    fields = ("program", "name", "target_kw", "starts_at", "ends_at")
    list_display = ("name", "program", "state", "target_kw", "starts_at", "ends_at")
    list_filter = ("state",)
    list_select_related = ("program",)
    search_fields = ("name", "program__name")
    change_form_outer_after_template = "programs/event_page.html"

    def get_queryset(self, request: http.HttpRequest) -> "django_models.QuerySet[Any]":
        return super().get_queryset(request).select_related("program__utility")

    def has_change_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: http.HttpRequest, obj: models.Event, form: Any, change: Any) -> None:
        """Schedule the event."""
        obj.created_by, obj.created_at = _person(request), clock.get_now()
        super().save_model(request, obj, form, change)

    def get_urls(self) -> list[urls.URLPattern]:
        act = urls.path(
            "<uuid:event_id>/do/<slug:verb>/", self.admin_site.admin_view(self.do), name="programs_event_do"
        )
        return [act, *super().get_urls()]

    def do(self, request: http.HttpRequest, event_id: uuid.UUID, verb: str) -> http.HttpResponse:
        """Do one thing with an event, and come back to its page."""
        event = shortcuts.get_object_or_404(self.get_queryset(request), pk=event_id)
        wish = next((one for one in VERBS if one.name == verb), None)
        if wish is None:
            raise http.Http404
        if request.method != "POST":
            return http.HttpResponseNotAllowed(["POST"])
        if not self._may(request, MANAGERS, event):
            raise exceptions.PermissionDenied
        _try(
            request,
            lambda: wish.act(event_id=event.pk, by=_person(request), now=clock.get_now()),
            done=wish.done,
        )
        return shortcuts.redirect("admin:programs_event_change", event.pk)

    def changeform_view(
        self,
        request: http.HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Show the page with what became of the event."""
        context = dict(extra_context or {})
        event = self.get_object(request, object_id) if object_id else None
        if event is not None:
            context |= self._context(request, event)
        return super().changeform_view(request, object_id, form_url, context)

    def _context(self, request: http.HttpRequest, event: models.Event) -> dict[str, Any]:
        parts = list(
            event.devices.select_related("device__customer", "command", "payout").order_by("device__created_at", "pk")
        )
        settlement = models.Settlement.objects.filter(event=event).first()
        failed = settlement is not None and settlement.state == models.Settlement.State.FAILED
        return {
            "parts": parts,
            "payouts": [part.payout for part in parts if hasattr(part, "payout")],
            "settlement": settlement,
            "shared_kw": sum(part.share_kw for part in parts),
            "acknowledged": sum(part.acknowledged_at is not None for part in parts),
            "may_manage": self._may(request, MANAGERS, event),
            "verbs": [verb for verb in VERBS if event.state in verb.states and (verb.name != "retry" or failed)],
        }


@admin.register(models.Payout)
class PayoutAdmin(tenant_admin.ReadOnlyTenantAdmin):
    """What devices earned."""

    viewed_by = EVERYBODY
    list_display = ("event_device", "performance_wh", "amount_units", "state", "reason", "paid_at")
    list_filter = ("state", "reason")
    list_select_related = ("event_device__device",)
    search_fields = ("event_device__device__name", "settlement__event__name", "recipient_wallet__customer__name")


@admin.register(models.HeldPayout)
class HeldPayoutAdmin(tenant_admin.ReadOnlyTenantAdmin):
    """Payouts that were set aside, and why. Two administrators release one."""

    viewed_by = EVERYBODY
    list_display = ("payout", "state", "reason", "held_at", "failure", "change")
    list_filter = ("state",)
    list_select_related = ("payout__event_device__device", "change")
    search_fields = ("payout__event_device__device__name", "payout__settlement__event__name")
    ordering = ("-held_at",)
    exclude = ("operation",)
    actions = ("ask_for_release",)

    @admin.action(description="Ask for the release of the selected payout", permissions=["propose"])
    def ask_for_release(
        self, request: http.HttpRequest, holds: "django_models.QuerySet[models.HeldPayout]"
    ) -> http.HttpResponse | None:
        """Go to where one administrator asks and another decides."""
        chosen = list(holds[:2])
        if len(chosen) != 1:
            messages.error(request, "Choose one payout.")
            return None
        return shortcuts.redirect("admin:controls_changerequest_propose", "release_payout", str(chosen[0].pk))

    def has_propose_permission(self, request: http.HttpRequest) -> bool:
        """Say whether the person may ask for changes anywhere."""
        return self._may(request, {tenant_admin.Roles.ADMINISTRATOR}, None)


@admin.register(models.Settlement)
class SettlementAdmin(tenant_admin.ReadOnlyTenantAdmin):
    """What events earned, and the transaction that paid it."""

    viewed_by = EVERYBODY
    list_display = ("event", "state", "total_units", "token_symbol", "computed_at", "paid_at", "transaction_hash")
    list_filter = ("state",)
    list_select_related = ("event",)
    search_fields = ("event__name",)


def _person(request: http.HttpRequest) -> Any:
    return request.user


def _try(request: http.HttpRequest, act: Callable[[], object], *, done: str) -> None:
    try:
        act()
    except errors.UnableTo as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, done)
