"""What the desk shows: rows of the utilities at whose desk the person works, and no others."""

import dataclasses
from typing import Any

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet

from billing import queries as billing
from customers import models as customer_models
from ders import models as der_models
from meters import queries as meters
from notifications import queries as notifications
from openvpp.core import admin as tenant_admin
from openvpp.core import errors
from programs import models as program_models
from wallets import models as wallet_models
from wallets import queries as wallets

Roles = tenant_admin.Roles
MAY_OPEN = frozenset({Roles.CSR, Roles.BILLING_ANALYST, Roles.AUDITOR, Roles.ADMINISTRATOR})
SHORTEST_SEARCH = 2
LONGEST_SEARCH = 100
MOST_FOUND = 25
MOST_ROWS = 12
MOST_PLOTS = 3


def may_open(user: Any) -> bool:
    """Say whether a person works at some utility's desk."""
    if not user.is_active or not user.is_staff:
        return False
    return bool(user.is_superuser or user.staff_roles.filter(role__in=MAY_OPEN).exists())


def get_customers(*, user: customer_models.User) -> "QuerySet[Any]":
    """Return the customers of the utilities at whose desk this person works."""
    rows: QuerySet[Any] = customer_models.Customer.objects.select_related("utility", "user")
    if user.is_superuser:
        return rows
    return rows.filter(utility__in=user.staff_roles.filter(role__in=MAY_OPEN).values("utility_id"))


def search(*, user: customer_models.User, text: str) -> "QuerySet[Any]":
    """Return customers whose name, e-mail, account number or meter serial is like `text`; one more than is shown."""
    wanted = text.strip()[:LONGEST_SEARCH]
    if len(wanted) < SHORTEST_SEARCH:
        return get_customers(user=user).none()
    accesses = customer_models.AccountAccess.objects.filter(customer=OuterRef("pk"))
    numbered = Q(account__number__istartswith=wanted)
    metered = Q(account__agreements__service_point__meters__serial__istartswith=wanted)
    named = Q(name__icontains=wanted) | Q(email__icontains=wanted) | Q(user__email__icontains=wanted)
    return (
        get_customers(user=user)
        .filter(named | Q(Exists(accesses.filter(numbered | metered))))
        .prefetch_related(Prefetch("accesses", accesses_with_places()))
        .order_by("name", "pk")[: MOST_FOUND + 1]
    )


def accesses_with_places() -> "QuerySet[Any]":
    """Return accesses with their accounts, where these take service, and the meters there."""
    return customer_models.AccountAccess.objects.select_related("account__utility").prefetch_related(
        "account__agreements__service_point__premise", "account__agreements__service_point__meters"
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account on the page. `owed_cents` is negative when it is in credit."""

    access: customer_models.AccountAccess
    owed_cents: int
    bills: list[Any]
    payments: list[Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """Everything the page shows of one customer, the latest first; `balances` is None when the chain is away."""

    customer: customer_models.Customer
    accounts: list[Account]
    wallet: wallet_models.Wallet | None
    balances: wallets.Balances | None
    operations: list[Any]
    grants: list[Any]
    notices: list[Any]
    devices: list[Any]
    enrollments: list[Any]
    plotted_points: list[customer_models.ServicePoint]


class UnableToOpenFile(errors.NotFound):
    """There is no such customer at this person's desk."""


def open_file(*, user: customer_models.User, customer_id: int) -> File:
    """Return a customer's file.

    :raises UnableToOpenFile: another utility's customer, or nobody's.
    """
    customer = get_customers(user=user).filter(pk=customer_id).first()
    if customer is None:
        raise UnableToOpenFile("There is no such customer.", code="not_found")
    accesses = list(accesses_with_places().filter(customer=customer).order_by("account__number"))
    wallet = wallets.get_wallet_of(customer)
    points = {
        agreement.service_point_id: agreement.service_point
        for access in accesses
        for agreement in access.account.agreements.all()
    }
    return File(
        customer=customer,
        accounts=[_account(access) for access in accesses],
        wallet=wallet,
        balances=_balances(wallet),
        operations=list(wallets.get_operations_of(wallet=wallet, most=MOST_ROWS)) if wallet else [],
        grants=_grants(wallet),
        notices=_notices(customer),
        devices=list(der_models.Device.objects.filter(customer=customer).order_by("-created_at", "pk")[:MOST_ROWS]),
        enrollments=list(
            program_models.Enrollment.objects.filter(customer=customer)
            .select_related("program")
            .order_by("-applied_at")[:MOST_ROWS]
        ),
        plotted_points=[point for point in points.values() if meters.get_extent(service_point_id=point.pk) is not None][
            :MOST_PLOTS
        ],
    )


def _account(access: customer_models.AccountAccess) -> Account:
    account = access.account
    return Account(
        access=access,
        owed_cents=billing.get_owed_cents(account_id=account.pk, currency=account.utility.currency),
        bills=list(billing.get_bills_of(account=account, most=MOST_ROWS)),
        payments=list(billing.get_payments_of(account=account, most=MOST_ROWS)),
    )


def _balances(wallet: wallet_models.Wallet | None) -> wallets.Balances | None:
    if wallet is None:
        return None
    try:
        return wallets.get_balances(wallet=wallet)
    except (errors.Unreachable, errors.Refused):
        return None


def _grants(wallet: wallet_models.Wallet | None) -> list[Any]:
    if wallet is None:
        return []
    return list(wallet.grants.select_related("application").order_by("-created_at", "-pk")[:MOST_ROWS])


def _notices(customer: customer_models.Customer) -> list[Any]:
    if customer.user_id is None:
        return []
    return list(
        notifications.get_recent_notices(user_ids=[customer.user_id], utility_id=customer.utility_id, most=MOST_ROWS)
    )
