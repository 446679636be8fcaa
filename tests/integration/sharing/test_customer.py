"""The customer's list of whom they share with, with four callers; and the registration of third parties."""

import io
import json
from typing import Any

import pytest
from django import test
from django.core import management
from rest_framework import test as rest_test

from customers import models as customers_models
from sharing import models
from sharing.usecases import register_third_party
from tests.factories import customers
from tests.integration.meters.conftest import client
from tests.integration.sharing.conftest import Watt, register
from wallets import models as wallets_models


def test_customer_sees_their_own_and_others_see_none(watt: Watt, holder: customers_models.User) -> None:
    watt.tokens_of(holder)
    authorization = models.Authorization.objects.get()

    (row,) = client(user=holder, scope="sharing:read").get("/api/v1/data-sharing/").json()["results"]

    assert row["id"] == str(authorization.pk)
    assert (row["third_party"], row["is_live"], row["ended_at"]) == ("Watt Advisor", True, None)
    assert row["shown_text"] == authorization.shown_text
    csr = customers.StaffRole.create(utility=authorization.third_party.utility).user
    for stranger in (customers.Customer.create().user, csr):
        assert client(user=stranger, scope="sharing:read").get("/api/v1/data-sharing/").json()["results"] == []


def test_who_may_not_ends_nothing(watt: Watt, holder: customers_models.User) -> None:
    watt.tokens_of(holder)
    authorization = models.Authorization.objects.get()
    address = f"/api/v1/data-sharing/{authorization.pk}/"
    csr = customers.StaffRole.create(utility=authorization.third_party.utility).user
    browser = test.Client()
    browser.force_login(csr)

    answers = [
        rest_test.APIClient().delete(address),
        client(user=holder, scope="sharing:read").delete(address),
        client(user=customers.Customer.create().user, scope="sharing:write").delete(address),
        client(user=csr, scope="sharing:write").delete(address),
        rest_test.APIClient().get("/api/v1/data-sharing/"),
        client(user=holder, scope="usage:read").get("/api/v1/data-sharing/"),
        browser.post(f"/sharing/{authorization.pk}/stop/"),
        test.Client().post(f"/sharing/{authorization.pk}/stop/"),
    ]

    assert [answer.status_code for answer in answers] == [401, 403, 404, 404, 401, 403, 404, 302]
    authorization.refresh_from_db()
    assert authorization.ended_at is None


def test_page_of_somebody_who_shares_nothing(transactional_db: None) -> None:
    browser = test.Client()
    browser.force_login(customers.User.create())

    assert "You share your data with nobody." in browser.get("/sharing/").content.decode()


@pytest.mark.parametrize("role", ["csr", "auditor", "program_manager"])
def test_desk_ends_only_where_it_may(watt: Watt, holder: customers_models.User, role: str) -> None:
    watt.tokens_of(holder)
    authorization = models.Authorization.objects.get()
    browser = test.Client()
    browser.force_login(customers.StaffRole.create(utility=watt.third_party.utility, role=role).user)
    body = {"action": "end_for_customer", "_selected_action": [str(authorization.pk)]}

    browser.post("/admin/sharing/authorization/", body)

    authorization.refresh_from_db()
    assert (authorization.ended_at is not None) is (role == "csr")


def test_staff_of_another_utility_knows_of_no_third_party(watt: Watt) -> None:
    browser = test.Client()
    browser.force_login(customers.StaffRole.create(role="administrator").user)

    assert browser.get(f"/admin/sharing/thirdparty/{watt.third_party.pk}/change/").status_code == 302
    assert b"Watt Advisor" not in browser.get("/admin/sharing/thirdparty/").content


def test_command_registers_and_shows_secrets_once(transactional_db: None, settings: Any) -> None:
    utility = customers.Utility.create(slug="harbor")
    out = io.StringIO()

    management.call_command(
        "register_third_party",
        "--utility=harbor",
        "--name=Watt",
        "--redirect-uri=https://watt.example/callback",
        "--contact-email=data@watt.example",
        stdout=out,
    )

    told = json.loads(out.getvalue())
    party = models.ThirdParty.objects.get(utility=utility)
    assert party.application.client_id == told["client_id"]
    assert party.application.allowed_scopes == register_third_party.DEFAULT_SCOPE
    assert told["client_secret"] not in party.application.client_secret
    with pytest.raises(management.CommandError, match="registered already"):
        management.call_command(
            "register_third_party",
            "--utility=harbor",
            "--name=Watt",
            "--redirect-uri=https://watt.example/callback",
            "--contact-email=data@watt.example",
        )


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"redirect_uris": ["http://watt.example/callback"]}, "not_https"),
        ({"redirect_uris": ["https://watt.example/callback#x"]}, "not_https"),
        ({"redirect_uris": []}, "redirect_uri"),
        ({"notify_uri": "http://watt.example/notices"}, "not_https"),
        ({"scope": "FB=4_5_999"}, "scope"),
        ({"scope": "FB=1_3"}, "scope"),
        ({"name": " "}, "name"),
    ],
)
def test_a_registration_that_would_not_be_safe_is_refused(
    transactional_db: None, changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(register_third_party.UnableToRegister) as refused:
        register(customers.Utility.create(), **changes)

    assert refused.value.code == code
    assert wallets_models.Application.objects.count() == 0


def test_a_role_elsewhere_ends_no_authorization(watt: Watt, holder: customers_models.User) -> None:
    watt.tokens_of(holder)
    authorization = models.Authorization.objects.get()
    utility = authorization.third_party.utility
    auditor = customers.StaffRole.create(utility=utility, role="auditor").user
    customers.StaffRole.create(user=auditor, role="csr")
    csr = customers.StaffRole.create(utility=utility, role="csr").user
    ended = []

    for user in (auditor, csr):
        browser = test.Client()
        browser.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
        browser.post(
            "/admin/sharing/authorization/",
            {"action": "end_for_customer", "_selected_action": [str(authorization.pk)]},
        )
        authorization.refresh_from_db()
        ended.append(authorization.ended_by)

    assert ended == ["", "utility"]
