"""The phone keeps its own P-256 key: consent on the page, payments signed on the phone, the end on the chain."""

import base64
import concurrent.futures
import dataclasses
import datetime
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from django import db as django_db

from billing import models as billing_models
from contracts import deployments
from contracts.bindings import user_operations, words
from openvpp.core import clock, jobs
from tests.chain import phone as phones
from tests.factories import customers, wallets
from tests.functional.conftest import DUE_UNITS, STABLECOINS, TREASURY, Person, Town
from tests.functional.test_revoke_grant import on_chain
from tests.integration.oauth import flow
from wallets import models
from wallets.domain import prepared
from wallets.usecases import relay_signature, submit_waiting

PHONE = phones.Phone(secret=0xBEEF_CAFE_0001)
OTHER = phones.Phone(secret=0xBEEF_CAFE_0002)
SPENDING = "openid bills:read payments:write wallet:read"
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def jwk(phone: phones.Phone) -> dict[str, str]:
    x, y = (base64.urlsafe_b64encode(n.to_bytes(32, "big")).rstrip(b"=").decode() for n in phone.point)
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y}


def keystore(phone: phones.Phone, digest: str, *, high: bool | None = None) -> str:
    """Return r and s as a keystore gives them, `s` in the half that is asked for."""
    r, s = phone._sign(bytes.fromhex(digest[2:]))
    if high is not None and (s > P256_ORDER // 2) is not high:
        s = P256_ORDER - s
    return "0x" + (r.to_bytes(32, "big") + s.to_bytes(32, "big")).hex()


@dataclasses.dataclass(frozen=True)
class Allowed:
    """Ada's app with leave to spend that only her phone's key signs for."""

    app: flow.MobileApp
    person: Person
    tokens: dict[str, Any]

    def pay(self, bill: billing_models.Bill) -> Any:
        quote = self.person.post(f"bills/{bill.pk}/quotes/", {"token": "USDX", "fee_mode": "utility"}).json()
        body = {"quote_id": quote["quote_id"], "amount_units": str(DUE_UNITS)}
        answer = self.person.post(f"bills/{bill.pk}/payments/", body)
        assert answer.status_code == 202, answer.json()
        return answer.json()

    def sign(self, payment: Any, signature: str) -> Any:
        return self.person.post(f"operations/{payment['operation_id']}/signature/", {"signature": signature})


@pytest.fixture
def allowed(town: Town, ada: Person) -> Allowed:
    """Ada reads on the page that her phone signs, and allows it."""
    detail = {
        "type": "ovpp_session_key",
        "actions": ["pay_bills"],
        "tokens": [
            {
                "token": town.stablecoin.address,
                "limit_per_operation": "200000000",
                "limit_per_period": "400000000",
                "period_seconds": 30 * 86_400,
                "limit_total": "400000000",
            }
        ],
        "fee": {"mode": "utility"},
        "not_after": int((clock.get_now() + datetime.timedelta(days=30)).timestamp()),
        "key": {"mode": "client", "jwk": jwk(PHONE)},
    }
    app = flow.MobileApp(application=town.application, user=ada.user)
    page = app.open_consent(SPENDING, authorization_details=json.dumps([detail]))
    assert "keeps on your phone" in page.content.decode()
    tokens = app.redeem(flow.parameters(app.answer(page))["code"]).json()
    grant = models.SessionKeyGrant.objects.latest("created_at")
    person = dataclasses.replace(ada, grant=grant, token=tokens["access_token"])
    return Allowed(app=app, person=person, tokens=tokens)


def test_the_grant_has_no_key_here_and_the_owner_let_exactly_the_phones_in(allowed: Allowed) -> None:
    grant = allowed.person.grant
    assert (grant.key, grant.client_key) == (None, jwk(PHONE))
    assert grant.policy.key == PHONE.address
    (told,) = allowed.tokens["authorization_details"]
    assert told["key"] == {"mode": "client", "jwk": jwk(PHONE)}
    with pytest.raises(django_db.IntegrityError, match="grant_has_one_key"):
        models.SessionKeyGrant.objects.filter(pk=grant.pk).update(client_key=None)


@pytest.mark.parametrize("high", [False, True])
def test_a_bill_is_paid_with_the_phones_signature(town: Town, allowed: Allowed, high: bool) -> None:
    person = allowed.person
    for month in (8, 9):
        bill = town.bill(person, month=month)
        payment = allowed.pay(bill)
        operation = person.get(f"operations/{payment['operation_id']}/").json()
        assert (payment["state"], operation["state"]) == ("pending", "awaiting_signature")
        wanted = payment["signature_request"]
        assert wanted == operation["signature_request"]
        assert wanted["algorithm"] == "ES256"
        assert wanted["hash"] == hash_by_phone(wanted, town.chain.chain_id)
        answer = allowed.sign(payment, keystore(PHONE, wanted["hash"], high=high))
        assert (answer.status_code, answer.json()["state"]) == (202, "queued"), answer.json()
        assert answer.json()["user_operation_hash"] == wanted["hash"]
        assert answer.json()["signature_request"] is None
        town.finish()
        bill.refresh_from_db()
        assert bill.state == "paid"
    assert town.held(TREASURY)[0] == 2 * DUE_UNITS
    assert town.held(person.wallet.address)[0] == STABLECOINS - 2 * DUE_UNITS
    state = on_chain(town, person.grant)
    assert state is not None
    assert (state.is_installed, state.spent_total_units) == (True, 2 * DUE_UNITS)
    person.grant.refresh_from_db()
    assert (person.grant.state, person.grant.reserved_total_units) == ("active", 2 * DUE_UNITS)


def hash_by_phone(wanted: dict[str, Any], chain_id: int) -> str:
    """Compute what is signed from what is shown, as a phone would that trusts no hash."""
    entry_point = deployments.load(chain_id=chain_id).entry_point
    shown = wanted["operation"]
    row = models.SignatureRequest.objects.get(user_operation_hash=wanted["hash"])
    operation = prepared.from_json(row.user_operation)
    assert prepared.shown(operation) == shown
    assert "0x" + words.keccak(operation.paymaster_and_data).hex() == shown["paymaster_and_data_hash"]
    assert operation.paymaster_and_data.hex() not in json.dumps(wanted)
    return (
        "0x"
        + user_operations.hash_user_operation(operation=operation, chain_id=chain_id, entry_point=entry_point).hex()
    )


def test_four_callers_and_wrong_signatures_queue_nothing(town: Town, allowed: Allowed, ada: Person) -> None:
    payment = allowed.pay(town.bill(allowed.person))
    wanted = payment["signature_request"]["hash"]
    path = f"operations/{payment['operation_id']}/signature/"
    right = {"signature": keystore(PHONE, wanted)}
    other_token = dataclasses.replace(ada, token=town.token(user=ada.user, grant=ada.grant))
    reading = wallets.AccessToken.create(user=ada.user, scope="wallet:read", session_key_grant=allowed.person.grant)
    stranger = customers.User.create()
    for caller, status in (
        (dataclasses.replace(ada, token="nobody's"), 401),
        (dataclasses.replace(ada, token=str(reading.token)), 403),
        (dataclasses.replace(ada, token=town.token(user=stranger, grant=None)), 404),
        (other_token, 403),
    ):
        assert caller.post(path, right).status_code == status
    for wrong in (
        keystore(OTHER, wanted),
        keystore(PHONE, "0x" + "11" * 32),
        "0x" + "00" * 64,
        "0x" + "30" * 70,
        "0x" + "11" * 65,
    ):
        refused = allowed.person.post(path, {"signature": wrong})
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_signature"), refused.json()
    assert allowed.person.post(path, {"signature": "0x12"}).status_code == 400
    operation = models.Operation.objects.get(pk=payment["operation_id"])
    assert (operation.state, operation.user_operation_id) == ("awaiting_signature", None)
    assert allowed.person.post(path, right).status_code == 202


def test_signed_twice_and_by_four_at_once_is_one_operation(town: Town, allowed: Allowed) -> None:
    payment = allowed.pay(town.bill(allowed.person))
    wanted = payment["signature_request"]["hash"]
    digest = bytes.fromhex(wanted[2:])
    key = ec.derive_private_key(PHONE.secret, ec.SECP256R1())
    der = "0x" + key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256()))).hex()
    signatures = [keystore(PHONE, wanted), der, keystore(PHONE, wanted, high=True), keystore(PHONE, wanted, high=False)]

    def send(signature: str) -> tuple[int, Any]:
        answer = allowed.sign(payment, signature)
        django_db.connection.close()
        return answer.status_code, answer.json()["user_operation_hash"]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert set(pool.map(send, signatures)) == {(202, wanted)}
    town.finish()
    assert town.held(TREASURY)[0] == DUE_UNITS
    assert allowed.sign(payment, signatures[0]).json()["state"] == "succeeded"
    assert models.Operation.objects.count() == 1


