"""Connected apps: four callers, and ending one."""

import uuid
from typing import Any

import pytest
from django import test

from tests.factories import customers, wallets
from wallets import models

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def grant(db: None) -> models.SessionKeyGrant:
    made: models.SessionKeyGrant = wallets.SessionKeyGrant.create()
    return made


def call(method: str, path: str, *, user: Any = None, scope: str = "wallet:read payments:write") -> Any:
    headers = {}
    if user is not None:
        headers = wallets.bearer(token=wallets.AccessToken.create(user=user, scope=scope))
    return test.Client().generic(method, f"/api/v1/wallet/grants/{path}", headers=headers)


def test_list_is_the_persons_own(grant: models.SessionKeyGrant) -> None:
    wallets.SessionKeyGrant.create()
    assert call("GET", "").status_code == 401
    assert call("GET", "", user=grant.user, scope="bills:read").status_code == 403
    assert call("GET", "", user=customers.User.create()).json()["results"] == []
    (told,) = call("GET", "", user=grant.user).json()["results"]
    assert told["id"] == str(grant.pk)
    assert (told["limit_per_payment_units"], told["spent_total_units"]) == ("500000000", "0")
    assert told["shown_text"] == grant.shown_text
    assert "owner_leave" not in told


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_others_find_nothing_and_end_nothing(grant: models.SessionKeyGrant, method: str) -> None:
    assert call(method, f"{grant.pk}/").status_code == 401
    assert call(method, f"{grant.pk}/", user=grant.user, scope="bills:read").status_code == 403
    for stranger in (
        customers.User.create(),
        customers.Customer.create(utility=grant.wallet.utility).user,
        customers.StaffRole.create(utility=grant.wallet.utility, role="administrator").user,
        customers.StaffRole.create().user,
    ):
        assert call(method, f"{grant.pk}/", user=stranger).status_code == 404
    assert call(method, f"{uuid.uuid4()}/", user=grant.user).status_code == 404
    grant.refresh_from_db()
    assert grant.state == "pending"
    assert grant.key.disabled_at is None


def test_a_reading_token_ends_nothing(grant: models.SessionKeyGrant) -> None:
    assert call("DELETE", f"{grant.pk}/", user=grant.user, scope="wallet:read").status_code == 403
    grant.refresh_from_db()
    assert grant.state == "pending"


def test_ending_one_ends_its_key_and_tokens_and_twice_is_once(grant: models.SessionKeyGrant) -> None:
    spending = wallets.AccessToken.create(user=grant.user, session_key_grant=grant)
    told = call("DELETE", f"{grant.pk}/", user=grant.user).json()
    assert told["state"] == "revoked"
    grant.refresh_from_db()
    grant.key.refresh_from_db()
    ended_at = grant.ended_at
    assert ended_at is not None
    assert grant.key.disabled_at == ended_at
    assert not models.AccessToken.objects.filter(pk=spending.pk).exists()
    assert call("DELETE", f"{grant.pk}/", user=grant.user).json()["state"] == "revoked"
    grant.refresh_from_db()
    assert grant.ended_at == ended_at
