"""Programs, enrollments and events, as small as they may be."""

# mypy: disable-error-code="attr-defined,no-untyped-call"

import datetime
import decimal
import secrets

import factory
from factory import django as factory_django

from programs import models
from tests.factories import customers, ders, wallets
from wallets import models as wallet_models

NOW = ders.NOW


class TreasuryWallet(factory_django.DjangoModelFactory[wallet_models.Wallet]):
    class Meta:
        model = wallet_models.Wallet

    kind = wallet_models.Wallet.Kind.TREASURY
    customer = None
    utility = factory.SubFactory(customers.Utility)
    label = "program"
    chain_id = 31337
    owner_key = factory.SubFactory(wallets.SealedKey)
    salt = factory.LazyFunction(lambda: "0x" + secrets.token_hex(32))
    address = factory.LazyFunction(customers.address)
    created_at = NOW


class Program(factory_django.DjangoModelFactory[models.Program]):
    """An open program for batteries that pays two dollars a kWh."""

    class Meta:
        model = models.Program

    utility = factory.SubFactory(customers.Utility)
    name = factory.Sequence(lambda n: f"Program {n}")
    kind = models.Program.Kind.BATTERY_DISPATCH
    terms = "We may discharge your battery."
    eligibility = factory.LazyFunction(lambda: {"device_kinds": ["battery"]})
    payout_usd_per_kwh = decimal.Decimal(2)
    payout_token = factory.SubFactory(customers.AcceptedToken, utility=factory.SelfAttribute("..utility"))
    treasury_wallet = factory.SubFactory(TreasuryWallet, utility=factory.SelfAttribute("..utility"))
    created_at = NOW


class Enrollment(factory_django.DjangoModelFactory[models.Enrollment]):
    """An approved enrollment of a customer with a wallet."""

    class Meta:
        model = models.Enrollment

    program = factory.SubFactory(Program)
    customer = factory.SubFactory(customers.Customer, utility=factory.SelfAttribute("..program.utility"))
    state = models.Enrollment.State.APPROVED
    terms = "We may discharge your battery."
    terms_version = 1
    applied_at = NOW


class Event(factory_django.DjangoModelFactory[models.Event]):
    """An event of an hour."""

    class Meta:
        model = models.Event

    program = factory.SubFactory(Program)
    name = factory.Sequence(lambda n: f"Event {n}")
    target_kw = decimal.Decimal(5)
    starts_at = datetime.datetime(2026, 7, 16, 21, tzinfo=datetime.UTC)
    ends_at = datetime.datetime(2026, 7, 16, 22, tzinfo=datetime.UTC)
    created_at = NOW


def join(*, program: models.Program, **device: object) -> models.EnrollmentDevice:
    """Return the part of a new device of a new customer who has a wallet and an approved enrollment."""
    customer = customers.Customer.create(utility=program.utility)
    wallets.Wallet.create(customer=customer)
    enrollment = Enrollment.create(program=program, customer=customer)
    part: models.EnrollmentDevice = models.EnrollmentDevice.objects.create(
        enrollment=enrollment, device=ders.Device.create(customer=customer, **device)
    )
    return part