def test_unsigned_in_time_gives_the_reservation_and_the_bill_back(town: Town, allowed: Allowed) -> None:
    bill = town.bill(allowed.person)
    payment = allowed.pay(bill)
    request = models.SignatureRequest.objects.get()
    assert relay_signature.end_unsigned(now=request.sign_by - datetime.timedelta(seconds=1)) == 0
    assert relay_signature.end_unsigned(now=request.sign_by) == 1
    assert relay_signature.end_unsigned(now=request.sign_by) == 0
    allowed.person.grant.refresh_from_db()
    bill.refresh_from_db()
    assert (bill.state, allowed.person.grant.reserved_total_units) == ("issued", 0)
    late = allowed.sign(payment, keystore(PHONE, request.user_operation_hash))
    assert (late.status_code, late.json()["code"]) == (409, "signature_too_late")
    assert town.held(TREASURY)[0] == 0


def test_what_another_operation_overtook_ends_and_moves_nothing(town: Town, allowed: Allowed, ada: Person) -> None:
    payment = allowed.pay(town.bill(allowed.person, month=8))
    other = dataclasses.replace(allowed, person=dataclasses.replace(ada))
    other.pay(town.bill(ada, month=9))
    town.finish()
    overtaken = allowed.sign(payment, keystore(PHONE, payment["signature_request"]["hash"]))
    assert (overtaken.status_code, overtaken.json()["code"]) == (409, "operation_overtaken")
    allowed.person.grant.refresh_from_db()
    assert allowed.person.grant.reserved_total_units == 0
    assert town.held(TREASURY)[0] == DUE_UNITS


