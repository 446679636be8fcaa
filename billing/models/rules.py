"""Riders, taxes, discounts, credits, budget plans and prepayment, as a utility enters them.

A rule is a version: `[effective_from, effective_until)`, ended also by the next version of its code. Nothing that a
bill may have used is rewritten: a new version is added, or an end is set, each with who and why.
"""

from django.conf import settings
from django.core import validators
from django.db import models
from django.db.models import F, Q

from billing.domain import rules
from customers import models as customer_models

_PERCENT = [validators.MinValueValidator(-100), validators.MaxValueValidator(100)]


def rated() -> list[str]:
    return sorted(rules.RATED)


def rated_and_riders() -> list[str]:
    return sorted(rules.RATED | {rules.Base.RIDER})


def after_discounts() -> list[str]:
    return sorted(rules.RATED | {rules.Base.RIDER, rules.Base.DISCOUNT})


class Basis(models.TextChoices):
    KWH = "kwh", "per kWh"
    KW = "kw", "per kW of billing demand"
    DAY = "day", "per day"
    MONTH = "month", "per month"
    PERCENT = "percent", "percent of the bases"


class Measure(models.TextChoices):
    BILLED = "billed", "kWh that energy lines price"
    DELIVERED = "delivered", "kWh that the meter took from the grid"


class Entered(models.Model):
    """A row that says who entered it, when and why."""

    reason = models.CharField(max_length=300, help_text="Why: an order, a letter, a decision; kept for the auditor.")
    entered_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", null=True)
    entered_at = models.DateTimeField()

    class Meta:
        abstract = True


class Version(Entered):
    """One version of a rule of a utility."""

    utility = models.ForeignKey("customers.Utility", on_delete=models.PROTECT, related_name="+")
    code = models.SlugField(max_length=32, help_text="The same for all versions; named on each line.")
    name = models.CharField(max_length=150, help_text="As customers read it on the bill.")
    effective_from = models.DateField(help_text="First local day.")
    effective_until = models.DateField(null=True, blank=True, help_text="First local day no longer; empty: until next.")
    basis = models.CharField(max_length=10, choices=Basis)
    price = models.DecimalField(
        max_digits=18, decimal_places=9, default=0, help_text="In the currency, per unit of the basis."
    )
    percent = models.DecimalField(
        max_digits=9, decimal_places=4, default=0, validators=_PERCENT, help_text="Where the basis is a percentage."
    )

    utility_path = "utility"
    user_path = ""
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        abstract = True
        ordering = ["code", "-effective_from"]

    def __str__(self) -> str:
        return f"{self.code} from {self.effective_from}"


class Rider(Version):
    """A charge beside the tariff, for some tariffs or all."""

    bases = models.JSONField(default=rated, blank=True, help_text="What a percentage is of.")
    measure = models.CharField(max_length=10, choices=Measure, default=Measure.BILLED)
    tariff_codes = models.CharField(
        max_length=500, blank=True, help_text="Codes of tariffs, with commas; empty: every tariff."
    )

    class Meta(Version.Meta):
        constraints = [
            models.UniqueConstraint(fields=["utility", "code", "effective_from"], name="rider_version_once"),
            models.CheckConstraint(
                condition=Q(effective_until__isnull=True) | Q(effective_until__gt=F("effective_from")),
                name="rider_period_is_forward",
            ),
        ]


class MarketPrice(models.Model):
    """What a kWh costs in one interval of a series of real-time prices. Never changed: a correction is a version."""

    utility = models.ForeignKey("customers.Utility", on_delete=models.PROTECT, related_name="+")
    index = models.SlugField(max_length=32, help_text="The series that a tariff's terms name as real_time_index.")
    starts_at = models.DateTimeField()
    seconds = models.PositiveIntegerField(help_text="How long the price holds.")
    version = models.PositiveSmallIntegerField(default=1, help_text="The highest one counts.")
    price = models.DecimalField(max_digits=18, decimal_places=9, help_text="In the currency, per kWh; may be negative.")
    taken_at = models.DateTimeField(help_text="When it came in; a bill says until when it knew prices.")

    utility_path = "utility"
    user_path = ""
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        ordering = ["-starts_at", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["utility", "index", "starts_at", "version"], name="market_price_once"),
            models.CheckConstraint(condition=Q(seconds__gt=0), name="market_price_holds"),
        ]

    def __str__(self) -> str:
        return f"{self.index} at {self.starts_at}"


