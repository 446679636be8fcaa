"""Staff put meters behind meters by a form that says what is impossible."""

import datetime
from typing import Any

import pytest
from django import test

from customers import models as customers_models
from meters import models, operations
from openvpp.core import db
from tests.factories import customers


@pytest.fixture
def points(transactional_db: None) -> list[customers_models.ServicePoint]:
    premise = customers.Premise.create()
    return [customers.ServicePoint.create(premise=premise) for _ in range(2)]


def browser(utility: customers_models.Utility, role: str = "billing_analyst") -> test.Client:
    client = test.Client()
    client.force_login(customers.StaffRole.create(utility=utility, role=role).user)
    return client


def sent(parent: Any, child: Any, **changes: Any) -> dict[str, Any]:
    return {
        "parent": parent.pk,
        "child": child.pk,
        "kind": "charger",
        "starts_on": "2026-05-01",
        "ends_on": "",
    } | changes


def test_it_is_put_there_and_ended(points: list[customers_models.ServicePoint]) -> None:
    client = browser(points[0].premise.utility)

    added = client.post("/admin/meters/submeter/add/", sent(*points))

    assert added.status_code == 302, added.content.decode()[:2000]
    row = models.Submeter.objects.get()
    assert (row.parent_id, row.child_id, row.kind) == (points[0].pk, points[1].pk, "charger")
    changed = client.post(f"/admin/meters/submeter/{row.pk}/change/", sent(*points, ends_on="2026-06-01"))
    assert changed.status_code == 302
    row.refresh_from_db()
    assert row.ends_on == datetime.date(2026, 6, 1)
    assert models.Submeter.objects.count() == 1


def test_the_impossible_is_said_on_the_page(points: list[customers_models.ServicePoint]) -> None:
    with db.transaction():
        operations.attach_submeter(
            parent_id=points[0].pk, child_id=points[1].pk, kind="other", starts_on=datetime.date(2026, 1, 1)
        )

    page = browser(points[0].premise.utility).post("/admin/meters/submeter/add/", sent(points[1], points[0]))

    assert page.status_code == 200
    assert "It would stand behind itself." in page.content.decode()
    assert models.Submeter.objects.count() == 1


def test_who_may_not_writes_nothing(points: list[customers_models.ServicePoint]) -> None:
    stranger = customers.Utility.create()

    answers = [
        browser(points[0].premise.utility, "csr").post("/admin/meters/submeter/add/", sent(*points)),
        browser(stranger).post("/admin/meters/submeter/add/", sent(*points)),
        test.Client().post("/admin/meters/submeter/add/", sent(*points)),
    ]

    assert [answer.status_code for answer in answers] == [403, 200, 302]
    assert models.Submeter.objects.count() == 0
