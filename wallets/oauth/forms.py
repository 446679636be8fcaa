"""The limits that a person may change on the consent page."""

import decimal
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from wallets.oauth import offers, words

DAYS = (30, 90, 180, 365)


class Limits(forms.Form):
    """Amounts in the utility's currency; refused above the utility's bounds, and unless they grow in order."""

    per_payment = forms.DecimalField(label=gettext_lazy("Each payment, at most"), decimal_places=2, localize=True)
    per_period = forms.DecimalField(label=gettext_lazy("Every 30 days, at most"), decimal_places=2, localize=True)
    total = forms.DecimalField(label=gettext_lazy("In total, at most"), decimal_places=2, localize=True)
    days = forms.TypedChoiceField(label=gettext_lazy("For how long"), coerce=int)

    def __init__(self, data: Any, *, highest: offers.Limits, currency: str, current: offers.Limits) -> None:
        super().__init__(
            data,
            initial={
                "per_payment": decimal.Decimal(current.payment_cents) / offers.CENTS,
                "per_period": decimal.Decimal(current.period_cents) / offers.CENTS,
                "total": decimal.Decimal(current.total_cents) / offers.CENTS,
                "days": current.days,
            },
        )
        self._highest = {
            "per_payment": highest.payment_cents,
            "per_period": highest.period_cents,
            "total": highest.total_cents,
        }
        self._currency = currency
        offered = sorted({*(days for days in DAYS if days <= highest.days), current.days})
        days_field = self.fields["days"]
        if isinstance(days_field, forms.ChoiceField):
            days_field.choices = [(days, _("%(days)d days") % {"days": days}) for days in offered]
        for name in self._highest:
            self.fields[name].widget.attrs |= {"inputmode": "decimal", "autocomplete": "off"}

    def clean(self) -> dict[str, Any]:
        """Keep the amounts within the utility's bounds and in their order."""
        data = super().clean() or {}
        for name, cents in self._highest.items():
            value = data.get(name)
            if value is None:
                continue
            if value <= 0:
                self.add_error(name, _("Enter more than nothing."))
            elif value * offers.CENTS > cents:
                highest = words.in_currency(cents=cents, currency=self._currency)
                self.add_error(name, _("At most %(amount)s is possible.") % {"amount": highest})
        if not self.errors:
            if data["per_period"] < data["per_payment"]:
                self.add_error("per_period", _("This must not be less than the limit for one payment."))
            elif data["total"] < data["per_period"]:
                self.add_error("total", _("This must not be less than the limit for 30 days."))
        return data

    def chosen(self) -> offers.Limits:
        """Return what the person chose; only after `is_valid`."""
        data = self.cleaned_data
        return offers.Limits(
            payment_cents=int(data["per_payment"] * offers.CENTS),
            period_cents=int(data["per_period"] * offers.CENTS),
            total_cents=int(data["total"] * offers.CENTS),
            days=data["days"],
        )
