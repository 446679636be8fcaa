"""Writes that other apps, the seed and the tests may ask for."""

import datetime
import decimal
import zoneinfo

from allauth.account import models as account_models
from allauth.mfa import models as mfa_models
from allauth.socialaccount import models as social_models
from django.contrib.auth import hashers
from django.contrib.sessions import models as session_models
from django.db.models import Exists, F, OuterRef, Q

from customers import models
from customers.domain import proofs
from openvpp.core import db, upcalls


@db.transaction_required
def register_customer(
    *, utility_id: int, name: str, email: str = "", phone: str = "", user: models.User | None = None
) -> models.Customer:
    """Write a person into a utility's books, with or without a sign-in of theirs."""
    customer: models.Customer = models.Customer.objects.create(
        utility_id=utility_id, name=name, email=email, phone=phone, user=user
    )
    return customer


@db.transaction_required
def open_account(
    *, utility_id: int, number: str, opened_on: datetime.date, holder: models.Customer | None = None, proof: str = ""
) -> models.CustomerAccount:
    """Open an account; `proof` is what its holder shows besides the number to claim it, kept as a hash."""
    account: models.CustomerAccount = models.CustomerAccount.objects.create(
        utility_id=utility_id, number=number, opened_on=opened_on, claim_proof=hash_proof(proof=proof) if proof else ""
    )
    if holder is not None:
        grant_access(customer=holder, account=account, role=models.AccountAccess.Role.HOLDER)
    return account


@db.transaction_required
def grant_access(*, customer: models.Customer, account: models.CustomerAccount, role: str) -> models.AccountAccess:
    """Let a customer do with an account what `role` says, in place of what they could do before.

    :raises ValueError: the two belong to different utilities.
    """
    if customer.utility_id != account.utility_id:
        raise ValueError("Customer and account belong to different utilities.")
    access: models.AccountAccess
    access, _ = models.AccountAccess.objects.update_or_create(
        customer=customer, account=account, defaults={"role": role}
    )
    return access


@db.transaction_required
def add_premise(
    *, utility_id: int, street: str, city: str, region: str, postal_code: str, country: str = "US"
) -> models.Premise:
    """Add a place that is served."""
    premise: models.Premise = models.Premise.objects.create(
        utility_id=utility_id, street=street, city=city, region=region, postal_code=postal_code, country=country
    )
    return premise


@db.transaction_required
def add_service_point(*, premise: models.Premise, number: str) -> models.ServicePoint:
    """Add a point where energy is delivered at a premise."""
    point: models.ServicePoint = models.ServicePoint.objects.create(premise=premise, number=number)
    return point


@db.transaction_required
def add_service(
    *,
    account: models.CustomerAccount,
    service_point: models.ServicePoint,
    tariff_code: str,
    starts_on: datetime.date,
    ends_on: datetime.date | None = None,
) -> models.ServiceAgreement:
    """Let an account take service at a point under a tariff, on the local days `[starts_on, ends_on)`.

    :raises ValueError: the two belong to different utilities.
    """
    if service_point.premise.utility_id != account.utility_id:
        raise ValueError("Account and service point belong to different utilities.")
    agreement: models.ServiceAgreement = models.ServiceAgreement.objects.create(
        account=account, service_point=service_point, tariff_code=tariff_code, starts_on=starts_on, ends_on=ends_on
    )
    return agreement


@db.transaction_required
def install_meter(
    *,
    service_point: models.ServicePoint,
    serial: str,
    starts_on: datetime.date,
    multiplier: decimal.Decimal = decimal.Decimal(1),
) -> models.MeterInstallation:
    """Stand a meter at a service point; what it reads times `multiplier` is energy."""
    installation: models.MeterInstallation = models.MeterInstallation.objects.create(
        service_point=service_point, serial=serial, starts_on=starts_on, multiplier=multiplier
    )
    return installation


