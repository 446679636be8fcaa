"""Meters behind meters: each to its own account, the parent's remainder right, and no guess."""

import datetime
import threading
from typing import Any

import pytest
from django import db as django_db
from rest_framework import test

from customers import models as customers_models
from meters import models, operations, queries
from openvpp.core import db
from tests.factories import customers
from tests.integration.meters.conftest import client
from tests.integration.sharing.conftest import feed, store

DAY = datetime.timedelta(days=1)
FIRST = datetime.date(2026, 5, 1)
NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
SPAN = {
    "starts_at": datetime.datetime(2026, 5, 2, 4, tzinfo=datetime.UTC),
    "ends_at": datetime.datetime(2026, 5, 5, 4, tzinfo=datetime.UTC),
}


@pytest.fixture
def building(transactional_db: None) -> list[customers_models.ServiceAgreement]:
    """A building's meter with its owner's account, and two tenants with theirs."""
    utility = customers.Utility.create()
    made = [customers.ServiceAgreement.create(account__utility=utility) for _ in range(3)]
    for agreement, each in zip(made, (1000, 300, 200), strict=True):
        store(agreement, feed(first=FIRST, days=6, each_wh=each, given_wh=0), at=NOW)
    return made


def attach(parent: Any, child: Any, **changes: Any) -> models.Submeter:
    asked: dict[str, Any] = {"kind": "tenant", "starts_on": FIRST} | changes
    with db.transaction():
        return operations.attach_submeter(parent_id=parent.service_point_id, child_id=child.service_point_id, **asked)


def milli_wh(agreement: Any) -> int:
    read = queries.get_consumption(service_point_id=agreement.service_point_id, **SPAN)
    return int(read.delivered_milli_wh.sum() - read.received_milli_wh.sum())


def test_tenants_leave_the_owners_bill_and_all_adds_up(building: list[Any]) -> None:
    owner, *tenants = building
    whole = milli_wh(owner)
    for tenant in tenants:
        attach(owner, tenant)

    assert milli_wh(owner) == 3 * 96 * 500_000
    assert sum(milli_wh(one) for one in building) == whole
    metered = queries.get_metered_consumption(service_point_id=owner.service_point_id, **SPAN)
    assert int(metered.delivered_milli_wh.sum()) == whole
    many = queries.get_intervals_of_many(service_point_ids=[one.service_point_id for one in building], **SPAN)
    assert int(many[owner.service_point_id][0][1].milli_units.sum()) == 3 * 96 * 500_000
    (day,) = queries.get_daily(
        service_point_id=owner.service_point_id, first=datetime.date(2026, 5, 3), last=datetime.date(2026, 5, 3)
    )
    assert (day.delivered_milli_wh, day.missing, day.intervals) == (96 * 500_000, 0, 96)


def test_bulk_billing_reads_a_parent_by_itself(building: list[Any]) -> None:
    from meters.queries import packed  # noqa: PLC0415

    owner, tenant, other = building
    attach(owner, tenant)
    ids = [one.service_point_id for one in building]

    found = packed.get_whole_multipliers(service_point_ids=ids, first=FIRST, after=FIRST + DAY)

    assert found == {owner.service_point_id: None}
    assert other.service_point_id not in found


def test_where_a_tenant_is_not_read_the_owner_has_a_gap(building: list[Any]) -> None:
    owner, tenant, _ = building
    attach(owner, tenant)
    models.MeterDay.objects.filter(
        channel__service_point_id=tenant.service_point_id, local_date=datetime.date(2026, 5, 3)
    ).delete()

    coverage = queries.get_coverage(service_point_id=owner.service_point_id, **SPAN)

    (gap,) = coverage.gaps
    assert gap.starts_at == datetime.datetime(2026, 5, 3, 4, tzinfo=datetime.UTC)
    assert gap.duration == DAY


def test_only_on_the_days_it_stood_there(building: list[Any]) -> None:
    owner, tenant, _ = building
    attach(owner, tenant, starts_on=datetime.date(2026, 5, 3), ends_on=datetime.date(2026, 5, 4))

    assert milli_wh(owner) == 96 * (1000 + 700 + 1000) * 1000


def test_a_child_may_be_a_parent_itself(building: list[Any]) -> None:
    owner, floor, room = building
    attach(owner, floor)
    attach(floor, room)

    assert [milli_wh(one) for one in building] == [3 * 96 * each * 1000 for each in (700, 100, 200)]


@pytest.mark.parametrize(
    ("links", "code"),
    [
        ([(0, 1), (1, 0)], "cycle"),
        ([(0, 1), (1, 2), (2, 0)], "cycle"),
        ([(0, 1), (2, 1)], "behind_another"),
        ([(0, 0)], "not_two_points"),
    ],
)
def test_impossible_trees_are_refused(building: list[Any], links: list[tuple[int, int]], code: str) -> None:
    for parent, child in links[:-1]:
        attach(building[parent], building[child])
    before = models.Submeter.objects.count()

    with pytest.raises(operations.UnableToAttachSubmeter) as refused:
        attach(building[links[-1][0]], building[links[-1][1]])

    assert refused.value.code == code
    assert models.Submeter.objects.count() == before


def test_another_utilitys_point_is_refused(building: list[Any]) -> None:
    with pytest.raises(operations.UnableToAttachSubmeter) as refused:
        attach(building[0], customers.ServiceAgreement.create())

    assert refused.value.code == "not_two_points"


def test_two_at_once_make_no_cycle(building: list[Any]) -> None:
    outcomes: list[str] = []

    def run(parent: Any, child: Any) -> None:
        try:
            attach(parent, child)
            outcomes.append("attached")
        except operations.UnableToAttachSubmeter as error:
            outcomes.append(error.code)
        finally:
            django_db.connection.close()

    threads = [
        threading.Thread(target=run, args=pair) for pair in ((building[0], building[1]), (building[1], building[0]))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["attached", "cycle"]


def test_tree_is_told_to_whom_it_concerns(building: list[Any]) -> None:
    owner, tenant, _ = building
    attach(owner, tenant)
    people = [customers.AccountAccess.create(account=one.account).customer.user for one in building[:2]]
    csr = customers.StaffRole.create(utility=owner.account.utility).user
    address = "/api/v1/usage/tree/"
    asked = {"service_point": owner.service_point_id, "on": "2026-05-03"}

    of_owner, of_csr = (client(user=one, scope="usage:read").get(address, asked).json() for one in (people[0], csr))

    (child,) = of_owner["children"]
    assert (child["number"], child["kind"], child["is_visible"]) == (tenant.service_point.number, "tenant", False)
    assert of_csr["children"][0]["is_visible"] is True
    assert client(user=people[1], scope="usage:read").get(address, asked).status_code == 404
    assert client(user=customers.Customer.create().user, scope="usage:read").get(address, asked).status_code == 404
    assert client(user=people[0], scope="bills:read").get(address, asked).status_code == 403
    assert test.APIClient().get(address, asked).status_code == 401
    assert client(user=csr, scope="usage:read").get(address, asked | {"on": "x"}).status_code == 400
    before = client(user=csr, scope="usage:read").get(address, asked | {"on": "2026-04-30"}).json()
    assert before["children"] == []
    own = {"service_point": tenant.service_point_id, "from": "2026-05-02", "to": "2026-05-05"}
    assert client(user=people[1], scope="usage:read").get("/api/v1/usage/", own).json()["results"]
    assert client(user=people[0], scope="usage:read").get("/api/v1/usage/", own).status_code == 404
