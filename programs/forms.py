"""Forms of the admin: what is typed in is judged by the same rules as everywhere."""

import datetime
from typing import Any

from django import forms

from openvpp.core import clock, errors, period
from programs import models
from programs.domain import eligibility
from programs.usecases import dispatch_event


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
        return data


class Event(forms.ModelForm):  # type: ignore[type-arg] # no arguments at run time
    """An event with a window and a target that an event can have."""

    class Meta:
        help_texts = {"starts_at": "UTC, on a quarter of an hour.", "ends_at": "UTC, on a quarter of an hour."}

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
