"""viem's `sendCalls`, `waitForCallsStatus`, `getCapabilities` and `grantPermissions`, unchanged, on a real chain."""

import time
from typing import Any

import pytest

from tests import signer_fixture
from tests.clients import playing
from tests.functional import conftest as towns
from tests.integration.oauth import flow
from wallets import models

pytestmark = pytest.mark.django_db(transaction=True)

signer, town, ada = signer_fixture.signer, towns.town, towns.ada
DAY = 86_400


def test_a_permission_is_asked_for_granted_and_used(issuer: str, town: towns.Town, ada: towns.Person) -> None:
    models.Wallet.objects.update(deployed_at=ada.wallet.created_at)
    phone = flow.MobileApp(application=town.application, user=ada.user)
    bill = town.bill(ada)
    allowance = 4 * towns.DUE_UNITS
    asked: dict[str, Any] = {
        "node": town.chain.rpc_url,
        "wallet": f"{issuer}/rpc/v1/{town.chain.chain_id}",
        "chainId": town.chain.chain_id,
        "key": flow.KEY.export(as_dict=True),
        "address": ada.wallet.address,
        "stablecoin": str(town.stablecoin.address),
        "payee": towns.TREASURY,
        "units": towns.DUE_UNITS,
        "allowance": str(allowance),
        "expiry": int(time.time()) + 90 * DAY,
    }

    def play(token: str) -> dict[str, Any]:
        turns = [town.turn, lambda: town.chain.rpc("anvil_mine")]
        return playing.play(turns, "wallet_client.mjs", asked | {"token": token})

    consent = play(phone.get_tokens(flow.READING)["access_token"])["consent"]
    page = phone.open_pushed(consent["consentUri"].partition("request_uri=")[2].replace("%3A", ":"))
    phone.verifier = consent["codeVerifier"]
    token = phone.redeem(flow.parameters(phone.answer(page))["code"]).json()["access_token"]
    grant = models.SessionKeyGrant.objects.latest("created_at")

    told = play(token)

    assert told == {
        "context": "0x" + grant.pk.hex,
        "allowance": str(allowance),
        "atomic": "supported",
        "id": "0x5792",
        "first": "pending",
        "done": ["success", 200, True, 1, "success"],
        "mined": "success",
        "refused": {"payee": "UnauthorizedProviderError", "many": "BundleTooLargeError", "id": "DuplicateIdError"},
    }
    bill.refresh_from_db()
    assert bill.state in ("pending", "paid")
    assert town.held(towns.TREASURY)[0] == towns.DUE_UNITS
    assert models.Operation.objects.get().grant == grant
