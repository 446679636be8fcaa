"""The operations of the bundler: a list that stays fast, a page for each, and the state of the whole relayer."""

import datetime
from typing import Any

from django import forms, http, shortcuts, urls
from django.conf import settings
from django.contrib import admin
from django.core import exceptions
from django.utils import http as http_utils
from django.utils import timezone

from customers import models as customer_models
from openvpp.core import admin as tenant_admin
from openvpp.core import clock, errors
from relayer import models
from relayer.admin import acting
from relayer.usecases import list_operations, read_status, show_operation

VIEWERS = frozenset(
    {
        tenant_admin.Roles.CSR,
        tenant_admin.Roles.BILLING_ANALYST,
        tenant_admin.Roles.AUDITOR,
        tenant_admin.Roles.ADMINISTRATOR,
    }
)


class Search(forms.Form):
    """What is looked for in the list."""

    q = forms.CharField(label="Hash, sender or transaction", required=False, max_length=80)
    state = forms.ChoiceField(label="State", required=False)
    utility: Any = forms.ModelChoiceField(label="Utility", required=False, queryset=None, empty_label="All")
    asked_by = forms.ChoiceField(label="Asked by", required=False)
    validation = forms.ChoiceField(label="Validation", required=False)
    since = forms.DateField(label="From", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label="To", required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, data: Any, *, utilities: Any) -> None:
        super().__init__(data, label_suffix="")
        self.fields["utility"].queryset = utilities  # type: ignore[attr-defined] # a choice of rows
        keys = models.ApiKey.objects.filter(utility__in=utilities).order_by("application", "pk")
        self.fields["asked_by"].choices = [  # type: ignore[attr-defined]
            ("", "Anybody"),
            ("own", "Our own apps"),
            ("applications", "Any application"),
            *((str(key.pk), str(key)) for key in keys),
        ]
        for name, choices in (
            ("state", models.UserOperation.State.choices),
            ("validation", models.UserOperation.Validation.choices),
        ):
            self.fields[name].choices = [("", "Any"), *choices]  # type: ignore[attr-defined]

    def wish(self, *, after: str) -> list_operations.Wish:
        """Return what is looked for; days are those of the page's time zone, the last one included."""
        given = self.cleaned_data if self.is_valid() else {}
        utility = given.get("utility")
        until = given.get("until")
        return list_operations.Wish(
            text=given.get("q", ""),
            state=given.get("state", ""),
            utility_id=None if utility is None else utility.pk,
            asked_by=given.get("asked_by", ""),
            validation=given.get("validation", ""),
            since=_start_of(given.get("since")),
            before=_start_of(until + datetime.timedelta(days=1)) if until else None,
            after=after,
        )