class Jurisdiction(models.Model):
    """Whose taxes: a state, county, city or district."""

    utility = models.ForeignKey("customers.Utility", on_delete=models.PROTECT, related_name="+")
    code = models.SlugField(max_length=32)
    name = models.CharField(max_length=100)

    utility_path = "utility"
    user_path = ""
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        ordering = ["code"]
        constraints = [models.UniqueConstraint(fields=["utility", "code"], name="jurisdiction_once")]

    def __str__(self) -> str:
        return self.name


class Tax(Version):
    """A tax of a jurisdiction; `stage` orders compound taxes."""

    jurisdiction = models.ForeignKey(Jurisdiction, on_delete=models.PROTECT, related_name="taxes")
    bases = models.JSONField(
        default=after_discounts, blank=True, help_text="What a percentage is of; with tax: compound on earlier stages."
    )
    measure = models.CharField(max_length=10, choices=Measure, default=Measure.BILLED)
    stage = models.PositiveSmallIntegerField(default=1, help_text="Taxes of one stage do not see each other.")
    taxes_credits = models.BooleanField(default=False, help_text="Give tax back where the base is below zero.")

    class Meta(Version.Meta):
        verbose_name_plural = "taxes"
        constraints = [
            models.UniqueConstraint(fields=["utility", "code", "effective_from"], name="tax_version_once"),
            models.CheckConstraint(
                condition=Q(effective_until__isnull=True) | Q(effective_until__gt=F("effective_from")),
                name="tax_period_is_forward",
            ),
        ]


class DiscountProgram(Version):
    """What accounts that are in it get off; low income or a medical baseline, say."""

    bases = models.JSONField(default=rated_and_riders, blank=True, help_text="What a percentage is of.")
    allowance_kwh_per_day = models.DecimalField(
        max_digits=9, decimal_places=3, null=True, blank=True, help_text="How many kWh a day the price per kWh is off."
    )
    most_per_month = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)

    class Meta(Version.Meta):
        constraints = [
            models.UniqueConstraint(fields=["utility", "code", "effective_from"], name="discount_version_once"),
            models.CheckConstraint(
                condition=Q(effective_until__isnull=True) | Q(effective_until__gt=F("effective_from")),
                name="discount_period_is_forward",
            ),
            models.CheckConstraint(condition=Q(price__gte=0, percent__gte=0), name="discount_takes_off"),
        ]


class OfAccount(Entered):
    """Something that holds for one account on the local days `[starts_on, ends_on)`."""

    account = models.ForeignKey("customers.CustomerAccount", on_delete=models.PROTECT, related_name="+")
    starts_on = models.DateField()
    ends_on = models.DateField(null=True, blank=True, help_text="First local day no longer; empty: open.")

    utility_path = "account__utility"
    user_path = "account__accesses__customer__user"
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        abstract = True
        ordering = ["-starts_on", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_on__isnull=True) | Q(ends_on__gt=F("starts_on")), name="%(class)s_period_is_forward"
            )
        ]


