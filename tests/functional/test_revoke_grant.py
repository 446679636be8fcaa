"""An app is allowed on the page, pays, and is stopped: the same transaction ends signing, the chain follows."""

import datetime
from typing import Any

import psycopg
import pytest
from django.db import connection

from contracts.bindings import accounts, words
from openvpp.core import clock, db, errors, jobs
from relayer import operations as relayer
from tests.factories import wallets
from tests.functional.conftest import DUE_UNITS, Person, Town
from tests.integration.oauth import flow
from wallets import models, operations
from wallets.adapters import submission
from wallets.usecases import revoke_session_key, submit_waiting

SPENDING = "openid bills:read payments:write wallet:read"
WITHIN_BLOCKS = 3


def on_chain(town: Town, grant: models.SessionKeyGrant) -> accounts.SessionState | None:
    """Return where the session stands, or None while its account is not deployed."""
    call = accounts.encode_session(session_id=bytes.fromhex(grant.policy_hash[2:]))
    answer = town.chain.rpc("eth_call", {"to": grant.wallet.address, "data": "0x" + call.hex()}, "latest")
    raw = bytes.fromhex(str(answer)[2:])
    return accounts.decode_session(result=raw) if raw else None


def pay(person: Person, bill_id: object) -> Any:
    quote = person.post(f"bills/{bill_id}/quotes/", {"token": "USDX", "fee_mode": "utility"}).json()
    return person.post(f"bills/{bill_id}/payments/", {"quote_id": quote["quote_id"], "amount_units": str(DUE_UNITS)})


@pytest.fixture
def phone(town: Town, ada: Person) -> tuple[flow.MobileApp, Person, dict[str, Any]]:
    """Ada allows the app on the consent page, with the signer that keeps her owner key."""
    app = flow.MobileApp(application=town.application, user=ada.user)
    page = app.open_consent(SPENDING)
    changed = app.answer(page, "change", per_payment="200", per_period="400", total="400", days="30")
    tokens = app.redeem(flow.parameters(app.answer(changed))["code"]).json()
    grant = models.SessionKeyGrant.objects.latest("created_at")
    person = Person(
        customer=ada.customer, account=ada.account, wallet=ada.wallet, grant=grant, token=tokens["access_token"]
    )
    return app, person, tokens


def test_what_was_allowed_on_the_page_pays_and_stands_on_the_chain_as_it_was_read(
    town: Town, phone: tuple[flow.MobileApp, Person, dict[str, Any]]
) -> None:
    _app, person, _tokens = phone
    bill = town.bill(person)
    answer = pay(person, bill.pk)
    assert answer.status_code == 202, answer.json()
    town.finish()
    bill.refresh_from_db()
    person.grant.refresh_from_db()
    assert (bill.state, person.grant.state) == ("paid", "active")
    state = on_chain(town, person.grant)
    assert state is not None
    assert (state.is_installed, state.is_revoked, state.spent_total_units) == (True, False, DUE_UNITS)
    assert person.grant.policy.max_per_payment_units == 200_000_000
    assert "at most $200.00" in person.grant.shown_text
    assert "at most $400.00" in person.grant.shown_text
    assert town.held(person.wallet.address)[2] == 0


