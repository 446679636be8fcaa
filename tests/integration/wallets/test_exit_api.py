"""Who may ask for a wallet's exit, see it, and call it off; and that a token alone asks for nothing."""

import json
import uuid
from typing import Any

import pytest
from allauth.account.internal.flows import login
from django import test
from django.conf import settings
from django.contrib.sessions.backends import db as sessions

from openvpp.core import clock
from tests.factories import customers, wallets
from wallets import models

pytestmark = pytest.mark.django_db(transaction=True)
PATH = "/api/v1/wallet/exit/"
BODY = {"new_owner": "0x8ba1f109551bD432803012645Ac136ddd64DBA72"}


@pytest.fixture
def leaving() -> models.CustodyExit:
    wallet = wallets.Wallet.create()
    assert wallet.customer is not None
    assert wallet.customer.user is not None
    row: models.CustodyExit = models.CustodyExit.objects.create(
        wallet=wallet,
        new_owner=BODY["new_owner"],
        asked_by=wallet.customer.user,
        created_at=clock.get_now(),
    )
    return row


def call(method: str, token: Any, **headers: str) -> Any:
    sent = {"Idempotency-Key": str(uuid.uuid4()), **headers}
    if token is not None:
        sent |= wallets.bearer(token=token)
    body = json.dumps(BODY) if method == "post" else ""
    return getattr(test.Client(), method)(PATH, body, content_type="application/json", headers=sent)


def callers(leaving: models.CustodyExit, scope: str) -> tuple[Any, Any, Any]:
    user = leaving.wallet.customer.user
    application = wallets.Application.create(utility=leaving.wallet.utility)
    other = wallets.Wallet.create().customer.user
    return (
        wallets.AccessToken.create(application=application, user=user, scope="bills:read"),
        wallets.AccessToken.create(application=application, user=other, scope=scope),
        wallets.AccessToken.create(application=application, user=user, scope=scope),
    )


def test_four_callers_of_seeing_it(leaving: models.CustodyExit) -> None:
    wrong, other, right = callers(leaving, "wallet:read")
    test_client = test.Client()
    assert test_client.get(PATH).status_code == 401
    answers = [test_client.get(PATH, headers=wallets.bearer(token=token)) for token in (wrong, other, right)]
    assert [answer.status_code for answer in answers] == [403, 404, 200]
    assert (answers[2].json()["state"], answers[2].json()["id"]) == ("asked", str(leaving.pk))


def test_four_callers_of_asking(leaving: models.CustodyExit) -> None:
    wrong, other, right = callers(leaving, "payments:write")
    answers = [call("post", token) for token in (None, wrong, other, right)]
    assert [answer.status_code for answer in answers] == [401, 403, 403, 403]
    assert [answer.json()["code"] for answer in answers[2:]] == ["step_up_required", "step_up_required"]
    assert models.CustodyExit.objects.count() == 1


def test_four_callers_of_calling_off(leaving: models.CustodyExit) -> None:
    wrong, other, right = callers(leaving, "payments:write")
    answers = [call("delete", token) for token in (None, wrong, other, right)]
    assert [answer.status_code for answer in answers] == [401, 403, 409, 409]
    assert [answer.json()["code"] for answer in answers[2:]] == ["no_exit", "exit_not_announced"]


@pytest.mark.parametrize(
    ("age_seconds", "is_own", "code"),
    [(1, True, "exit_open"), (1, False, "step_up_required"), (10**6, True, "step_up_required")],
)
def test_the_sign_in_is_the_persons_own_and_fresh(
    leaving: models.CustodyExit, age_seconds: int, is_own: bool, code: str
) -> None:
    _wrong, _other, right = callers(leaving, "payments:write")
    person = leaving.asked_by if is_own else customers.User.create()
    assert person is not None
    browser = test.Client()
    browser.force_login(person, backend=settings.AUTHENTICATION_BACKENDS[0])
    session = browser.session
    session[login.AUTHENTICATION_METHODS_SESSION_KEY] = [
        {"method": "password", "at": clock.get_now().timestamp() - age_seconds}
    ]
    session.save()
    assert isinstance(session, sessions.SessionStore)
    answer = call("post", right, **{"X-Session-Token": str(session.session_key)})
    assert answer.json()["code"] == code
