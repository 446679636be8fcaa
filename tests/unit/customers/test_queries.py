"""What other apps are told of accounts and service."""

import datetime
import zoneinfo
from typing import Any

import pytest

from customers import models, queries
from openvpp.core import errors, period
from tests.factories import customers

pytestmark = pytest.mark.django_db

ZONE = zoneinfo.ZoneInfo("America/New_York")


def test_service_at_counts_local_days_half_open() -> None:
    account = customers.CustomerAccount.create()
    first = customers.ServiceAgreement.create(
        account=account, starts_on=datetime.date(2026, 1, 1), ends_on=datetime.date(2026, 3, 8)
    )
    second = customers.ServiceAgreement.create(account=account, starts_on=datetime.date(2026, 3, 8))
    before = period.day_period(day=datetime.date(2026, 3, 7), zone=ZONE)
    changeover = period.day_period(day=datetime.date(2026, 3, 8), zone=ZONE)
    both = period.month_period(year=2026, month=3, zone=ZONE)
    assert queries.service_at(account_id=account.pk, period=before) == [first]
    assert changeover.duration == datetime.timedelta(hours=23)
    assert queries.service_at(account_id=account.pk, period=changeover) == [second]
    assert queries.service_at(account_id=account.pk, period=both) == [first, second]
    autumn = period.day_period(day=datetime.date(2026, 11, 1), zone=ZONE)
    assert autumn.duration == datetime.timedelta(hours=25)
    assert queries.service_at(account_id=account.pk, period=autumn) == [second]


def test_users_of_account_are_active_and_have_the_role() -> None:
    holder = customers.AccountAccess.create()
    viewer = customers.AccountAccess.create(account=holder.account, role=models.AccountAccess.Role.VIEWER)
    customers.AccountAccess.create(account=holder.account, customer__user__is_active=False)
    customers.AccountAccess.create(account=holder.account, customer__user=None)
    customers.AccountAccess.create()
    account_id = holder.account_id
    assert queries.users_of_account(account_id=account_id) == [holder.customer.user, viewer.customer.user]
    assert queries.users_of_account(account_id=account_id, roles=["holder", "payer"]) == [holder.customer.user]


def test_another_customers_account_is_not_found() -> None:
    mine, theirs = customers.AccountAccess.create(), customers.AccountAccess.create()
    person: Any = mine.customer.user
    assert queries.get_account(user=person, account_id=mine.account_id) == mine.account
    with pytest.raises(errors.NotFound):
        queries.get_account(user=person, account_id=theirs.account_id)
    assert queries.people_of_account(account_id=mine.account_id)[person.pk] == "holder"
    assert person.pk not in queries.people_of_account(account_id=theirs.account_id)


def test_roles_hold_at_their_utility_only() -> None:
    role = customers.StaffRole.create(role="csr")
    elsewhere = customers.Utility.create()
    assert queries.has_role(user=role.user, utility_id=role.utility_id, roles={"csr", "auditor"})
    assert not queries.has_role(user=role.user, utility_id=role.utility_id, roles={"auditor"})
    assert not queries.has_role(user=role.user, utility_id=elsewhere.pk, roles={"csr"})
    assert list(queries.get_staff_utilities(user=role.user)) == [role.utility]
    role.user.is_active = False
    assert not queries.has_role(user=role.user, utility_id=role.utility_id, roles={"csr"})
