"""Why the spending policies allow or refuse what somebody might wish for: a page for whoever looks after wallets."""

import decimal
from typing import Any

from django import forms, http, shortcuts
from django.contrib import admin
from django.core import exceptions
from django.utils import timezone
from django.views.decorators import cache
from django.views.decorators import http as http_decorators

from controls import queries as controls
from customers import models as customer_models
from openvpp.core import clock, errors
from wallets import models as wallet_models
from wallets import queries as wallets

_ADDRESS = r"^0x[0-9a-fA-F]{40}$"
_LABELS = {kind.value: kind.label for kind in wallet_models.Operation.Kind}


class Wish(forms.Form):
    """An operation that nobody has asked for yet."""

    wallet = forms.RegexField(_ADDRESS, label="Wallet that pays (address)")
    action = forms.ChoiceField(
        label="What it does", choices=[(kind.value, _LABELS[kind.value]) for kind in wallets.SPENDING]
    )
    payees = forms.CharField(label="Who is paid (addresses, one a line)", widget=forms.Textarea(attrs={"rows": 3}))
    token = forms.RegexField(_ADDRESS, label="Token (address)")
    amount = forms.DecimalField(
        label="Amount, in whole tokens where the utility takes the token, else base units", min_value=decimal.Decimal(0)
    )
    at = forms.DateTimeField(
        label="When (now, if left out)", required=False, widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )

    def clean_payees(self) -> list[str]:
        """Return the addresses."""
        found: list[str] = self.cleaned_data["payees"].split()
        for address in found:
            forms.RegexField(_ADDRESS).clean(address)
        return found


def may_open(user: Any) -> bool:
    """Say whether a person reads policies at some utility."""
    if not user.is_active or not user.is_staff:
        return False
    return bool(user.is_superuser or user.staff_roles.filter(role__in=controls.READERS).exists())


@http_decorators.require_safe
@cache.never_cache
def explain(request: http.HttpRequest) -> http.HttpResponse:
    """Show the form, and what each rule says to the wish that it holds; nothing is reserved and nothing moves."""
    if not may_open(request.user):
        raise exceptions.PermissionDenied
    form = Wish(request.GET or None)
    explanation = None
    if form.is_bound and form.is_valid():
        try:
            explanation = _explain(user=request.user, wish=form.cleaned_data)
        except errors.NotFound:
            form.add_error("wallet", "There is no such wallet at your utilities.")
    context = {
        **admin.site.each_context(request),
        "title": "Why it is allowed or refused",
        "form": form,
        "explanation": explanation,
    }
    return shortcuts.render(request, "desk/policies.html", context)


def _explain(*, user: Any, wish: dict[str, Any]) -> wallets.Explanation:
    wallet = wallets.get_wallet_for_staff(user=user, address=wish["wallet"])
    known = customer_models.AcceptedToken.objects.of_utility(wallet.utility_id).filter(address=wish["token"]).first()
    scale = decimal.Decimal(10) ** (known.decimals if known is not None else 0)
    at = wish["at"] or clock.get_now()
    return wallets.explain_spending(
        wallet=wallet,
        kind=wallet_models.Operation.Kind(wish["action"]),
        token=wish["token"],
        payees=wish["payees"],
        units=int(wish["amount"] * scale),
        at=at if timezone.is_aware(at) else timezone.make_aware(at),
    )
