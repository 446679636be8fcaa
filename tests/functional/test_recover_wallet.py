"""A customer who owns their wallet loses the key and gets it back, on a real chain whose time is moved."""

import datetime
from typing import Any

import pytest

from contracts.bindings import accounts, tokens, words
from controls.usecases import decide_change
from custody.domain import recoveries
from openvpp.core import clock, jobs
from tests import chain_fixture
from tests.chain import phone as phones
from tests.factories import customers
from tests.functional import test_follow_control as following
from tests.functional import test_leave_custody as leaving
from tests.functional.conftest import Person, Town
from wallets import models, operations
from wallets.adapters import chain
from wallets.usecases import follow_recovery, watch_wallets

travel, fresh = leaving.travel, leaving.fresh
pytestmark = pytest.mark.usefixtures("fresh")
NEXT = chain_fixture.Key(words.keccak(b"the key after the lost one"))
OWNER = words.checksummed(NEXT.address)
HEIR = bytes.fromhex("4e" * 20)
A_BIT_OVER = leaving.TWO_DAYS + datetime.timedelta(minutes=1)


@pytest.fixture
def owner(town: Town, ada: Person, travel: Any) -> Person:
    """Ada owns her wallet with a key that she holds, and kept her utility as guardian."""
    refused = leaving.ask(ada, new_owner=leaving.OWNER, keeps_guardian=True)
    assert (refused.status_code, refused.json()["code"]) == (409, "no_guardian")
    operations.open_guardian_wallet(utility_id=town.utility.pk, now=clock.get_now())
    asked = leaving.ask(ada, new_owner=leaving.OWNER, keeps_guardian=True)
    assert (asked.status_code, asked.json()["state"]) == (202, "appointing"), asked.json()
    for state in ("appointing", "announced"):
        town.finish()
        assert models.CustodyExit.objects.get().state == state
        travel(A_BIT_OVER)
        assert jobs.run_due(now=clock.get_now()) == 1
    town.finish()
    row = models.CustodyExit.objects.get()
    assert (row.state, row.keeps_guardian) == ("left", True)
    ada.wallet.refresh_from_db()
    assert leaving.told(ada) == ["guardian", "announced", "ready", "left"]
    following.watch(town)
    return leaving.renewed(town, ada, None)


def prove(person: Person, *, by: chain_fixture.Key = NEXT) -> Any:
    message = person.get("wallet/recovery/").json()["message"]
    signature = by.sign(recoveries.digest(text=message))
    return person.post("wallet/recovery/proof/", {"signature": "0x" + words.signature(signature).hex()})


def decide(town: Town, person: Person, new_owner: str = OWNER) -> None:
    maker, checker = (customers.User.create() for _ in range(2))
    for staff in (maker, checker):
        customers.StaffRole.create(user=staff, utility=town.utility, role="administrator")
    now = clock.get_now()
    change = decide_change.propose(
        kind="recover_wallet",
        subject=str(person.wallet.pk),
        after={"new_owner": new_owner},
        reason="Ada came to the desk with her passport.",
        maker=maker,
        now=now,
    )
    with pytest.raises(decide_change.UnableToDecide):
        decide_change.approve(change_id=change.pk, checker=maker, now=now)
    decide_change.approve(change_id=change.pk, checker=checker, now=now)
    assert jobs.run_due(now=now) == 1


def announce(town: Town, person: Person) -> models.WalletRecovery:
    asked = person.post("wallet/recovery/", {"new_owner": OWNER})
    assert (asked.status_code, asked.json()["state"]) == (201, "asked"), asked.json()
    proven = prove(person)
    assert (proven.status_code, proven.json()["state"]) == (200, "proven"), proven.json()
    decide(town, person)
    town.finish()
    shown = person.get("wallet/recovery/").json()
    assert (shown["state"], shown["new_owner"]) == ("announced", OWNER), shown
    row = models.WalletRecovery.objects.get(pk=shown["id"])
    assert row.previous_owner == leaving.OWNER
    assert row.ready_at is not None
    assert abs(row.ready_at - clock.get_now() - leaving.TWO_DAYS) < datetime.timedelta(minutes=5)
    return row


