"""Whose operations are not sponsored: a frozen wallet's, and those from or to a listed address."""

import dataclasses
from typing import Any

import pytest

from contracts.bindings import accounts, tokens, words
from controls import models as controls_models
from controls import operations as controls
from openvpp.core import clock, db
from relayer import models
from tests.factories import controls as terms
from tests.integration.relayer import application as applications
from tests.integration.relayer import sponsors
from tests.integration.relayer.conftest import Relayer

pytestmark = pytest.mark.django_db(transaction=True)
LISTED, PAYEE = b"\x66" * 20, b"\x01" * 20


@pytest.fixture
def account(relayer: Relayer) -> applications.Account:
    return applications.open_account(applications.make(relayer))


def ask(account: applications.Account, *calls: accounts.Call, nonce: int = 0) -> dict[str, Any]:
    app, operation = account.application, sponsors.draft(account, nonce=nonce << 64)
    if calls:
        operation = dataclasses.replace(operation, call_data=accounts.encode_execute_batch(calls=calls))
    return app.ask("pm_getPaymasterData", *sponsors.asked(operation, app.chain.chain_id))


def refused(answer: dict[str, Any]) -> tuple[int, str]:
    return answer["error"]["code"], answer["error"]["data"]["reason"]


def ways_to_pay(relayer: Relayer) -> list[accounts.Call]:
    token = relayer.chain.deployment.stablecoin
    moved = words.selector("transferFrom(address,address,uint256)") + words.address(LISTED) + words.address(PAYEE)
    batch = tokens.PayoutBatch(reference=b"\x01" * 16, token=token, recipients=(LISTED,), amounts_units=(1,))
    return [
        accounts.Call(to=LISTED, value_wei=1),
        accounts.Call(to=token, data=tokens.encode_transfer(to=LISTED, amount_units=1)),
        accounts.Call(to=token, data=tokens.encode_approve(spender=LISTED, amount_units=1)),
        accounts.Call(to=token, data=moved + words.uint(1)),
        accounts.Call(to=relayer.chain.deployment.payouts, data=tokens.encode_pay_batch(batch=batch)),
    ]


def test_no_way_of_paying_a_listed_address_is_sponsored(
    relayer: Relayer, account: applications.Account, settings: Any
) -> None:
    sponsors.policy(relayer)
    settings.SCREENING_SANDBOX_LIST = (words.checksummed(LISTED),)
    for way in ways_to_pay(relayer):
        assert refused(ask(account, way)) == (-32501, "address_listed")
    assert not models.Sponsorship.objects.exists()
    checks = controls_models.Screening.objects.filter(reference__startswith="sponsored:")
    assert [check.decision for check in checks] == ["refused"] * 5
    assert "result" in ask(account)


def test_a_listed_or_frozen_sender_is_not_sponsored(
    relayer: Relayer, account: applications.Account, settings: Any
) -> None:
    sponsors.policy(relayer)
    settings.SCREENING_SANDBOX_LIST = (words.checksummed(account.address),)
    assert refused(ask(account)) == (-32501, "address_listed")
    settings.SCREENING_SANDBOX_LIST = ()
    with db.transaction():
        controls.freeze(
            utility_id=relayer.utility.pk,
            account=words.checksummed(account.address),
            chain_id=relayer.chain.chain_id,
            reason="Asked for at the desk",
            by=None,
            now=clock.get_now(),
        )
    assert refused(ask(account)) == (-32501, "wallet_frozen")
    assert not models.Sponsorship.objects.exists()


@pytest.mark.parametrize(("when_down", "code"), [("hold", "screening_held"), ("refuse", "screening_down")])
def test_while_nobody_can_say_it_is_as_the_utility_wishes(
    relayer: Relayer, account: applications.Account, settings: Any, when_down: str, code: str
) -> None:
    sponsors.policy(relayer)
    settings.SCREENING_URL = "http://127.0.0.1:9/"
    if when_down != "hold":
        utility, after = relayer.utility, {"when_down": when_down}
        terms.applied_change(kind="screening", subject=utility.pk, utility=utility, after=after)
        controls_models.ScreeningRule.objects.create(utility=utility, when_down=when_down)
    assert refused(ask(account)) == (-32501, code)
    assert not models.Sponsorship.objects.exists()
