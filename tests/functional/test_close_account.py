"""A customer closes their account, on a real chain whose time is moved: a week later it is empty and names nobody."""

import datetime
from typing import Any

import pytest
from django import test

from contracts.bindings import accounts, tokens, words
from custody import operations as custody
from customers import models as customer_models
from notifications import models as notice_models
from openvpp.core import clock, jobs
from tests.functional import test_leave_custody as leaving
from tests.functional.conftest import DUE_UNITS, OVPP, STABLECOINS, Person, Town
from tests.integration.custody import test_control
from tests.integration.oauth import flow
from wallets import models
from wallets.usecases import submit_waiting

travel, fresh = leaving.travel, leaving.fresh
PATH = "me/closing/"
WEEK = datetime.timedelta(days=7)


def work(town: Town, travel: Any) -> None:
    """Let jobs, beat and relay do what is due, minute by minute."""
    for _ in range(8):
        jobs.run_due(now=clock.get_now())
        submit_waiting.submit_waiting(now=clock.get_now())
        town.finish()
        travel(datetime.timedelta(minutes=2))


def test_a_closed_account_is_empty_and_names_nobody(town: Town, ada: Person, travel: Any, fresh: None) -> None:
    bill, answer = leaving.pay(town, ada, 7)
    assert answer.status_code == 202, answer.json()
    town.finish()
    user, address = ada.user, ada.user.email

    refused = ada.post(PATH, {})
    assert (refused.status_code, refused.json()["code"]) == (409, "not_yet")
    assert [each["code"] for each in refused.json()["obstacles"]] == ["balance_left"]
    asked = ada.post(PATH, {"send_to": leaving.OWNER})
    assert (asked.status_code, asked.json()["state"]) == (202, "announced"), asked.json()
    assert ada.get(PATH).json()["send_to"] == leaving.OWNER
    assert ada.post(PATH, {}).json()["code"] == "closing_open"

    # The signer counts the week itself, whatever the web says.
    calls = [
        accounts.Call(
            to=town.chain.deployment.stablecoin,
            data=tokens.encode_transfer(to=words.parse_address(leaving.OWNER), amount_units=1),
        )
    ]
    with pytest.raises(custody.UnableToSign) as early:
        test_control.sign_on(
            ada.wallet.owner_key, accounts.encode_execute_batch(calls=calls), chain_id=town.chain.chain_id
        )
    assert early.value.code == "unknown_consent"

    travel(WEEK - datetime.timedelta(minutes=30))
    work(town, travel)
    assert town.held(leaving.OWNER) == (0, 0, 0)
    travel(datetime.timedelta(minutes=20))
    work(town, travel)

    row = customer_models.Closing.objects.get()
    assert (row.state, row.waits_for) == ("closed", [])
    assert town.held(leaving.OWNER) == (STABLECOINS - DUE_UNITS, OVPP, 0)
    assert town.held(ada.wallet.address) == (0, 0, 0)
    ada.grant.refresh_from_db()
    ada.wallet.owner_key.refresh_from_db()
    assert (ada.grant.state, ada.wallet.owner_key.disabled_at) == ("revoked", row.ended_at)
    user.refresh_from_db()
    assert (user.is_active, user.name, user.email) == (False, "", f"closed-{user.pk}@account.invalid")
    customer = customer_models.Customer.objects.get(pk=ada.customer.pk)
    assert (customer.user, customer.name, customer.email) == (None, "Closed account", "")
    assert not notice_models.Notice.objects.filter(user=user).exists()
    assert not customer_models.User.objects.filter(email=address).exists()
    ada.account.refresh_from_db()
    bill.refresh_from_db()
    assert (ada.account.closed_on is not None, bill.state) == (True, "paid")
    assert ada.get("wallet/").status_code == 401


def test_a_closing_that_is_called_off_sends_nothing(town: Town, ada: Person, travel: Any, fresh: None) -> None:
    assert ada.post(PATH, {"send_to": leaving.OWNER}).status_code == 202
    path = f"/api/v1/{PATH}"
    kept = test.Client().delete(path, headers=flow.authorization("DELETE", path, ada.token))
    assert (kept.status_code, kept.json()["state"]) == (200, "cancelled")
    travel(WEEK + datetime.timedelta(hours=1))
    work(town, travel)
    assert (town.held(leaving.OWNER), town.held(ada.wallet.address)[0]) == ((0, 0, 0), STABLECOINS)
    assert not models.Operation.objects.exists()
    calls = [
        accounts.Call(
            to=town.chain.deployment.stablecoin,
            data=tokens.encode_transfer(to=words.parse_address(leaving.OWNER), amount_units=1),
        )
    ]
    with pytest.raises(custody.UnableToSign):
        test_control.sign_on(
            ada.wallet.owner_key, accounts.encode_execute_batch(calls=calls), chain_id=town.chain.chain_id
        )
    ada.user.refresh_from_db()
    assert ada.user.is_active