def send(town: Town, to: bytes, data: bytes, *, sender: chain_fixture.Key) -> None:
    """Send a key's own transaction, for which it has coin."""
    town.chain.rpc("anvil_setBalance", words.checksummed(sender.address), hex(10**18))
    town.chain.send(to, data, sender=sender.address)


def gift(town: Town) -> bytes:
    transfer = tokens.encode_transfer(to=HEIR, amount_units=5)
    return accounts.encode_execute_batch(calls=[accounts.Call(to=town.chain.deployment.stablecoin, data=transfer)])


def test_a_lost_key_is_replaced_and_owns_nothing_more(town: Town, owner: Person, travel: Any) -> None:
    account = words.parse_address(owner.wallet.address)
    assert owner.post("wallet/recovery/", {"new_owner": leaving.OWNER}).json()["code"] == "same_key"
    assert owner.post("wallet/recovery/", {"new_owner": OWNER}).status_code == 201
    with pytest.raises(decide_change.UnableToPropose):
        decide(town, owner, new_owner="")
    refused = prove(owner, by=leaving.HOLDER)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_signature")
    assert models.WalletRecovery.objects.get().state == "asked"
    row = announce(town, owner)
    assert models.WalletRecovery.objects.exclude(pk=row.pk).get().state == "cancelled"

    travel(datetime.timedelta(hours=47))
    assert jobs.run_due(now=clock.get_now()) == 0
    assert leaving.on_chain(town, owner) == (leaving.OWNER, True)
    travel(datetime.timedelta(hours=1, minutes=1))
    assert jobs.run_due(now=clock.get_now()) == 1
    town.finish()
    row.refresh_from_db()
    assert (row.state, row.ended_at is not None) == ("done", True)
    assert leaving.on_chain(town, owner) == (OWNER, True)
    assert leaving.told(owner)[-2:] == ["recovery", "recovered"]

    with pytest.raises(chain_fixture.RefusedByNode):
        town.chain.call(account, gift(town), sender=leaving.HOLDER.address)
    # Whoever finds it does not stand in the way of the next recovery either.
    with pytest.raises(chain_fixture.RefusedByNode):
        town.chain.call(account, accounts.encode_cancel_change(call=b"any"), sender=leaving.HOLDER.address)
    town.chain.call(account, accounts.encode_cancel_change(call=b"any"), sender=NEXT.address)
    send(town, account, gift(town), sender=NEXT)
    assert town.held(words.checksummed(HEIR))[0] == 5
    assert following.watch(town) >= 0
    assert models.WalletRecovery.objects.filter(state="done").count() == 1


def test_the_customers_key_calls_it_off(town: Town, owner: Person, travel: Any) -> None:
    row = announce(town, owner)
    digest = bytes.fromhex(owner.get("wallet/recovery/cancel/").json()["digest"][2:])
    for key, expected in ((NEXT, (422, "invalid_signature")), (leaving.HOLDER, (202, None))):
        signature = "0x" + words.signature(key.sign(digest)).hex()
        answer = owner.post("wallet/recovery/cancel/", {"signature": signature})
        assert (answer.status_code, answer.json().get("code")) == expected, answer.json()
    town.finish()
    row.refresh_from_db()
    assert row.state == "cancelled"
    assert leaving.told(owner)[-2:] == ["recovery", "recovery_cancelled"]
    travel(A_BIT_OVER)
    jobs.run_due(now=clock.get_now())
    assert leaving.on_chain(town, owner) == (leaving.OWNER, True)
    with pytest.raises(chain_fixture.RefusedByNode):
        town.chain.call(words.parse_address(owner.wallet.address), follow_recovery.encode(row), sender=NEXT.address)


