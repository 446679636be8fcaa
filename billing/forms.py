"""Forms of the admin that end in one use case."""

from django import forms

from customers import models as customer_models


class _Styled(forms.Form):
    """Plain fields that fill their column."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type] # Django's own
        for field in self.fields.values():
            field.widget.attrs.setdefault(
                "class", "border border-base-200 rounded-default px-3 py-2 w-full dark:bg-base-900 dark:border-base-700"
            )


class ImportTariff(_Styled):
    """A URDB rate as a version of a tariff."""

    utility = forms.ModelChoiceField(customer_models.Utility.objects.none())
    code = forms.SlugField(max_length=64, help_text="The code that service agreements name.")
    effective_from = forms.DateField(
        required=False,
        widget=forms.DateInput({"type": "date"}),
        help_text="Needed if the sheet does not say its own start.",
    )
    file = forms.FileField(help_text="JSON of the Utility Rate Database, one rate.")
    terms = forms.JSONField(
        required=False,
        help_text="How you read the sheet where it is silent, for example "
        '{"rounding": "line", "true_up_month": 4, "cash_out_nano_per_kwh": 30000000}. Empty: the usual reading.',
    )


class ImportPrices(_Styled):
    """A file of real-time prices."""

    utility = forms.ModelChoiceField(customer_models.Utility.objects.none())
    index = forms.SlugField(max_length=32, help_text="The series that tariffs name as real_time_index.")
    minutes = forms.IntegerField(min_value=1, max_value=1440, initial=60, help_text="How long each price holds.")
    is_per_mwh = forms.BooleanField(required=False, label="Prices are per MWh, not per kWh")
    file = forms.FileField(help_text="CSV: starts_at (with its offset), price.")


class IssueBill(_Styled):
    """The bill of one account for a period."""

    account = forms.CharField(max_length=32, help_text="Number of the account.")
    utility = forms.ModelChoiceField(customer_models.Utility.objects.none())
    starts_on = forms.DateField(widget=forms.DateInput({"type": "date"}), help_text="First day of the period.")
    ends_on = forms.DateField(widget=forms.DateInput({"type": "date"}), help_text="First day after the period.")


class CorrectBill(_Styled):
    """Why a bill is rated again."""

    reason = forms.CharField(
        max_length=500, widget=forms.Textarea({"rows": 3}), help_text="The customer reads it with the new bill."
    )


class ApproveRun(_Styled):
    """A word that nobody says by mistake."""

    is_looked_at = forms.BooleanField(label="I have looked at totals, changes and exceptions")
