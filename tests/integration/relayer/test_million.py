"""A million operations in the table: staff's pages and the scrape answer as ever."""

import datetime
import time

import pytest
from django import db as django_db
from django import test
from django.urls import reverse

from customers import models as customer_models
from openvpp.core import clock
from relayer import models
from relayer.usecases import count_up
from tests.factories import customers
from tests.factories import relayer as rows

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.drill]

ROWS = 1_000_000
LONGEST_S = 0.5
# What no index knows, looked for among all of them.
LONGEST_THROUGH_ALL_S = 3.0


def fill(template: models.UserOperation) -> None:
    """Copy an operation a million times, one a second, one in a thousand failed."""
    varied = {
        "hash": "decode(md5(n::text) || md5((-n)::text), 'hex')",
        "sender": "decode(substr(md5((n / 20)::text), 1, 8) || repeat('ab', 16), 'hex')",
        "created_at": "now() - n * interval '1 second'",
        "state": "CASE WHEN n %% 1000 = 0 THEN 'failed' ELSE 'succeeded' END",
        "call_data": r"'\x'::bytea",
    }
    columns = [str(field.column) for field in models.UserOperation._meta.concrete_fields]
    chosen = ", ".join(varied.get(name, name) for name in columns)
    with django_db.connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute(
            f"INSERT INTO relayer_useroperation ({', '.join(columns)}) "
            f"SELECT {chosen} FROM relayer_useroperation, generate_series(1, {ROWS}) AS n WHERE hash = %s",
            [bytes.fromhex(str(template.hash)[2:])],
        )
        cursor.execute("ANALYZE relayer_useroperation")
        cursor.execute("RESET statement_timeout")


def test_pages_and_metrics_answer_as_ever() -> None:
    utility = customers.Utility.create()
    fill(rows.make_operation(utility=utility))
    rows.make_operation(utility=utility)
    operator = customers.User.create(is_staff=True, is_superuser=True)
    csr = customers.User.create(is_staff=True)
    customer_models.StaffRole.objects.create(user=csr, utility=utility, role="csr")
    some = models.UserOperation.objects.order_by("created_at")[1234]
    address = reverse("admin:relayer_useroperation_changelist")
    long_ago = (clock.get_now() - datetime.timedelta(days=10)).date().isoformat()
    taken: dict[str, float] = {}
    for name, person in (("operator", operator), ("staff", csr)):
        browser = test.Client()
        browser.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
        deep = browser.get(address, {"until": long_ago}).context["next"]
        assert deep
        asked = {
            "first page": address,
            "deep page": address + deep,
            "failed": f"{address}?state=failed",
            "queued": f"{address}?state=queued",
            "utility": f"{address}?utility={utility.pk}",
            "none like it": f"{address}?validation=traced",
            "hash": f"{address}?q={some.hash}",
            "sender": f"{address}?q={some.sender}",
            "operation": reverse("admin:relayer_useroperation_change", args=[some.hash]),
        }
        for what, page in asked.items():
            began = time.perf_counter()
            assert browser.get(page).status_code == 200, what
            taken[f"{name}: {what}"] = time.perf_counter() - began
    began = time.perf_counter()
    assert test.Client().get("/metrics").status_code == 200
    taken["metrics"] = time.perf_counter() - began
    began = time.perf_counter()
    count_up.fold(now=clock.get_now())
    taken["fold"] = time.perf_counter() - began
    through_all = [taken.pop(f"{name}: none like it") for name in ("operator", "staff")]
    assert max(taken.values()) < LONGEST_S, taken
    assert max(through_all) < LONGEST_THROUGH_ALL_S, through_all
