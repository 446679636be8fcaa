"""Bills and tariffs, as small as they may be."""

# mypy: disable-error-code="attr-defined,no-untyped-call"

import datetime

import factory
from django.utils import timezone
from factory import django as factory_django

from billing import models
from tests.factories import customers


class Bill(factory_django.DjangoModelFactory[models.Bill]):
    """An issued bill of 123.45 for September 2026, without lines."""

    class Meta:
        model = models.Bill

    account = factory.SubFactory(customers.CustomerAccount)
    utility = factory.SelfAttribute("account.utility")
    source = models.Bill.Source.RECEIVED
    number = factory.Sequence(lambda n: f"B-{n:06d}")
    starts_on = datetime.date(2026, 9, 1)
    ends_on = datetime.date(2026, 10, 1)
    time_zone = "America/New_York"
    currency = "USD"
    amount_due_cents = 12_345
    total_cents = factory.SelfAttribute("amount_due_cents")
    due_on = datetime.date(2026, 10, 22)
    issued_at = factory.LazyFunction(timezone.now)


class BillLine(factory_django.DjangoModelFactory[models.BillLine]):
    class Meta:
        model = models.BillLine

    bill = factory.SubFactory(Bill)
    position = factory.Sequence(lambda n: n + 1)
    kind = "energy"
    label = "Energy"
    quantity = 1
    unit = "bill"
    unit_price_nano = factory.SelfAttribute("amount_nano")
    amount_nano = 123_450_000_000
    starts_on = factory.SelfAttribute("bill.starts_on")
    ends_on = factory.SelfAttribute("bill.ends_on")
