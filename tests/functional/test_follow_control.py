"""What a customer's key does on the chain without us is noticed, and the rows follow; on a real chain."""

import datetime
from typing import Any

import pytest
from django.conf import settings

from contracts.bindings import control, words
from controls import models as controls_models
from custody import operations as custody
from openvpp.core import clock
from tests import chain_fixture
from tests.functional import test_leave_custody as leaving
from tests.functional.conftest import Person, Town
from tests.integration.custody import test_control
from wallets import models
from wallets.usecases import watch_wallets

travel, fresh = leaving.travel, leaving.fresh
NEXT = chain_fixture.Key(words.keccak(b"the customer's other key"))


def watch(town: Town) -> int:
    town.chain.rpc("anvil_mine", hex(settings.CHAIN_CONFIRMATIONS + 1))
    return watch_wallets.watch_wallets(chain_id=town.chain.chain_id, now=clock.get_now())


def as_customer(town: Town, person: Person, call: bytes, nonce: int) -> None:
    """Have the enrolled key sign a call, and somebody else bring it."""
    account = words.parse_address(person.wallet.address)
    digest = control.customer_call_digest(call=call, nonce=nonce, chain_id=town.chain.chain_id, account=account)
    signed = control.encode_call_as_customer(call=call, signature=leaving.HOLDER.sign(digest))
    town.chain.send(account, signed, sender=chain_fixture.SPONSOR.address)


def test_an_exit_made_on_the_chain_is_noticed_and_signing_stops(
    town: Town, ada: Person, travel: Any, fresh: None
) -> None:
    watch(town)
    assert leaving.pay(town, ada, 7)[1].status_code == 202
    town.finish()
    assert leaving.ask(ada).status_code == 202
    town.finish()
    assert leaving.call_off(ada).status_code == 202
    town.finish()
    watch(town)
    assert models.CustodyExit.objects.get().state == "cancelled"

    owner = words.checksummed(NEXT.address)
    as_customer(town, ada, control.encode_announce_exit(owner=NEXT.address, keeps_guardian=False), 0)
    watch(town)
    row = models.CustodyExit.objects.get(new_owner=owner)
    assert (row.state, row.asked_by) == ("announced", ada.user)
    assert ada.get("wallet/").json()["custody"] == "leaving"
    as_customer(town, ada, control.encode_cancel_exit(), 1)
    watch(town)
    row.refresh_from_db()
    assert row.state == "cancelled"

    as_customer(town, ada, control.encode_announce_exit(owner=NEXT.address, keeps_guardian=False), 2)
    travel(datetime.timedelta(hours=48, minutes=1))
    town.chain.send(
        words.parse_address(ada.wallet.address), control.encode_exit(), sender=chain_fixture.SPONSOR.address
    )
    watch(town)
    watch(town)
    ada.wallet.refresh_from_db()
    ada.grant.refresh_from_db()
    left = models.CustodyExit.objects.get(state="left")
    assert (left.new_owner, ada.wallet.left_custody_at) == (owner, left.ended_at)
    assert ada.grant.state == "revoked"
    assert leaving.renewed(town, ada, None).get("wallet/").json()["custody"] == "self"
    with pytest.raises(custody.UnableToSign) as refusal:
        test_control.sign_on(ada.wallet.owner_key, control.encode_cancel_exit(), chain_id=town.chain.chain_id)
    assert refusal.value.code == "key_disabled"
    assert leaving.told(ada) == ["announced", "cancelled", "announced", "cancelled", "left"]
    assert not controls_models.Freeze.objects.exists()
