"""The form on which a change is asked for: one field for each thing that may differ, as it is now."""

from collections.abc import Mapping
from typing import Any

from django import forms


class Propose(forms.Form):
    """Every value as it is, to be changed, and why."""

    reason = forms.CharField(
        max_length=500, widget=forms.Textarea(attrs={"rows": 2}), help_text="Who decides reads it."
    )

    def __init__(self, *args: Any, current: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.names = list(current)
        for name, value in current.items():
            self.fields[name] = _field(name, value)
        self.order_fields([*current, "reason"])

    @property
    def after(self) -> dict[str, Any]:
        """Return what was asked for."""
        return {name: self.cleaned_data[name] for name in self.names}


def _field(name: str, value: Any) -> forms.Field:
    label = name.replace("_", " ").capitalize()
    if isinstance(value, bool):
        return forms.BooleanField(label=label, initial=value, required=False)
    if isinstance(value, int):
        return forms.IntegerField(label=label, initial=value)
    if isinstance(value, str):
        return forms.CharField(label=label, initial=value, max_length=1000)
    return forms.JSONField(label=label, initial=value, widget=forms.Textarea(attrs={"rows": 24, "spellcheck": "false"}))