class TaxedPlace(Entered):
    """A service point lies in a jurisdiction, on the local days `[starts_on, ends_on)`."""

    jurisdiction = models.ForeignKey(Jurisdiction, on_delete=models.PROTECT, related_name="places")
    service_point = models.ForeignKey("customers.ServicePoint", on_delete=models.PROTECT, related_name="+")
    starts_on = models.DateField()
    ends_on = models.DateField(null=True, blank=True, help_text="First local day no longer; empty: open.")

    utility_path = "jurisdiction__utility"
    user_path = ""
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        ordering = ["-starts_on", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_on__isnull=True) | Q(ends_on__gt=F("starts_on")), name="taxedplace_period_is_forward"
            ),
            models.UniqueConstraint(
                fields=["jurisdiction", "service_point"],
                condition=Q(ends_on__isnull=True),
                name="taxed_place_open_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.service_point} in {self.jurisdiction}"


class TaxExemption(OfAccount):
    """An account that pays less of a tax, or none."""

    tax_code = models.SlugField(max_length=32)
    percent = models.DecimalField(
        max_digits=7,
        decimal_places=4,
        default=100,
        validators=[validators.MinValueValidator(0), validators.MaxValueValidator(100)],
        help_text="How much of the tax is not paid.",
    )
    certificate = models.CharField(max_length=100)

    def __str__(self) -> str:
        return f"{self.account}: {self.percent} % off {self.tax_code}"


class DiscountEnrollment(OfAccount):
    """An account in a discount program, with what proves that it may be."""

    program_code = models.SlugField(max_length=32)
    proof = models.CharField(max_length=200, help_text="What was shown: a letter, a certificate, its number.")
    proven_on = models.DateField()

    class Meta(OfAccount.Meta):
        constraints = [
            *OfAccount.Meta.constraints,
            models.UniqueConstraint(
                fields=["account", "program_code"], condition=Q(ends_on__isnull=True), name="discount_open_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account} in {self.program_code}"


class AccountCredit(Entered):
    """An amount that an account is owed, used by its bills from the oldest on.

    Given by the utility, or left by a bill that came to less than nothing. When that bill is cancelled, what of the
    credit nobody used is `withdrawn`: the bill in its place accounts for the rest.
    """

    account = models.ForeignKey("customers.CustomerAccount", on_delete=models.PROTECT, related_name="+")
    label = models.CharField(max_length=150, help_text="As the customer reads it on the bill.")
    amount = models.DecimalField(max_digits=12, decimal_places=2, validators=[validators.MinValueValidator(0)])
    is_refunded = models.BooleanField(default=False, help_text="May take a bill below zero, instead of waiting.")
    given_on = models.DateField()
    from_bill = models.OneToOneField(
        "billing.Bill",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="left_credit",
        help_text="The bill that came to less than nothing; empty for what the utility gives.",
    )
    withdrawn = models.DecimalField(max_digits=12, decimal_places=2, default=0, editable=False)

    utility_path = "account__utility"
    user_path = "account__accesses__customer__user"
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        ordering = ["given_on", "pk"]
        indexes = [models.Index(fields=["account"], name="credit_by_account")]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="account_credit_is_of_something"),
            models.CheckConstraint(
                condition=Q(withdrawn=0) | Q(withdrawn__gt=0, withdrawn__lte=F("amount"), from_bill__isnull=False),
                name="account_credit_withdrawn_with_its_bill",
            ),
        ]

    def __str__(self) -> str:
        return self.label


class CreditUse(models.Model):
    """What a bill used of a credit; it counts unless the bill is cancelled."""

    credit = models.ForeignKey(AccountCredit, on_delete=models.PROTECT, related_name="uses")
    bill = models.ForeignKey("billing.Bill", on_delete=models.PROTECT, related_name="credit_uses")
    amount_nano = models.BigIntegerField()

    utility_path = "bill__utility"
    user_path = "bill__account__accesses__customer__user"
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["credit", "bill"], name="credit_used_once_per_bill"),
            models.CheckConstraint(condition=Q(amount_nano__gt=0), name="credit_use_is_of_something"),
        ]

    def __str__(self) -> str:
        return f"{self.credit} on {self.bill_id}"


class BudgetPlan(OfAccount):
    """Levelized billing: every bill the same, settled by the bill that ends in the settlement month."""

    instalment = models.DecimalField(max_digits=12, decimal_places=2, validators=[validators.MinValueValidator(0)])
    settlement_month = models.PositiveSmallIntegerField(
        validators=[validators.MinValueValidator(1), validators.MaxValueValidator(12)]
    )

    class Meta(OfAccount.Meta):
        constraints = [
            *OfAccount.Meta.constraints,
            models.UniqueConstraint(fields=["account"], condition=Q(ends_on__isnull=True), name="budget_open_once"),
            models.CheckConstraint(condition=Q(settlement_month__range=(1, 12)), name="budget_month_is_one"),
        ]

    def __str__(self) -> str:
        return f"{self.account}: {self.instalment} a bill"


class PrepayPlan(OfAccount):
    """An account that pays in advance, for a charge a day."""

    daily_charge = models.DecimalField(max_digits=12, decimal_places=6, default=0)

    class Meta(OfAccount.Meta):
        constraints = [
            *OfAccount.Meta.constraints,
            models.UniqueConstraint(fields=["account"], condition=Q(ends_on__isnull=True), name="prepay_open_once"),
        ]

    def __str__(self) -> str:
        return f"{self.account} pays in advance"


class PrepaidDeposit(Entered):
    """What an account paid in advance; its bills draw from it."""

    account = models.ForeignKey("customers.CustomerAccount", on_delete=models.PROTECT, related_name="+")
    amount = models.DecimalField(max_digits=12, decimal_places=2, validators=[validators.MinValueValidator(0)])
    paid_on = models.DateField()

    utility_path = "account__utility"
    user_path = "account__accesses__customer__user"
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        ordering = ["-paid_on", "-pk"]
        constraints = [models.CheckConstraint(condition=Q(amount__gt=0), name="deposit_is_of_something")]

    def __str__(self) -> str:
        return f"{self.amount} on {self.paid_on}"
