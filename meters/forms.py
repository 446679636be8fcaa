"""Forms of the admin that end in one use case."""

from django import forms

from customers import models as customer_models
from meters import models
from meters.domain import estimation

_STYLE = "border border-base-200 rounded-default px-3 py-2 w-full dark:bg-base-900 dark:border-base-700"


class _Styled(forms.Form):
    """Plain fields that fill their column."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type] # Django's own
        for field in self.fields.values():
            field.widget.attrs.setdefault("class", _STYLE)


class ImportFile(_Styled):
    """A file of readings of one utility."""

    utility = forms.ModelChoiceField(customer_models.Utility.objects.none())
    format = forms.ChoiceField(
        choices=[
            (kind.value, kind.label)
            for kind in (
                models.ImportBatch.Format.GREEN_BUTTON,
                models.ImportBatch.Format.NEM,
                models.ImportBatch.Format.CSV,
            )
        ]
    )
    csv_source = forms.ModelChoiceField(
        models.CsvSource.objects.none(), required=False, label="CSV source", help_text="What a CSV's columns mean."
    )
    service_point = forms.CharField(
        max_length=64, required=False, help_text="Its number, when the file does not name it."
    )
    file = forms.FileField()
    only_preview = forms.BooleanField(
        required=False, label="Only show a CSV's first rows", widget=forms.CheckboxInput({"class": "h-4 w-4"})
    )


class Decide(_Styled):
    """What a person decides about a question, and why."""

    ACCEPT, ESTIMATE, EDIT = "accept", "estimate", "edit"

    decision = forms.ChoiceField(
        choices=[(ACCEPT, "Accept as it is"), (ESTIMATE, "Estimate"), (EDIT, "Edit: one value for each interval")]
    )
    method = forms.ChoiceField(
        required=False,
        choices=[
            ("", "What suits"),
            *((method.value, method.name.replace("_", " ").lower()) for method in estimation.Method),
        ],
        help_text="Of an estimate.",
    )
    values = forms.CharField(
        required=False,
        widget=forms.Textarea({"rows": 6}),
        help_text="For an edit: a line for each interval, its start (RFC 3339) and its value in kWh as the meter "
        "would have read it.",
    )
    reason = forms.CharField(max_length=500)
