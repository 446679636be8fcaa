"""A customer leaves custody, on a real chain whose time is moved; what is refused moves nothing."""

import dataclasses
import datetime
import uuid
from typing import Any

import pytest
from django import test

from contracts.bindings import control, words
from controls import operations as controls
from controls.usecases import decide_change
from notifications import models as notice_models
from openvpp.core import clock, db, jobs
from openvpp.core import models as core_models
from relayer.usecases import refresh_prices
from tests import chain_fixture
from tests.factories import customers, wallets
from tests.functional.conftest import DUE_UNITS, Person, Town
from tests.integration.oauth import flow
from wallets import models, operations
from wallets.adapters import chain
from wallets.api import step_up
from wallets.usecases import submit_waiting

HOLDER = chain_fixture.Key(words.keccak(b"the customer's own key"))
OWNER = words.checksummed(HOLDER.address)
TWO_DAYS = datetime.timedelta(hours=48)


@pytest.fixture
def travel(town: Town, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Move the clock and the chain."""
    real, offset = clock.get_now, [datetime.timedelta()]
    monkeypatch.setattr(clock, "get_now", lambda: real() + offset[0])

    def move(by: datetime.timedelta) -> None:
        offset[0] += by
        town.chain.rpc("evm_increaseTime", int(by.total_seconds()))
        town.chain.rpc("anvil_mine", "0x1")
        refresh_prices.refresh_prices(chain_id=town.chain.chain_id, now=clock.get_now())

    return move


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sign-in was confirmed a moment ago."""
    monkeypatch.setattr(step_up, "require_fresh", lambda **_kwargs: None)


def ask(person: Person, *, key: str | None = None, **body: Any) -> Any:
    return person.post("wallet/exit/", body or {"new_owner": OWNER}, key=key)


def renewed(town: Town, person: Person, grant: models.SessionKeyGrant | None) -> Person:
    """Return the person with a token of now, which spends under `grant`."""
    token = wallets.AccessToken.create(
        application=town.application,
        user=person.user,
        session_key_grant=grant,
        expires=clock.get_now() + datetime.timedelta(hours=1),
    )
    return dataclasses.replace(person, token=str(token.token))


def call_off(person: Person) -> Any:
    path = "/api/v1/wallet/exit/"
    return test.Client().delete(path, headers=flow.authorization("DELETE", path, person.token))


def on_chain(town: Town, person: Person) -> tuple[str, bool]:
    """Return the account's owner and whether the customer holds it."""
    account = words.parse_address(person.wallet.address)
    owner = words.read_address(town.chain.call(account, control.encode_owner()), 0)
    return words.checksummed(owner), any(town.chain.call(account, control.encode_is_self_custodied()))


def pay(town: Town, person: Person, month: int) -> Any:
    bill = town.bill(person, month=month)
    quote = person.post(f"bills/{bill.pk}/quotes/", {"token": "USDX", "fee_mode": "utility"}).json()
    answer = person.post(f"bills/{bill.pk}/payments/", {"quote_id": quote["quote_id"], "amount_units": str(DUE_UNITS)})
    return bill, answer


def told(person: Person) -> list[str]:
    rows = notice_models.Notice.objects.filter(user=person.user, kind="wallet.control").order_by("sequence")
    return [row.data["what"] for row in rows]


def test_a_customer_leaves_custody_and_goes_on_reading(  # noqa: PLR0915 - one story
    town: Town, ada: Person, travel: Any, fresh: None
) -> None:
    paid, answer = pay(town, ada, 7)
    assert answer.status_code == 202, answer.json()
    town.finish()
    before = ada.wallet.owner_key.address

    key = str(uuid.uuid4())
    asked, again = ask(ada, key=key), ask(ada, key=key)
    assert (asked.status_code, asked.json()["state"]) == (202, "asked"), asked.json()
    assert again.json() == asked.json()
    town.finish()
    shown = ada.get("wallet/exit/").json()
    assert (shown["state"], shown["new_owner"]) == ("announced", OWNER)
    wallet = ada.get("wallet/").json()
    assert (wallet["custody"], wallet["exit_ready_at"]) == ("leaving", shown["ready_at"])
    state = chain.read_control(account=ada.wallet.address, chain_id=town.chain.chain_id)
    assert state is not None
    assert state.announced is not None
    assert datetime.datetime.fromisoformat(shown["ready_at"]).timestamp() == state.announced.ready_at
    assert (words.checksummed(state.customer), words.checksummed(state.owner)) == (OWNER, before)
    assert told(ada) == ["announced"]

    travel(datetime.timedelta(hours=47))
    assert jobs.run_due(now=clock.get_now()) == 0
    ada = renewed(town, ada, ada.grant)
    _bill, answer = pay(town, ada, 8)
    assert answer.status_code == 202, answer.json()
    town.finish()
    assert on_chain(town, ada) == (before, False)

    travel(datetime.timedelta(hours=1, minutes=1))
    ada = renewed(town, ada, ada.grant)
    assert jobs.run_due(now=clock.get_now()) == 1
    late, answer = pay(town, ada, 9)
    assert answer.status_code == 202, answer.json()
    town.finish()
    assert on_chain(town, ada) == (OWNER, True)
    submit_waiting.submit_waiting(now=clock.get_now())

    ada.wallet.refresh_from_db()
    ada.grant.refresh_from_db()
    late.refresh_from_db()
    paid.refresh_from_db()
    ada.wallet.owner_key.refresh_from_db()
    row = models.CustodyExit.objects.get()
    assert row.state == "left"
    assert ada.wallet.left_custody_at == row.ended_at == ada.wallet.owner_key.disabled_at
    assert ada.grant.state == "revoked"
    assert ada.grant.key is not None
    ada.grant.key.refresh_from_db()
    assert ada.grant.key.disabled_at == ada.wallet.left_custody_at
    assert (paid.state, late.state) == ("paid", "issued")
    assert models.Operation.objects.filter(kind="billing.payment", state="failed").count() == 1
    assert not models.Operation.objects.exclude(state__in=["succeeded", "failed"]).exists()
    assert told(ada) == ["announced", "ready", "left"]
    reader = renewed(town, ada, None)
    assert reader.get("wallet/").json()["custody"] == "self"
    assert reader.get("wallet/balances/").json()["tokens"][0]["amount_units"] != "0"
    assert reader.get("wallet/activity/").status_code == 200
    assert (ask(reader).status_code, ask(reader).json()["code"]) == (409, "left_already")
    assert ada.get("wallet/").status_code == 401


def test_a_killed_job_is_run_again_and_the_account_leaves_once(
    town: Town, ada: Person, travel: Any, fresh: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(ada).status_code == 202
    town.finish()
    travel(TWO_DAYS + datetime.timedelta(minutes=1))
    with monkeypatch.context() as patch:
        patch.setattr(operations, "submit", lambda **_kwargs: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            jobs.run_due(now=clock.get_now())
    assert models.Operation.objects.get(kind="wallets.exit").state == "reserved"
    travel(jobs.LEASE * 2)
    assert jobs.run_due(now=clock.get_now()) == 1
    assert core_models.Job.objects.filter(name="wallets.carry_out_exit", finished_at__isnull=True).count() == 0
    submit_waiting.submit_waiting(now=clock.get_now())
    town.finish()
    assert models.Operation.objects.get(kind="wallets.exit").state == "succeeded"
    assert models.CustodyExit.objects.get().state == "left"
    assert on_chain(town, ada) == (OWNER, True)


def test_an_exit_that_the_customer_carried_out_is_learned_from_the_chain(
    town: Town, ada: Person, travel: Any, fresh: None
) -> None:
    assert ask(ada).status_code == 202
    town.finish()
    travel(TWO_DAYS + datetime.timedelta(minutes=1))
    town.chain.send(
        words.parse_address(ada.wallet.address), control.encode_exit(), sender=chain_fixture.SPONSOR.address
    )
    assert jobs.run_due(now=clock.get_now()) == 1
    ada.wallet.refresh_from_db()
    assert (models.CustodyExit.objects.get().state, ada.wallet.left_custody_at is not None) == ("left", True)
    assert not models.Operation.objects.filter(kind="wallets.exit").exists()


def test_an_exit_that_is_called_off_never_happens(town: Town, ada: Person, travel: Any, fresh: None) -> None:
    assert ask(ada).status_code == 202
    assert (call_off(ada).status_code, call_off(ada).json()["code"]) == (409, "exit_not_announced")
    town.finish()
    second = ask(ada)
    assert (second.status_code, second.json()["code"]) == (409, "exit_open")
    assert (call_off(ada).status_code, call_off(ada).json()["state"]) == (202, "cancelling")
    town.finish()
    assert ada.get("wallet/exit/").json()["state"] == "cancelled"
    travel(TWO_DAYS + datetime.timedelta(minutes=1))
    jobs.run_due(now=clock.get_now())
    ada.wallet.owner_key.refresh_from_db()
    ada.grant.refresh_from_db()
    assert on_chain(town, ada)[1] is False
    assert (ada.wallet.owner_key.disabled_at, ada.grant.state) == (None, "pending")
    assert told(ada) == ["announced", "cancelled"]
    ada = renewed(town, ada, ada.grant)
    assert ask(ada).status_code == 202
    town.finish()
    assert ada.get("wallet/exit/").json()["state"] == "announced"


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({"new_owner": OWNER.lower()}, (422, "no_such_key")),
        ({"new_owner": "0x" + "00" * 20}, (422, "no_such_key")),
        ({"new_owner": "0x" + OWNER[2:].swapcase()}, (422, "no_such_key")),
        ({"passkey": {"x": "0x" + "11" * 32, "y": "0x" + "22" * 32}}, (422, "no_such_key")),
        ({"new_owner": "listed"}, (403, "address_listed")),
        ({"new_owner": "treasury"}, (409, "owner_is_ours")),
        ({"new_owner": "wallet"}, (409, "owner_is_ours")),
        ({"new_owner": "owner"}, (409, "owner_is_ours")),
        ({"new_owner": "contract"}, (409, "owner_is_contract")),
    ],
)
def test_what_is_no_key_of_the_customer_is_refused_and_nothing_moves(
    town: Town, ada: Person, settings: Any, body: dict[str, Any], refusal: tuple[int, str]
) -> None:
    named = {
        "listed": OWNER,
        "treasury": town.utility.treasury_address,
        "wallet": ada.wallet.address,
        "owner": ada.wallet.owner_key.address,
        "contract": words.checksummed(town.chain.deployment.stablecoin),
    }
    if body.get("new_owner") == "listed":
        settings.SCREENING_SANDBOX_LIST = [OWNER]
    body = {name: named.get(value, value) if isinstance(value, str) else value for name, value in body.items()}
    answer = ask(ada, **body)
    assert (answer.status_code, answer.json()["code"]) == refusal, answer.json()
    assert not models.CustodyExit.objects.exists()
    assert not models.Operation.objects.exists()


def test_a_frozen_wallet_does_not_leave(town: Town, ada: Person, fresh: None) -> None:
    with db.transaction():
        controls.freeze(
            utility_id=town.utility.pk,
            account=ada.wallet.address,
            chain_id=ada.wallet.chain_id,
            reason="asked by the police",
            by=None,
            now=clock.get_now(),
        )
    answer = ask(ada)
    assert (answer.status_code, answer.json()["code"]) == (409, "wallet_frozen")
    assert not models.CustodyExit.objects.exists()


def test_without_a_fresh_sign_in_nothing_is_announced(town: Town, ada: Person) -> None:
    answer = ask(ada)
    assert (answer.status_code, answer.json()["code"]) == (403, "step_up_required")
    assert not models.CustodyExit.objects.exists()


def test_staff_ask_for_it_by_two_people(town: Town, ada: Person, travel: Any) -> None:
    maker, checker = (customers.User.create(email=f"{name}@town.example") for name in ("maker", "checker"))
    for person in (maker, checker):
        customers.StaffRole.create(user=person, utility=town.utility, role="administrator")
    change = decide_change.propose(
        kind="custody_exit",
        subject=str(ada.wallet.pk),
        after={"new_owner": OWNER},
        reason="Ada came to the desk.",
        maker=maker,
        now=clock.get_now(),
    )
    with pytest.raises(decide_change.UnableToDecide):
        decide_change.approve(change_id=change.pk, checker=maker, now=clock.get_now())
    assert not models.CustodyExit.objects.exists()
    decide_change.approve(change_id=change.pk, checker=checker, now=clock.get_now())
    assert jobs.run_due(now=clock.get_now()) == 1
    town.finish()
    row = models.CustodyExit.objects.get()
    assert (row.state, row.new_owner, row.change_id, row.asked_by) == ("announced", OWNER, change.pk, maker)
    assert told(ada) == ["announced"]
    assert call_off(ada).status_code == 202


def test_two_people_replace_the_owner_key_and_apps_go_on(town: Town, ada: Person, travel: Any) -> None:
    _bill, answer = pay(town, ada, 7)
    assert answer.status_code == 202, answer.json()
    town.finish()
    waiting = town.grant(user=ada.user, wallet=ada.wallet)
    maker, checker = (customers.User.create(email=f"{name}@town.example") for name in ("maker", "checker"))
    for person in (maker, checker):
        customers.StaffRole.create(user=person, utility=town.utility, role="administrator")
    change = decide_change.propose(
        kind="owner_key",
        subject=str(ada.wallet.pk),
        after={"replace": True},
        reason="Yearly.",
        maker=maker,
        now=clock.get_now(),
    )
    decide_change.approve(change_id=change.pk, checker=checker, now=clock.get_now())
    old = ada.wallet.owner_key
    assert jobs.run_due(now=clock.get_now()) == 1
    town.finish()
    rotation = models.OwnerRotation.objects.get()
    assert (rotation.state, on_chain(town, ada)[0]) == ("announced", old.address)
    travel(TWO_DAYS + datetime.timedelta(minutes=1))
    assert jobs.run_due(now=clock.get_now()) == 1
    town.finish()
    assert jobs.run_due(now=clock.get_now()) == 1
    rotation.refresh_from_db()
    ada.wallet.refresh_from_db()
    old.refresh_from_db()
    assert rotation.state == "done"
    assert ada.wallet.owner_key == rotation.new_key != old
    assert (on_chain(town, ada), old.disabled_at is not None) == ((ada.wallet.owner_key.address, False), True)
    assert told(ada) == ["rotation", "rotated"]
    for month, grant in ((8, ada.grant), (9, waiting)):
        _bill, answer = pay(town, renewed(town, ada, grant), month)
        assert answer.status_code == 202, answer.json()
        town.finish()
    assert (
        sorted(models.Operation.objects.filter(kind="billing.payment").values_list("state", flat=True))
        == ["succeeded"] * 3
    )