@pytest.mark.parametrize("by", ["token", "connected apps", "replay of a refresh token"])
def test_ending_a_grant_stops_signing_at_once_and_takes_the_key_off_the_chain(
    town: Town, phone: tuple[flow.MobileApp, Person, dict[str, Any]], by: str
) -> None:
    app, person, tokens = phone
    first, second = town.bill(person, month=8), town.bill(person, month=9)
    assert pay(person, first.pk).status_code == 202
    town.finish()
    if by == "token":
        assert app.revoke(tokens["refresh_token"]).status_code == 200
    elif by == "replay of a refresh token":
        assert app.refresh(tokens["refresh_token"]).status_code == 200
        long_ago = clock.get_now() - datetime.timedelta(seconds=11)
        assert models.RefreshToken.objects.filter(revoked__isnull=False).update(revoked=long_ago) == 1
        assert app.refresh(tokens["refresh_token"]).status_code == 400
    else:
        path = f"/api/v1/wallet/grants/{person.grant.pk}/"
        ended = app.browser.delete(path, headers=flow.authorization("DELETE", path, person.token))
        assert (ended.status_code, ended.json()["state"]) == (200, "revoking")
    person.grant.refresh_from_db()
    person.grant.key.refresh_from_db()
    assert person.grant.state == "revoking"
    assert person.grant.key.disabled_at is not None
    refused = pay_with_new_token(town, person, second.pk)
    assert (refused.status_code, refused.json()["code"]) == (401, "invalid_token")
    state = on_chain(town, person.grant)
    assert state is not None
    assert not state.is_revoked
    assert jobs.run_due(now=clock.get_now()) >= 1
    submit_waiting.submit_waiting(now=clock.get_now())
    town.finish()
    state = on_chain(town, person.grant)
    assert state is not None
    assert state.is_revoked
    person.grant.refresh_from_db()
    assert person.grant.state == "revoked"
    assert models.Operation.objects.get(kind="wallets.revoke_session").state == "succeeded"
    assert jobs.run_due(now=clock.get_now()) == 0


def test_the_signer_refuses_from_the_same_commit_on_and_three_blocks_later_the_key_is_off_the_chain(
    town: Town, phone: tuple[flow.MobileApp, Person, dict[str, Any]]
) -> None:
    app, person, tokens = phone
    for month in (8, 9):
        assert pay(person, town.bill(person, month=month).pk).status_code == 202
    town.finish()
    waiting = models.Operation.objects.get(state="reserved")
    expires_at = clock.get_now() + operations.SEND_WITHIN
    submission.prepare(operation=waiting, expires_at=expires_at)

    began = int(str(town.chain.rpc("eth_blockNumber")), 16)
    assert app.revoke(tokens["refresh_token"]).status_code == 200
    # Even a web that asks no question gets no signature any more.
    with pytest.raises(relayer.UnableToSponsor) as refusal:
        submission.prepare(operation=waiting, expires_at=expires_at)
    assert refusal.value.code == "key_disabled"

    while True:
        jobs.run_due(now=clock.get_now())
        submit_waiting.submit_waiting(now=clock.get_now())
        town.turn()
        state = on_chain(town, person.grant)
        assert state is not None
        blocks = int(str(town.chain.rpc("eth_blockNumber")), 16) - began
        if state.is_revoked:
            break
        assert blocks < WITHIN_BLOCKS
        town.chain.rpc("anvil_mine", "0x1")
    assert blocks <= WITHIN_BLOCKS
    assert models.Operation.objects.get(pk=waiting.pk).state == "failed"


def test_a_grant_that_never_paid_leaves_no_trace_on_the_chain(
    town: Town, phone: tuple[flow.MobileApp, Person, dict[str, Any]]
) -> None:
    app, person, tokens = phone
    with db.transaction():
        before = models.Operation.objects.count()
    app.revoke(tokens["access_token"])
    person.grant.refresh_from_db()
    assert person.grant.state == "revoked"
    assert jobs.run_due(now=clock.get_now()) == 0
    assert models.Operation.objects.count() == before
    assert on_chain(town, person.grant) is None
    assert town.chain.nonce(words.parse_address(person.wallet.address)) == 0


def pay_with_new_token(town: Town, person: Person, bill_id: object) -> Any:
    """Try with a token that only the database could have made."""
    token = wallets.AccessToken.create(application=town.application, user=person.user, session_key_grant=person.grant)
    forged = Person(
        customer=person.customer,
        account=person.account,
        wallet=person.wallet,
        grant=person.grant,
        token=str(token.token),
    )
    return forged.post(f"bills/{bill_id}/quotes/", {"token": "USDX", "fee_mode": "utility"})


