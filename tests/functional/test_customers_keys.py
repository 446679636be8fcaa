"""Keys that customers hold: a phone's of secp256k1 pays bills, a passkey becomes the owner of an account."""

import base64
import dataclasses
import datetime
import json
from typing import Any

import coincurve
import pytest

from contracts.bindings import accounts, passkeys, sessions, tokens, user_operations, words
from openvpp.core import clock, jobs
from tests import chain_fixture
from tests.chain import phone as phones
from tests.functional import test_leave_custody, test_phone_key
from tests.functional.conftest import DUE_UNITS, STABLECOINS, TREASURY, Person, Town
from tests.functional.test_leave_custody import fresh, travel
from tests.functional.test_revoke_grant import on_chain
from tests.integration.oauth import flow
from wallets import models

__all__ = ["fresh", "travel"]

KEY = chain_fixture.Key(words.keccak(b"a phone's key of secp256k1"))
OTHER = chain_fixture.Key(words.keccak(b"another phone's key"))
PASSKEY = phones.Phone(secret=0xFACE_0001)


def jwk() -> dict[str, str]:
    point = coincurve.PrivateKey(KEY.secret).public_key.format(compressed=False)[1:]
    x, y = (base64.urlsafe_b64encode(half).rstrip(b"=").decode() for half in (point[:32], point[32:]))
    return {"kty": "EC", "crv": "secp256k1", "x": x, "y": y}


def signed(key: chain_fixture.Key, digest: str) -> str:
    return "0x" + words.signature(key.sign(bytes.fromhex(digest[2:]))).hex()


@pytest.fixture
def allowed(town: Town, ada: Person) -> test_phone_key.Allowed:
    """Ada lets in an app whose phone keeps a key of secp256k1."""
    limits = {"limit_per_operation": "200000000", "limit_per_period": "400000000", "limit_total": "400000000"}
    detail = {
        "type": "ovpp_session_key",
        "actions": ["pay_bills"],
        "tokens": [{"token": town.stablecoin.address, "period_seconds": 30 * 86_400, **limits}],
        "fee": {"mode": "utility"},
        "not_after": int((clock.get_now() + datetime.timedelta(days=30)).timestamp()),
        "key": {"mode": "client", "jwk": jwk()},
    }
    app = flow.MobileApp(application=town.application, user=ada.user)
    page = app.open_consent(test_phone_key.SPENDING, authorization_details=json.dumps([detail]))
    answered = app.redeem(flow.parameters(app.answer(page))["code"]).json()
    grant = models.SessionKeyGrant.objects.latest("created_at")
    person = dataclasses.replace(ada, grant=grant, token=answered["access_token"])
    return test_phone_key.Allowed(app=app, person=person, tokens=answered)


def test_a_phones_key_of_secp256k1_pays_and_nobody_elses_does(town: Town, allowed: test_phone_key.Allowed) -> None:
    person = allowed.person
    assert (person.grant.key, person.grant.client_key) == (None, jwk())
    assert person.grant.policy.key == KEY.address
    bill = town.bill(person)
    payment = allowed.pay(bill)
    wanted = payment["signature_request"]
    assert wanted["algorithm"] == "ES256K"
    refused = allowed.sign(payment, signed(OTHER, wanted["hash"]))
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_signature")
    assert models.Operation.objects.get().state == "awaiting_signature"

    answer = allowed.sign(payment, signed(KEY, wanted["hash"]))
    assert (answer.status_code, answer.json()["state"]) == (202, "queued"), answer.json()
    town.finish()
    bill.refresh_from_db()
    assert bill.state == "paid"
    assert town.held(TREASURY)[0] == DUE_UNITS
    assert town.held(person.wallet.address)[0] == STABLECOINS - DUE_UNITS
    state = on_chain(town, person.grant)
    assert state is not None
    assert (state.is_installed, state.is_revoked, state.spent_total_units) == (True, False, DUE_UNITS)


@pytest.mark.usefixtures("fresh")
def test_a_passkey_becomes_the_owner_and_moves_what_the_account_holds(town: Town, ada: Person, travel: Any) -> None:
    _bill, answer = test_leave_custody.pay(town, ada, 7)
    assert answer.status_code == 202, answer.json()
    town.finish()
    x, y = (f"0x{number:064x}" for number in PASSKEY.point)
    asked = test_leave_custody.ask(ada, passkey={"x": x, "y": y})
    owner = words.checksummed(PASSKEY.address)
    assert (asked.status_code, asked.json()["new_owner"]) == (202, owner), asked.json()
    town.finish()
    travel(test_leave_custody.TWO_DAYS + datetime.timedelta(minutes=1))
    account = words.parse_address(ada.wallet.address)
    assert jobs.run_due(now=clock.get_now()) == 1
    town.finish()
    assert test_leave_custody.on_chain(town, ada) == (owner, True)

    heir = words.checksummed(bytes.fromhex("4e" * 20))
    held = town.held(ada.wallet.address)[0]
    assert held == STABLECOINS - DUE_UNITS
    town.chain.rpc("anvil_setBalance", ada.wallet.address, hex(10**18))
    moved = operation(town, account=account, to=heir, units=held)
    assert town.chain.handle_ops(moved(PASSKEY)).succeeded
    assert (town.held(heir)[0], town.held(ada.wallet.address)[0]) == (held, 0)
    with pytest.raises(chain_fixture.RefusedByNode):
        town.chain.handle_ops(operation(town, account=account, to=heir, units=0)(phones.Phone(secret=0xFACE_0002)))


def operation(town: Town, *, account: bytes, to: str, units: int) -> Any:
    """Return what signs a transfer of the account's stablecoins with an owner's passkey."""
    transfer = tokens.encode_transfer(to=words.parse_address(to), amount_units=units)
    calls = [accounts.Call(to=town.chain.deployment.stablecoin, value_wei=0, data=transfer)]
    unsigned = user_operations.UserOperation(
        sender=account,
        nonce=town.chain.nonce(account),
        init_code=b"",
        call_data=accounts.encode_execute_batch(calls=calls),
        verification_gas_limit=600_000,
        call_gas_limit=200_000,
        pre_verification_gas=60_000,
        max_priority_fee_per_gas=10**6,
        max_fee_per_gas=3 * 10**9,
    )

    def sign(phone: phones.Phone) -> user_operations.UserOperation:
        digest = user_operations.hash_user_operation(
            operation=unsigned, chain_id=town.chain.chain_id, entry_point=town.chain.deployment.entry_point
        )
        signature = sessions.encode_owner_signature(owner_signature=passkeys.checked(phone.attest(digest)))
        return dataclasses.replace(unsigned, signature=signature)

    return sign