@admin.register(models.UserOperation)
class UserOperationAdmin(tenant_admin.ReadOnlyTenantAdmin):
    """Own pages in place of the stock ones: those count all rows, and know nothing of a history."""

    viewed_by = VIEWERS

    def get_urls(self) -> list[Any]:
        """Add the state of the relayer and the pages that act."""
        view = self.admin_site.admin_view
        own = [
            urls.path("status/", view(self.status), name="relayer_status"),
            urls.path("<str:hash_>/act/<str:kind>/", view(acting.act_on_operation), name="relayer_operation_act"),
            urls.path(
                "status/utilities/<int:utility_id>/<str:kind>/",
                view(acting.act_on_utility),
                name="relayer_utility_act",
            ),
            urls.path("status/keys/<int:key_id>/<str:kind>/", view(acting.act_on_key), name="relayer_key_act"),
        ]
        return [*own, *super().get_urls()]

    def changelist_view(self, request: http.HttpRequest, extra_context: Any = None) -> http.HttpResponse:
        """Show a page of the list."""
        self._require_view(request)
        utilities = self._utilities(request)
        form = Search(request.GET, utilities=utilities)
        wish = form.wish(after=request.GET.get("after", ""))
        page = list_operations.find(rows=self._rows(request), wish=wish)
        kept = {name: str(value) for name, value in request.GET.items() if name != "after" and value}
        context = {
            **self.admin_site.each_context(request),
            "title": "User operations",
            "form": form,
            "page": page,
            "is_first": not wish.after,
            "is_filtered": bool(kept),
            "first": "?" + http_utils.urlencode(kept),
            "next": "?" + http_utils.urlencode({**kept, "after": page.after}) if page.after else "",
            "shows_utility": utilities.count() > 1,
        }
        return shortcuts.render(request, "relayer/operations.html", context)

    def change_view(
        self, request: http.HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> http.HttpResponse:
        """Show one operation with its history; with `?trace=1` what it did, call by call."""
        self._require_view(request)
        row = self._find(request, object_id)
        if row is None:
            return shortcuts.redirect("admin:relayer_useroperation_changelist")
        context = {
            **self.admin_site.each_context(request),
            "title": "User operation",
            "story": show_operation.tell(operation=row),
            "asked_by": _asked_by(row),
            "may_act": acting.may_act(request, utility_id=row.utility_id),
            "is_over": row.state in {"succeeded", "failed"},
        }
        if request.GET.get("trace") == "1":
            context["trace"] = _trace(row)
        return shortcuts.render(request, "relayer/operation.html", context)

    def status(self, request: http.HttpRequest) -> http.HttpResponse:
        """Show how the relayer stands: for the operator all of it, for staff their utilities' side."""
        self._require_view(request)
        context = {
            **self.admin_site.each_context(request),
            "title": "Relayer",
            "status": read_status.read(
                chain_id=settings.CHAIN_ID,
                utilities=list(self._utilities(request).filter(chain_id=settings.CHAIN_ID).order_by("name")),
                is_operator=acting.may_act_on_keys(request),
                now=clock.get_now(),
            ),
            "is_operator": acting.may_act_on_keys(request),
            "acts_on": set(acting._utilities(request).values_list("pk", flat=True)),  # noqa: SLF001 - the same rule
            "links": _links(request),
        }
        return shortcuts.render(request, "relayer/status.html", context)

    def _require_view(self, request: http.HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise exceptions.PermissionDenied

    def _utilities(self, request: http.HttpRequest) -> Any:
        return tenant_admin._rows_of(customer_models.Utility, request, VIEWERS)  # noqa: SLF001 - the same rule

    def _rows(self, request: http.HttpRequest) -> Any:
        """Return the rows by a plain condition: the stock semi-join over all of them is too slow here."""
        rows = models.UserOperation.objects.all()
        return rows if request.user.is_superuser else rows.filter(utility__in=list(self._utilities(request)))

    def _find(self, request: http.HttpRequest, hash_: str) -> models.UserOperation | None:
        if len(hash_) != 2 + 64 or not hash_.startswith("0x"):
            return None
        found: models.UserOperation | None = (
            self._rows(request).select_related("utility", "api_key", "quote__sponsorship").filter(hash=hash_).first()
        )
        return found


def _start_of(day: datetime.date | None) -> datetime.datetime | None:
    if day is None:
        return None
    return timezone.make_aware(datetime.datetime.combine(day, datetime.time()))


def _asked_by(row: models.UserOperation) -> dict[str, str]:
    """Return who asked for an operation, with a link: an application's key, or an operation of one of our wallets."""
    if row.api_key is not None:
        return {"name": f"Application {row.api_key}", "link": _link("relayer_apikey", row.api_key_id)}
    wish: Any = getattr(row, "operation", None)
    if wish is None:
        return {"name": "One of our own apps", "link": ""}
    payment: Any = getattr(wish, "payment", None)
    if payment is not None:
        return {"name": "Payment of a bill", "link": _link("billing_payment", payment.pk)}
    return {"name": f"{wish.get_kind_display()}, by our own app", "link": _link("wallets_operation", wish.pk)}


def _link(page: str, pk: object) -> str:
    return urls.reverse(f"admin:{page}_change", args=[pk])


def _links(request: http.HttpRequest) -> list[tuple[str, str]]:
    """Return the pages beside this one that the person may open."""
    found = []
    for title, model in (
        ("Gas budgets and what gas costs", "sponsorshippolicy"),
        ("Sponsorships", "sponsorship"),
        ("Bundles", "bundle"),
        ("Refills", "refill"),
        ("Reputation of others", "reputation"),
        ("What staff did", "staffaction"),
    ):
        page = next((each for each in admin.site._registry.items() if each[0]._meta.model_name == model), None)  # noqa: SLF001 - Django's own names
        if page is not None and page[1].has_view_permission(request):
            found.append((title, urls.reverse(f"admin:relayer_{model}_changelist")))
    return found


def _trace(row: models.UserOperation) -> dict[str, Any]:
    try:
        return {"frames": show_operation.trace(operation=row), "problem": ""}
    except errors.UnableTo as error:
        return {"frames": [], "problem": error.detail}
    except (errors.Unreachable, errors.Refused) as error:
        return {"frames": [], "problem": f"The node did not answer: {error}"}