def test_a_removal_waits_for_no_payment_that_is_on_its_way(
    town: Town, phone: tuple[flow.MobileApp, Person, dict[str, Any]]
) -> None:
    app, person, tokens = phone
    assert pay(person, town.bill(person, month=8).pk).status_code == 202
    town.finish()
    assert pay(person, town.bill(person, month=9).pk).status_code == 202
    began = int(str(town.chain.rpc("eth_blockNumber")), 16)
    app.revoke(tokens["refresh_token"])
    revoke_session_key.take_off(now=clock.get_now())
    states = models.Operation.objects.order_by("created_at").values_list("kind", "state")
    assert list(states)[1:] == [("billing.payment", "queued"), ("wallets.revoke_session", "queued")]
    town.turn()
    town.chain.rpc("anvil_mine", "0x1")
    assert int(str(town.chain.rpc("eth_blockNumber")), 16) - began <= WITHIN_BLOCKS
    state = on_chain(town, person.grant)
    assert state is not None
    assert (state.is_revoked, state.spent_total_units) == (True, 2 * DUE_UNITS)
    town.finish()
    assert set(models.Operation.objects.values_list("state", flat=True)) == {"succeeded"}


def test_a_removal_waits_until_there_is_an_account(
    town: Town, phone: tuple[flow.MobileApp, Person, dict[str, Any]]
) -> None:
    app, person, tokens = phone
    assert pay(person, town.bill(person).pk).status_code == 202
    app.revoke(tokens["refresh_token"])
    revoke_session_key.take_off(now=clock.get_now())
    removal = models.Operation.objects.get(kind="wallets.revoke_session")
    assert removal.state == "reserved"
    town.finish()
    revoke_session_key.take_off(now=clock.get_now())
    town.finish()
    removal.refresh_from_db()
    state = on_chain(town, person.grant)
    assert state is not None
    assert (removal.state, state.is_revoked) == ("succeeded", True)


def test_what_ends_at_once_leaves_the_chain_in_one_operation(
    town: Town, ada: Person, phone: tuple[flow.MobileApp, Person, dict[str, Any]]
) -> None:
    _app, person, _tokens = phone
    for month, payer in ((8, ada), (9, person)):
        assert pay(payer, town.bill(payer, month=month).pk).status_code == 202
        town.finish()
    with db.transaction():
        revoke_session_key.on_access_ended(user_id=ada.user.pk, now=clock.get_now())
    revoke_session_key.take_off(now=clock.get_now())
    town.finish()
    removal = models.Operation.objects.get(kind="wallets.revoke_session")
    assert removal.state == "succeeded"
    assert sorted(removal.intent["grant_ids"]) == sorted(str(grant.pk) for grant in (ada.grant, person.grant))
    for grant in (ada.grant, person.grant):
        grant.refresh_from_db()
        state = on_chain(town, grant)
        assert state is not None
        assert (grant.state, state.is_revoked) == ("revoked", True)
    assert jobs.run_due(now=clock.get_now()) == 0


@pytest.mark.parametrize("holder", ["killed", "alive", "hanging"])
def test_what_a_killed_process_had_taken_up_is_sent_at_once(
    town: Town, phone: tuple[flow.MobileApp, Person, dict[str, Any]], holder: str
) -> None:
    app, person, tokens = phone
    assert pay(person, town.bill(person).pk).status_code == 202
    town.finish()
    app.revoke(tokens["refresh_token"])
    now = clock.get_now()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(submission, "prepare", _unreachable)
        with pytest.raises(errors.Unreachable):
            revoke_session_key.take_off(now=now)
    removal = models.Operation.objects.get(kind="wallets.revoke_session")
    leased_until = now + datetime.timedelta(seconds=-1 if holder == "hanging" else 60)
    models.Operation.objects.filter(pk=removal.pk).update(leased_until=leased_until)
    parameters = connection.get_connection_params()
    with psycopg.connect(
        **{name: parameters[name] for name in ("dbname", "user", "password", "host", "port")}
    ) as other:
        if holder != "killed":
            other.execute("SELECT pg_advisory_lock(4339, %s::int)", [removal.pk.int % 2**31])
        sent = revoke_session_key.send_waiting(now=now)
    removal.refresh_from_db()
    assert (sent, removal.state) == ((0, "reserved") if holder == "alive" else (1, "queued"))


def _unreachable(**_: object) -> None:
    raise errors.Unreachable("The signer does not answer.")
