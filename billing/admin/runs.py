"""Bill runs and corrections, for staff: looked at as a whole, then approved or refused by a person with a name."""

from collections.abc import Callable, Sequence
from typing import Any

from django import forms as django_forms
from django import http, shortcuts, urls
from django.contrib import admin, messages
from django.core import exceptions
from django.db.models import Count, F, Sum, functions
from django.utils import html
from unfold import decorators

from billing import forms, models
from billing.domain import packed_lines
from billing.usecases import rebill
from openvpp.core import admin as tenant_admin
from openvpp.core import clock, errors, money

Roles = tenant_admin.Roles
VIEWERS = frozenset({Roles.CSR, Roles.BILLING_ANALYST, Roles.AUDITOR, Roles.ADMINISTRATOR})
ANALYSTS = frozenset({Roles.BILLING_ANALYST, Roles.ADMINISTRATOR})
LARGEST = 20


class OneRowForm(tenant_admin.ReadOnlyTenantAdmin):
    """A page with a form about one row, which analysts see."""

    def has_act_permission(self, request: http.HttpRequest, obj: Any = None) -> bool:
        """Say whether the person may use the form."""
        return self._may(request, ANALYSTS, None)

    def serve_one(
        self,
        request: http.HttpRequest,
        *,
        row_id: Any,
        title: str,
        form: type[django_forms.Form],
        act: Callable[[Any, dict[str, Any]], str],
    ) -> http.HttpResponse:
        """Show the form, or do what it says and go back to the row.

        :raises PermissionDenied: the person is no analyst of the row's utility.
        """
        row = self._rows_of(request, ANALYSTS).filter(pk=row_id).first()
        if row is None:
            raise exceptions.PermissionDenied
        filled = form(request.POST or None)
        if request.method == "POST" and filled.is_valid():
            try:
                messages.success(request, act(row, filled.cleaned_data))
            except errors.UnableTo as error:
                filled.add_error(None, error.detail)
            else:
                return shortcuts.redirect(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", row_id)
        context = {
            **self.admin_site.each_context(request),
            "title": f"{title}: {row}",
            "verb": title,
            "form": filled,
        }
        return shortcuts.render(request, "desk/one_form.html", context)


class CorrectingMixin(OneRowForm):
    """The page of bills, with a form that corrects one."""

    actions_detail: Sequence[str] = ("go_to_correct",)

    def get_urls(self) -> list[urls.URLPattern]:
        view = self.admin_site.admin_view(self.correct_view)
        return [urls.path("<uuid:bill_id>/correct/", view, name="billing_bill_correct"), *super().get_urls()]

    @decorators.action(description="Correct", url_path="go-to-correct", permissions=["act"])
    def go_to_correct(self, request: http.HttpRequest, object_id: Any) -> http.HttpResponse:
        """Go to the form."""
        return shortcuts.redirect("admin:billing_bill_correct", object_id)

    def correct_view(self, request: http.HttpRequest, bill_id: Any) -> http.HttpResponse:
        """Rate a bill again and put the new one in its place."""

        def act(bill: models.Bill, data: dict[str, Any]) -> str:
            user: Any = request.user
            new = rebill.rebill(bill_id=bill.pk, reason=data["reason"], user=user, now=clock.get_now())
            later = ", ".join(each.number for each in rebill.get_later(bill=new))
            rest = f" Look at {later} too: what this bill leaves for later ones has changed." if later else ""
            return f"Bill {new.number} of {_money(new.amount_due_cents, new.currency)} stands in its place.{rest}"

        return self.serve_one(request, row_id=bill_id, title="Correct", form=forms.CorrectBill, act=act)


class _Exceptions(tenant_admin.ReadOnlyTenantInline):
    model = models.DraftException
    viewed_by = VIEWERS
    fields = ("account", "code", "detail", "remedy")
    show_change_link = False


@admin.register(models.BillRun)
class BillRunAdmin(OneRowForm):
    viewed_by = VIEWERS
    list_display = ("__str__", "state", "drafts_count", "total", "exceptions_count", "started_at", "approved_by")
    list_filter = ("state",)
    list_select_related = ("utility", "approved_by")
    ordering = ("-starts_on",)
    readonly_fields = ("drafts_count", "alone", "total", "by_tariff", "largest_changes")
    inlines = (_Exceptions,)
    actions_detail = ("go_to_approve",)

    def get_urls(self) -> list[urls.URLPattern]:
        view = self.admin_site.admin_view(self.approve_view)
        return [urls.path("<int:run_id>/approve/", view, name="billing_billrun_approve"), *super().get_urls()]

    @decorators.action(description="Approve and issue", url_path="go-to-approve", permissions=["act"])
    def go_to_approve(self, request: http.HttpRequest, object_id: Any) -> http.HttpResponse:
        """Go to the form."""
        return shortcuts.redirect("admin:billing_billrun_approve", object_id)

    def approve_view(self, request: http.HttpRequest, run_id: int) -> http.HttpResponse:
        """Approve a run's drafts; a worker issues them."""

        def act(run: models.BillRun, _data: dict[str, Any]) -> str:
            user: Any = request.user
            from billing.usecases import issue_drafts  # noqa: PLC0415 - loads the compiler, 70 MB that only runs need

            issue_drafts.approve_run(run_id=run.pk, user=user, now=clock.get_now())
            return "The drafts are approved and will be issued."

        return self.serve_one(request, row_id=run_id, title="Approve and issue", form=forms.ApproveRun, act=act)

    @admin.display(description="Drafts")
    def drafts_count(self, run: models.BillRun) -> int:
        return run.drafts.count()

    @admin.display(description="Exceptions")
    def exceptions_count(self, run: models.BillRun) -> int:
        return run.exceptions.count()

    @admin.display(description="Total")
    def total(self, run: models.BillRun) -> str:
        cents = run.drafts.aggregate(total=Sum(functions.Greatest("total_cents", 0)))["total"]
        return _money(int(cents or 0), run.utility.currency)

    @admin.display(description="Rated alone")
    def alone(self, run: models.BillRun) -> str:
        rows = run.drafts.exclude(rated_alone="").values_list("rated_alone").annotate(Count("pk")).order_by()
        return _table(rows)

    @admin.display(description="By tariff")
    def by_tariff(self, run: models.BillRun) -> str:
        rows = (
            run.drafts.values_list("tariff__code", "tariff__effective_from")
            .annotate(count=Count("pk"), total=Sum(functions.Greatest("total_cents", 0)))
            .order_by("tariff__code")
        )
        return _table(
            (code, version, count, _money(int(total), run.utility.currency)) for code, version, count, total in rows
        )

    @admin.display(description="Largest changes against the bill before")
    def largest_changes(self, run: models.BillRun) -> str:
        rows = (
            run.drafts.filter(previous_cents__isnull=False)
            .annotate(change=functions.Abs(F("total_cents") - F("previous_cents")))
            .order_by("-change")
            .values_list("account__number", "previous_cents", "total_cents")[:LARGEST]
        )
        return _table(
            (number, _money(before, run.utility.currency), _money(now, run.utility.currency))
            for number, before, now in rows
        )


@admin.register(models.BillDraft)
class BillDraftAdmin(tenant_admin.ReadOnlyTenantAdmin):
    viewed_by = VIEWERS
    list_display = ("account", "run", "tariff", "amount_due", "previous", "rated_alone", "bill")
    list_filter = ("rated_alone",)
    list_select_related = ("account", "run__utility", "tariff", "bill")
    search_fields = ("account__number",)
    ordering = ("-pk",)
    fields = ("account", "run", "amount_due", "previous", "rated_alone", "bill", "lines", "omissions")
    readonly_fields = ("amount_due", "previous", "lines", "omissions")

    @admin.display(description="Amount due", ordering="total_cents")
    def amount_due(self, draft: models.BillDraft) -> str:
        return _money(draft.amount_due_cents, draft.run.utility.currency)

    @admin.display(description="Bill before", ordering="previous_cents")
    def previous(self, draft: models.BillDraft) -> str:
        return "" if draft.previous_cents is None else _money(draft.previous_cents, draft.run.utility.currency)

    @admin.display(description="Lines")
    def lines(self, draft: models.BillDraft) -> str:
        return _table(
            (
                line.label,
                f"{line.quantity:f} {line.unit}",
                f"{money.from_units(units=line.unit_price_nano, decimals=9):f}",
                f"{money.from_units(units=line.amount_nano, decimals=9):f}",
            )
            for span in self._spans(draft)
            for line in span.lines
        )

    @admin.display(description="Not charged")
    def omissions(self, draft: models.BillDraft) -> str:
        return " ".join(dict.fromkeys(text for span in self._spans(draft) for text in span.layout.omissions))

    def _spans(self, draft: models.BillDraft) -> list[packed_lines.Span]:
        from billing.usecases import issue_drafts  # noqa: PLC0415 - loads the compiler, 70 MB that only runs need

        return issue_drafts.read_spans(draft=draft, layouts={})


def _money(cents: int, currency: str) -> str:
    return f"{money.from_units(units=cents, decimals=2):f} {currency}"


def _table(rows: Any) -> str:
    cells = [html.format_html_join("", "<td class='pr-6'>{}</td>", ((cell,) for cell in row)) for row in rows]
    body = html.format_html_join("", "<tr>{}</tr>", ((row,) for row in cells))
    return html.format_html("<table>{}</table>", body) if cells else "none"
