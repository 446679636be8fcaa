"""Utilities, people, accounts and service, as small as they may be."""

# mypy: disable-error-code="attr-defined,no-untyped-call"

import datetime
import secrets
from typing import Any

import factory
from allauth.account import models as account_models
from eth_utils import address as eth_address
from factory import django as factory_django

from customers import models, operations


def address() -> str:
    """Return a new address, checksummed as the database returns it."""
    return str(eth_address.to_checksum_address(secrets.token_bytes(20)))


class Utility(factory_django.DjangoModelFactory[models.Utility]):
    class Meta:
        model = models.Utility

    slug = factory.Sequence(lambda n: f"utility-{n}")
    name = factory.Sequence(lambda n: f"Utility {n}")
    time_zone = "America/New_York"
    currency = "USD"
    chain_id = 31337
    treasury_address = factory.LazyFunction(address)


class AcceptedToken(factory_django.DjangoModelFactory[models.AcceptedToken]):
    """A stablecoin of six decimals that pays bills and fees of at most one dollar."""

    class Meta:
        model = models.AcceptedToken

    utility = factory.SubFactory(Utility)
    address = factory.LazyFunction(address)
    symbol = "USDX"
    decimals = 6
    pays_bills = True
    pays_fees = True
    fee_cap_units = 1_000_000


class User(factory_django.DjangoModelFactory[models.User]):
    class Meta:
        model = models.User
        skip_postgeneration_save = True

    email = factory.Sequence(lambda n: f"person{n}@example.com")
    name = factory.Sequence(lambda n: f"Person {n}")
    password = factory_django.Password("correct horse battery")

    @factory.post_generation
    def known_address(self, create: bool, extracted: object, **_: object) -> None:
        """Have the address be theirs beyond doubt."""
        if create:
            account_models.EmailAddress.objects.create(user=self, email=self.email, verified=True, primary=True)


class StaffUser(User):
    is_staff = True


class StaffRole(factory_django.DjangoModelFactory[models.StaffRole]):
    class Meta:
        model = models.StaffRole

    user = factory.SubFactory(StaffUser)
    utility = factory.SubFactory(Utility)
    role = models.StaffRole.Role.CSR


class Customer(factory_django.DjangoModelFactory[models.Customer]):
    """A person at a utility, who also signs in."""

    class Meta:
        model = models.Customer

    utility = factory.SubFactory(Utility)
    user = factory.SubFactory(User)
    name = factory.Sequence(lambda n: f"Customer {n}")


class CustomerAccount(factory_django.DjangoModelFactory[models.CustomerAccount]):
    class Meta:
        model = models.CustomerAccount

    utility = factory.SubFactory(Utility)
    number = factory.Sequence(lambda n: f"ACC-{n:06d}")
    opened_on = datetime.date(2024, 1, 1)


class AccountAccess(factory_django.DjangoModelFactory[models.AccountAccess]):
    """A holder of an account, both at the same utility."""

    class Meta:
        model = models.AccountAccess

    account = factory.SubFactory(CustomerAccount)
    customer = factory.SubFactory(Customer, utility=factory.SelfAttribute("..account.utility"))
    role = models.AccountAccess.Role.HOLDER


class Premise(factory_django.DjangoModelFactory[models.Premise]):
    class Meta:
        model = models.Premise

    utility = factory.SubFactory(Utility)
    street = factory.Sequence(lambda n: f"{n} Quay Street")
    city = "Harborview"
    region = "ME"
    postal_code = "04101"


class ServicePoint(factory_django.DjangoModelFactory[models.ServicePoint]):
    class Meta:
        model = models.ServicePoint

    premise = factory.SubFactory(Premise)
    number = factory.Sequence(lambda n: f"SP-{n:06d}")


class ServiceAgreement(factory_django.DjangoModelFactory[models.ServiceAgreement]):
    """Service at a point of the account's own utility."""

    class Meta:
        model = models.ServiceAgreement

    account = factory.SubFactory(CustomerAccount)
    service_point = factory.SubFactory(ServicePoint, premise__utility=factory.SelfAttribute("...account.utility"))
    tariff_code = "RES"
    starts_on = datetime.date(2024, 1, 1)


class MeterInstallation(factory_django.DjangoModelFactory[models.MeterInstallation]):
    class Meta:
        model = models.MeterInstallation

    service_point = factory.SubFactory(ServicePoint)
    serial = factory.Sequence(lambda n: f"M{n:08d}")
    starts_on = datetime.date(2024, 1, 1)


def claimable_account(*, proof: str, **kwargs: Any) -> models.CustomerAccount:
    """Return an account that whoever shows `proof` may claim."""
    account: models.CustomerAccount = CustomerAccount.create(claim_proof=operations.hash_proof(proof=proof), **kwargs)
    return account
