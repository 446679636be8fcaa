"""What other apps may ask about utilities, people, accounts and the service they take."""

import datetime
import uuid
import zoneinfo
from collections.abc import Collection

from django.contrib.sessions import models as session_models
from django.contrib.sessions.backends import base
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from customers import models
from openvpp.core import db, errors, sql
from openvpp.core import period as periods

SIGN_IN = "sign_in"
"""Under which name a session carries the id of its sign-in."""


def get_sign_ins(*, user: models.User, now: datetime.datetime) -> "QuerySet[models.SignIn]":
    """Return the devices on which a person is signed in, the one seen last first."""
    living = session_models.Session.objects.filter(expire_date__gt=now).values("session_key")
    rows = models.SignIn.objects.filter(user=user, ended_at__isnull=True, session_digest__in=living)
    return rows.order_by("-last_seen_at", "pk")


def get_sign_in_of(*, session: base.SessionBase) -> models.SignIn | None:
    """Return the sign-in that a session is, or None."""
    named = session.get(SIGN_IN)
    found: models.SignIn | None = models.SignIn.objects.filter(pk=named).first() if named else None
    return found


class UnableToHoldSignIn(errors.UnableTo):
    """The device was signed out."""


@db.transaction_required
def hold_sign_in(*, sign_in_id: uuid.UUID) -> None:
    """Keep a sign-in from being ended until the open transaction ends, so that what is given there ends with it.

    :raises UnableToHoldSignIn: it has ended already.
    """
    held = models.SignIn.objects.select_for_update(of=("self",), no_key=True).filter(pk=sign_in_id).first()
    if held is None or held.ended_at is not None:
        raise UnableToHoldSignIn(_("You were signed out meanwhile. Nothing was allowed."), code="signed_out")


def get_utility(*, slug: str) -> models.Utility:
    """Return a utility by its slug.

    :raises errors.NotFound: there is none.
    """
    utility: models.Utility | None = models.Utility.objects.filter(slug=slug).first()
    if utility is None:
        raise errors.NotFound("There is no such utility.", code="not_found")
    return utility


def get_staff_utilities(*, user: models.User) -> "models.TenantQuerySet":
    """Return the utilities where a person has a staff role; all of them for an operator of the installation."""
    return models.Utility.objects.for_staff(user).order_by("name")


def has_role(*, user: models.User, utility_id: int, roles: Collection[str]) -> bool:
    """Say whether a person holds one of these staff roles at a utility; an operator of the installation holds all."""
    if not user.is_active:
        return False
    if user.is_superuser:
        return True
    rows = models.StaffRole.objects.filter(user=user, utility_id=utility_id, role__in=roles)
    return bool(rows.exists())


def get_user_accounts(*, user: models.User) -> "models.TenantQuerySet":
    """Return the accounts that a person may open as a customer."""
    return (
        models.CustomerAccount.objects.for_customer(user).select_related("utility").order_by("utility__name", "number")
    )


def get_account(*, user: models.User, account_id: int) -> models.CustomerAccount:
    """Return one of a person's own accounts.

    :raises errors.NotFound: there is none, or it is not theirs.
    """
    account: models.CustomerAccount | None = get_user_accounts(user=user).filter(pk=account_id).first()
    if account is None:
        raise errors.NotFound("There is no such account.", code="not_found")
    return account


def get_customer_of(*, user: models.User, utility_id: int) -> models.Customer | None:
    """Return a person as a utility knows them, or None."""
    found: models.Customer | None = models.Customer.objects.filter(user=user, utility_id=utility_id).first()
    return found


def users_of_account(*, account_id: int, roles: Collection[str] | None = None) -> list[models.User]:
    """Return the active people who may open an account, all of them or those of some roles, each once."""
    accesses = Q(customers__accesses__account_id=account_id)
    if roles is not None:
        accesses &= Q(customers__accesses__role__in=roles)
    return list(models.User.objects.filter(accesses, is_active=True).distinct().order_by("pk"))


def people_of_account(*, account_id: int) -> dict[int, str]:
    """Return the ids of the active people who may open an account, and what each may do (`AccountAccess.Role`)."""
    return dict(_PEOPLE.all(account_id=account_id))


_PEOPLE = sql.Read(
    lambda: (
        models.AccountAccess.objects.filter(account_id=sql.Slot("account_id"), customer__user__is_active=True)
        .order_by("customer__user_id", "-pk")
        .values_list("customer__user_id", "role")
    )
)


def service_at(*, account_id: int, period: periods.Period) -> list[models.ServiceAgreement]:
    """Return the agreements under which an account takes service in any part of a period.

    The period's instants are read as local days of the utility's zone; the day on which it ends counts only if the
    period reaches into it.
    """
    account = models.CustomerAccount.objects.select_related("utility").get(pk=account_id)
    zone = zoneinfo.ZoneInfo(account.utility.time_zone)
    first = period.starts_at.astimezone(zone).date()
    last = (period.ends_at.astimezone(zone) - datetime.timedelta(microseconds=1)).date()
    return list(
        models.ServiceAgreement.objects.filter(account_id=account_id, starts_on__lte=last)
        .filter(Q(ends_on__isnull=True) | Q(ends_on__gt=first))
        .select_related("service_point__premise", "account__utility")
        .order_by("starts_on", "pk")
    )


def get_meter_at(*, service_point_id: int, day: datetime.date) -> models.MeterInstallation | None:
    """Return the meter that stood at a service point on a local day, or None."""
    found: models.MeterInstallation | None = (
        models.MeterInstallation.objects.filter(service_point_id=service_point_id, starts_on__lte=day)
        .filter(Q(ends_on__isnull=True) | Q(ends_on__gt=day))
        .order_by("-starts_on", "-pk")
        .first()
    )
    return found


def get_bill_tokens(*, utility_id: int) -> list[models.AcceptedToken]:
    """Return the tokens in which a utility takes its bills, the preferred one first."""
    return list(models.AcceptedToken.objects.filter(utility_id=utility_id, pays_bills=True).order_by("pk"))


def get_fee_tokens(*, utility_id: int) -> list[models.AcceptedToken]:
    """Return the tokens in which a utility takes network fees, the preferred one first."""
    return list(models.AcceptedToken.objects.filter(utility_id=utility_id, pays_fees=True).order_by("pk"))


def lock_accounts(*, account_ids: Collection[int]) -> dict[int, models.CustomerAccount]:
    """Lock accounts in the order of their ids until the transaction ends, and return them by id."""
    rows = models.CustomerAccount.objects.filter(pk__in=account_ids).order_by("pk").select_for_update(no_key=True)
    return {row.pk: row for row in rows}


def users_of_accounts(*, account_ids: Collection[int]) -> dict[int, list[int]]:
    """Return the ids of the active people who may open each account, each once; accounts without any are absent."""
    rows = models.AccountAccess.objects.filter(account_id__in=account_ids, customer__user__is_active=True)
    found: dict[int, list[int]] = {}
    for account_id, user_id in rows.values_list("account_id", "customer__user_id").distinct():
        found.setdefault(account_id, []).append(user_id)
    return found


def lock_account(*, account_id: int) -> models.CustomerAccount:
    """Lock an account until the transaction ends and return it.

    :raises errors.NotFound: there is none.
    """
    account: models.CustomerAccount | None = (
        models.CustomerAccount.objects.select_for_update(no_key=True).filter(pk=account_id).first()
    )
    if account is None:
        raise errors.NotFound("There is no such account.", code="not_found")
    return account
