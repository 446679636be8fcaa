"""Providers and devices, as small as they may be."""

# mypy: disable-error-code="attr-defined,no-untyped-call"

import datetime
import decimal

import factory
from factory import django as factory_django

from ders import models
from tests.factories import customers

NOW = datetime.datetime(2026, 7, 1, 12, tzinfo=datetime.UTC)


class Provider(factory_django.DjangoModelFactory[models.Provider]):
    class Meta:
        model = models.Provider

    utility = factory.SubFactory(customers.Utility)
    slug = factory.Sequence(lambda n: f"provider-{n}")
    name = factory.Sequence(lambda n: f"Provider {n}")
    base_url = "http://127.0.0.1:9/provider"


class Device(factory_django.DjangoModelFactory[models.Device]):
    """A connected battery of 5 kW and 13.5 kWh; its provider serves its customer's utility."""

    class Meta:
        model = models.Device

    customer = factory.SubFactory(customers.Customer)
    provider = factory.SubFactory(Provider, utility=factory.SelfAttribute("..customer.utility"))
    provider_device_id = factory.Sequence(lambda n: f"battery-{n}")
    name = factory.Sequence(lambda n: f"Battery {n}")
    kind = models.Device.Kind.BATTERY
    power_kw = decimal.Decimal("5.000")
    energy_kwh = decimal.Decimal("13.500")
    state = models.Device.State.CONNECTED
    created_at = factory.Sequence(lambda n: NOW + datetime.timedelta(seconds=n))


class Command(factory_django.DjangoModelFactory[models.Command]):
    """A queued command for an hour that begins five minutes after it was asked for."""

    class Meta:
        model = models.Command

    device = factory.SubFactory(Device)
    key = factory.Sequence(lambda n: f"command-{n}")
    power_kw = decimal.Decimal("2.500")
    created_at = NOW
    starts_at = NOW + datetime.timedelta(minutes=15)
    ends_at = NOW + datetime.timedelta(minutes=75)
    expires_at = NOW + datetime.timedelta(minutes=75)