def test_the_customers_key_calls_it_off_on_the_chain_and_that_is_noticed(town: Town, owner: Person) -> None:
    row = announce(town, owner)
    cancel = accounts.encode_cancel_change(call=follow_recovery.encode(row))
    send(town, words.parse_address(owner.wallet.address), cancel, sender=leaving.HOLDER)
    following.watch(town)
    row.refresh_from_db()
    assert row.state == "cancelled"
    assert leaving.told(owner)[-1] == "recovery_cancelled"
    assert watch_wallets.watch_wallets(chain_id=town.chain.chain_id, now=clock.get_now()) == 0


def test_a_passkey_is_recovered_by_a_passkey_and_both_speak_by_assertion(town: Town, ada: Person, travel: Any) -> None:
    lost, found = phones.Phone(0x1057), phones.Phone(0xF0D)

    def coordinates(phone: phones.Phone) -> dict[str, str]:
        return dict(zip(("x", "y"), (f"0x{number:064x}" for number in phone.point), strict=True))

    operations.open_guardian_wallet(utility_id=town.utility.pk, now=clock.get_now())
    assert leaving.ask(ada, passkey=coordinates(lost), keeps_guardian=True).status_code == 202
    for _ in range(2):
        town.finish()
        travel(A_BIT_OVER)
        assert jobs.run_due(now=clock.get_now()) == 1
    town.finish()
    ada.wallet.refresh_from_db()
    person = leaving.renewed(town, ada, None)
    assert leaving.on_chain(town, person) == (words.checksummed(lost.address), True)

    for ending in ("cancelled", "done"):
        asked = person.post("wallet/recovery/", {"passkey": coordinates(found)}).json()
        digest = bytes.fromhex(asked["digest"][2:])
        assert digest == recoveries.digest(text=asked["message"])
        for body, code in (
            ({"assertion": lost.assertion(digest)}, "invalid_signature"),
            ({"assertion": found.assertion(bytes(32))}, "invalid_signature"),
            ({}, "one_proof_wanted"),
        ):
            refused = person.post("wallet/recovery/proof/", body)
            assert (refused.status_code, refused.json()["code"]) == (422, code)
        proven = person.post("wallet/recovery/proof/", {"assertion": found.assertion(digest)})
        assert (proven.status_code, proven.json()["state"]) == (200, "proven"), proven.json()
        decide(town, person, new_owner=words.checksummed(found.address))
        town.finish()
        assert person.get("wallet/recovery/").json()["state"] == "announced"
        if ending == "cancelled":
            wanted = bytes.fromhex(person.get("wallet/recovery/cancel/").json()["digest"][2:])
            refused = person.post("wallet/recovery/cancel/", {"assertion": found.assertion(wanted)})
            assert (refused.status_code, refused.json()["code"]) == (422, "invalid_signature")
            called_off = person.post("wallet/recovery/cancel/", {"assertion": lost.assertion(wanted)})
            assert called_off.status_code == 202, called_off.json()
        else:
            travel(A_BIT_OVER)
            assert jobs.run_due(now=clock.get_now()) >= 1  # that of the recovery that was called off, too
        town.finish()
        person = leaving.renewed(town, person, None)
        assert person.get("wallet/recovery/").json()["state"] == ending
    assert leaving.on_chain(town, person) == (words.checksummed(found.address), True)
    state = chain.read_control(account=person.wallet.address, chain_id=town.chain.chain_id)
    assert state is not None
    assert words.checksummed(state.customer) == words.checksummed(found.address)


def test_a_custodial_wallet_needs_no_recovery(town: Town, ada: Person) -> None:
    answer = ada.post("wallet/recovery/", {"new_owner": OWNER})
    assert (answer.status_code, answer.json()["code"]) == (409, "not_self_custodied")
    assert not models.WalletRecovery.objects.exists()
