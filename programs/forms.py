"""Forms of the admin: what is typed in is judged by the same rules as everywhere."""

import datetime
from typing import Any

from django import forms
from django.utils import functional, timezone

from openvpp.core import clock, errors, period
from programs import models
from programs.domain import eligibility
from programs.usecases import dispatch_event

# What decides how much an event pays.
PAID_BY = frozenset({"payout_usd_per_kwh", "payout_token", "treasury_wallet", "baseline_min_days"})


class Program(forms.ModelForm):  # type: ignore[type-arg] # no arguments at run time
    """A program whose rules and holidays can be read, and whose terms have a new version when they change."""

    def clean_eligibility(self) -> Any:
        """Refuse rules that cannot be read."""
        rules = self.cleaned_data["eligibility"]
        try:
            eligibility.Rules.from_data(rules)
        except (AttributeError, TypeError, ValueError) as error:
            raise forms.ValidationError(str(error)) from error
        return rules

    def clean_holidays(self) -> Any:
        """Refuse what is no list of dates."""
        days = self.cleaned_data["holidays"]
        try:
            return [datetime.date.fromisoformat(day).isoformat() for day in days]
        except (TypeError, ValueError) as error:
            raise forms.ValidationError("Write a list of dates: [2026-11-26, …].") from error

    def clean(self) -> dict[str, Any]:
        """Keep terms that somebody agreed to under their version."""
        data = super().clean() or {}
        if self.instance.pk and "terms" in self.changed_data:
            before = models.Program.objects.filter(pk=self.instance.pk).values_list("terms_version", flat=True).first()
            if before is not None and data.get("terms_version", 0) <= before:
                self.add_error("terms_version", "Raise the version with the terms.")
        if self.instance.pk and PAID_BY & set(self.changed_data) and _has_open_event(self.instance):
            raise forms.ValidationError("An event is not settled yet. It is paid as it was called; change this after.")
        return data


def _name_zone() -> str:
    return f"{timezone.get_current_timezone()}, on a quarter of an hour."


_when = functional.lazy(_name_zone, str)


class Event(forms.ModelForm):  # type: ignore[type-arg] # no arguments at run time
    """An event with a window and a target that an event can have."""

    class Meta:
        help_texts = {"starts_at": _when(), "ends_at": _when()}

    def clean(self) -> dict[str, Any]:
        """Refuse what `dispatch_event.schedule` refuses."""
        data = super().clean() or {}
        if not {"starts_at", "ends_at", "target_kw"} <= data.keys():
            return data
        try:
            window = period.Period(data["starts_at"], data["ends_at"])
            dispatch_event.require_schedulable(window=window, target_kw=data["target_kw"], now=clock.get_now())
        except (errors.UnableTo, ValueError) as error:
            raise forms.ValidationError(str(error)) from error
        return data


def _has_open_event(program: models.Program) -> bool:
    ended = {models.Event.State.SETTLED, models.Event.State.CANCELLED}
    return program.events.exclude(state__in=ended).exists()