@db.transaction_required
def accept_token(
    *,
    utility_id: int,
    address: str,
    symbol: str,
    decimals: int,
    pays_bills: bool,
    pays_fees: bool,
    fee_cap_units: int,
) -> models.AcceptedToken:
    """Take a token for bills, for fees, or for both; one that is taken keeps its terms, which two people change.

    `fee_cap_units` is the most network fee per payment that customers' grants allow in it, in base units.
    """
    token: models.AcceptedToken
    named = {"symbol": symbol, "decimals": decimals}
    token, _ = models.AcceptedToken.objects.update_or_create(
        utility_id=utility_id,
        address=address,
        defaults=named,
        create_defaults={
            **named,
            "pays_bills": pays_bills,
            "pays_fees": pays_fees,
            "fee_cap_units": fee_cap_units,
        },
    )
    return token


@db.transaction_required
def add_staff(*, user: models.User, utility_id: int, role: str) -> models.StaffRole:
    """Give a person a role at a utility and the door to the admin."""
    models.User.objects.filter(pk=user.pk, is_staff=False).update(is_staff=True)
    staff_role: models.StaffRole
    staff_role, _ = models.StaffRole.objects.get_or_create(user=user, utility_id=utility_id, role=role)
    return staff_role


def hash_proof(*, proof: str) -> str:
    """Return what is stored of the second proof with which a person claims an account."""
    return hashers.make_password(proofs.normalize(proof))


@db.durable
def sign_out_everywhere(*, user: models.User, now: datetime.datetime) -> None:
    """Put out everybody who is signed in as a person: every session, token and leave to spend, in one transaction."""
    with db.transaction():
        models.User.objects.filter(pk=user.pk).update(session_epoch=F("session_epoch") + 1)
        models.SignIn.objects.filter(user=user, ended_at__isnull=True).update(ended_at=now)
        upcalls.call(event="customers.access_ended", user_id=user.pk, now=now)


@db.transaction_required
def forget_sign_ins(*, before: datetime.datetime) -> None:
    """Delete what is known of devices that were seen before and whose session is over."""
    living = session_models.Session.objects.filter(session_key=OuterRef("session_digest"))
    models.SignIn.objects.filter(~Exists(living), last_seen_at__lt=before).delete()


@db.transaction_required
def erase(*, customer_id: int, now: datetime.datetime) -> None:
    """Part a person from what a utility knows of them, and forget them where nothing else needs them.

    A customer who still takes service keeps their name and address with the utility, whose contract they are part of.
    Accounts, bills and books stay, under the account's number. A sign-in that belongs to no other customer and no staff
    is emptied: nobody can use it, and it names nobody.
    """
    customer = models.Customer.objects.select_related("user", "utility").get(pk=customer_id)
    user = customer.user
    today = now.astimezone(zoneinfo.ZoneInfo(customer.utility.time_zone)).date()
    accounts = models.CustomerAccount.objects.filter(
        accesses__customer=customer, accesses__role=models.AccountAccess.Role.HOLDER
    )
    serves = models.ServiceAgreement.objects.filter(account__in=accounts).filter(
        Q(ends_on__isnull=True) | Q(ends_on__gt=today)
    )
    customer.user = None
    if not serves.exists():
        customer.name, customer.email, customer.phone = "Closed account", "", ""
        models.CustomerAccount.objects.filter(pk__in=accounts.values("pk"), closed_on__isnull=True).update(
            closed_on=today
        )
    customer.save(update_fields=["user", "name", "email", "phone"])
    if user is None or user.customers.exists() or user.staff_roles.exists() or user.is_superuser:
        return
    models.SignIn.objects.filter(user=user).delete()
    account_models.EmailAddress.objects.filter(user=user).delete()
    mfa_models.Authenticator.objects.filter(user=user).delete()
    social_models.SocialAccount.objects.filter(user=user).delete()
    user.email, user.name, user.is_active = f"closed-{user.pk}@account.invalid", "", False
    user.set_unusable_password()
    user.save(update_fields=["email", "name", "is_active", "password"])
    upcalls.call(event="customers.access_ended", user_id=user.pk, now=now)
