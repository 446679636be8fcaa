"""Changes under four eyes, policies, freezes and address checks, for staff.

What changes state is a POST with its own address and one call of a use case, never a saved form.
"""

import uuid
from typing import Any, ClassVar

from django import http, shortcuts, urls
from django.contrib import admin, messages

from controls import forms, models, queries
from controls.usecases import decide_change
from openvpp.core import admin as tenant_admin
from openvpp.core import clock, errors

Roles = tenant_admin.Roles
VIEWERS = frozenset({Roles.ADMINISTRATOR, Roles.AUDITOR})
DONE = {"approve": "It is applied.", "reject": "It is rejected.", "withdraw": "It is withdrawn."}


@admin.register(models.ChangeRequest)
class ChangeRequestAdmin(tenant_admin.ReadOnlyTenantAdmin):
    """One person asks here, another sees the difference and decides."""

    viewed_by = VIEWERS
    list_display = ("title", "utility", "state", "maker", "made_at", "checker", "decided_at", "expires_at")
    list_filter = ("state", "kind")
    list_select_related = ("utility", "maker", "checker")
    ordering = ("-made_at",)
    fields = ("title", "utility", "reason", "maker", "made_at", "expires_at", "state", "checker", "decided_at")
    list_before_template = "controls/propose_link.html"
    change_form_outer_after_template = "controls/change_page.html"

    def get_urls(self) -> list[urls.URLPattern]:
        view = self.admin_site.admin_view
        own = [
            urls.path("propose/", view(self.choose), name="controls_changerequest_choose"),
            urls.path("propose/<slug:kind>/<path:subject>/", view(self.propose), name="controls_changerequest_propose"),
            urls.path("<uuid:change_id>/do/<slug:verb>/", view(self.do), name="controls_changerequest_do"),
        ]
        return [*own, *super().get_urls()]

    def choose(self, request: http.HttpRequest) -> http.HttpResponse:
        """Show what this person may ask to change."""
        subjects = decide_change.list_subjects(user=_person(request))
        context = {**self.admin_site.each_context(request), "title": "Ask for a change", "subjects": subjects}
        return shortcuts.render(request, "controls/choose.html", context)

    def propose(self, request: http.HttpRequest, kind: str, subject: str) -> http.HttpResponse:
        """Show how it is now as a form; a POST asks for the change."""
        try:
            current = decide_change.get_current(kind=kind, subject=subject, user=_person(request))
        except errors.NotFound as error:
            raise http.Http404 from error
        form = forms.Propose(request.POST or None, current=current)
        if request.method == "POST" and form.is_valid():
            try:
                change = decide_change.propose(
                    kind=kind,
                    subject=subject,
                    after=form.after,
                    reason=form.cleaned_data["reason"],
                    maker=_person(request),
                    now=clock.get_now(),
                )
            except errors.UnableTo as error:
                form.add_error(None, error.detail)
            else:
                messages.success(request, "Somebody else decides about it now.")
                return shortcuts.redirect("admin:controls_changerequest_change", change.pk)
        label = models.ChangeRequest.Kind(kind).label
        context = {**self.admin_site.each_context(request), "title": label, "form": form, "subject": subject}
        return shortcuts.render(request, "controls/propose.html", context)

    def do(self, request: http.HttpRequest, change_id: uuid.UUID, verb: str) -> http.HttpResponse:
        """Decide about a change, and come back to its page."""
        if verb not in DONE or not self.get_queryset(request).filter(pk=change_id).exists():
            raise http.Http404
        if request.method != "POST":
            return http.HttpResponseNotAllowed(["POST"])
        person, now = _person(request), clock.get_now()
        try:
            if verb == "approve":
                decide_change.approve(change_id=change_id, checker=person, now=now)
            elif verb == "reject":
                decide_change.reject(change_id=change_id, checker=person, now=now)
            else:
                decide_change.withdraw(change_id=change_id, maker=person, now=now)
        except errors.UnableTo as error:
            messages.error(request, error.detail)
        else:
            messages.success(request, DONE[verb])
        return shortcuts.redirect("admin:controls_changerequest_change", change_id)

    def changeform_view(
        self,
        request: http.HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Show the page with the difference, and what this person may do."""
        change = self.get_object(request, object_id) if object_id else None
        verbs: list[str] = []
        if change is not None and change.state == models.ChangeRequest.State.OPEN:
            person = _person(request)
            if queries.may_decide(user=person, utility_id=change.utility_id):
                verbs = ["withdraw"] if change.maker_id == person.pk else ["approve", "reject"]
        context = {**(extra_context or {}), "verbs": verbs}
        return super().changeform_view(request, object_id, form_url, context)


@admin.register(models.SpendingPolicy)
class SpendingPolicyAdmin(tenant_admin.ReadOnlyTenantAdmin):
    """Every version that ever held."""

    viewed_by = VIEWERS
    list_display = ("utility", "scope", "customer", "program", "version", "made_at", "change")
    list_filter = ("scope",)
    list_select_related = ("utility", "customer", "change")
    ordering = ("-made_at",)


@admin.register(models.Freeze)
class FreezeAdmin(tenant_admin.ReadOnlyTenantAdmin):
    """What is frozen, and what was. Lifting is a change that two people make."""

    viewed_by = frozenset({Roles.ADMINISTRATOR, Roles.AUDITOR, Roles.CSR})
    list_display = ("account", "utility", "reason", "made_by", "made_at", "lifted_at")
    list_select_related = ("utility", "made_by")
    ordering = ("-made_at",)


@admin.register(models.ScreeningRule)
class ScreeningRuleAdmin(tenant_admin.ReadOnlyTenantAdmin):
    viewed_by = VIEWERS
    list_display = ("utility", "when_down")
    list_select_related = ("utility",)


@admin.register(models.Screening)
class ScreeningAdmin(tenant_admin.ReadOnlyTenantAdmin):
    """Every check of addresses."""

    viewed_by = VIEWERS
    list_display = ("made_at", "utility", "direction", "reference", "outcome", "decision", "provider")
    list_filter: ClassVar[Any] = ("outcome", "decision", "direction")
    search_fields = ("reference",)
    list_select_related = ("utility",)
    ordering = ("-made_at",)


def _person(request: http.HttpRequest) -> Any:
    return request.user