def test_revocation_stops_sponsorship_at_once_and_the_phones_key_dies_on_the_chain(
    town: Town, allowed: Allowed
) -> None:
    person = allowed.person
    allowed.sign(paid := allowed.pay(town.bill(person, month=8)), keystore(PHONE, paid["signature_request"]["hash"]))
    town.finish()
    waiting_bill = town.bill(person, month=9)
    waiting = allowed.pay(waiting_bill)
    assert allowed.app.revoke(allowed.tokens["refresh_token"]).status_code == 200
    person.grant.refresh_from_db()
    assert person.grant.state == "revoking"
    signature = keystore(PHONE, waiting["signature_request"]["hash"])
    assert allowed.sign(waiting, signature).status_code == 401
    forged = dataclasses.replace(person, token=town.token(user=person.user, grant=person.grant))
    refused = dataclasses.replace(allowed, person=forged).sign(waiting, signature)
    assert refused.status_code in (401, 403)
    assert models.Operation.objects.get(pk=waiting["operation_id"]).user_operation_id is None
    assert relay_signature.end_unsigned(now=clock.get_now()) == 1
    waiting_bill.refresh_from_db()
    assert waiting_bill.state == "issued"
    assert jobs.run_due(now=clock.get_now()) >= 1
    submit_waiting.submit_waiting(now=clock.get_now())
    town.finish()
    state = on_chain(town, person.grant)
    assert state is not None
    assert state.is_revoked
    person.grant.refresh_from_db()
    assert person.grant.state == "revoked"
    assert town.held(TREASURY)[0] == DUE_UNITS
