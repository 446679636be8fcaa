"""An account changes hands two days after it was asked for: wallet and key are checked again, at every step."""

import datetime
from typing import Any

import pytest

from contracts.bindings import control
from controls import models as controls_models
from openvpp.core import clock, jobs
from tests.functional import test_follow_control as following
from tests.functional import test_leave_custody as leaving
from tests.functional import test_recover_wallet as recovering
from tests.functional.conftest import Person, Town
from wallets import models

travel, fresh, owner = leaving.travel, leaving.fresh, recovering.owner
pytestmark = pytest.mark.usefixtures("fresh")
LISTED = "is on a list"


def test_a_key_that_is_listed_by_the_time_gets_no_account(town: Town, ada: Person, travel: Any, settings: Any) -> None:
    assert leaving.ask(ada).status_code == 202
    town.finish()
    before = leaving.on_chain(town, ada)
    travel(recovering.A_BIT_OVER)
    settings.SCREENING_SANDBOX_LIST = (leaving.OWNER,)
    assert jobs.run_due(now=clock.get_now()) == 1
    town.finish()
    row = models.CustodyExit.objects.get()
    assert (row.state, LISTED in row.failure) == ("cancelled", True)
    assert leaving.told(ada) == ["announced", "held", "cancelled"]
    checks = controls_models.Screening.objects.filter(reference=f"exit:{row.pk}").order_by("pk")
    assert [check.outcome for check in checks] == ["clear", "listed"]
    assert not models.Operation.objects.filter(kind="wallets.exit").exists()
    jobs.run_due(now=clock.get_now())
    assert leaving.on_chain(town, ada) == before


def test_the_customers_own_exit_is_not_called_off_but_waits(
    town: Town, ada: Person, travel: Any, settings: Any
) -> None:
    assert leaving.ask(ada).status_code == 202
    town.finish()
    again = control.encode_announce_exit(owner=bytes.fromhex(leaving.OWNER[2:]), keeps_guardian=False)
    following.as_customer(town, ada, again, nonce=0)
    following.watch(town)
    travel(recovering.A_BIT_OVER)
    settings.SCREENING_SANDBOX_LIST = (ada.wallet.address,)
    assert jobs.run_due(now=clock.get_now()) >= 1
    town.finish()
    assert models.CustodyExit.objects.get().state == "announced"
    assert leaving.told(ada)[-1] == "held"
    settings.SCREENING_SANDBOX_LIST = ()
    travel(datetime.timedelta(hours=1, minutes=1))
    assert jobs.run_due(now=clock.get_now()) >= 1
    town.finish()
    assert models.CustodyExit.objects.get().state == "left"
    assert leaving.on_chain(town, ada) == (leaving.OWNER, True)


def test_a_screener_that_is_down_holds_an_exit_as_the_utility_wishes(
    town: Town, ada: Person, travel: Any, settings: Any
) -> None:
    assert leaving.ask(ada).status_code == 202
    town.finish()
    travel(recovering.A_BIT_OVER)
    settings.SCREENING_URL = "http://127.0.0.1:9/"
    jobs.run_due(now=clock.get_now())
    assert models.CustodyExit.objects.get().state == "announced"
    assert not models.Operation.objects.filter(kind="wallets.exit").exists()
    settings.SCREENING_URL = ""
    travel(jobs.LEASE * 2)
    assert jobs.run_due(now=clock.get_now()) == 1
    town.finish()
    assert models.CustodyExit.objects.get().state == "left"


def test_a_recovery_is_neither_proposed_nor_carried_out_for_a_listed_key(
    town: Town, owner: Person, travel: Any, settings: Any
) -> None:
    settings.SCREENING_SANDBOX_LIST = (recovering.OWNER,)
    refused = owner.post("wallet/recovery/", {"new_owner": recovering.OWNER})
    assert (refused.status_code, refused.json()["code"]) == (403, "address_listed")
    settings.SCREENING_SANDBOX_LIST = ()
    assert owner.post("wallet/recovery/", {"new_owner": recovering.OWNER}).status_code == 201
    assert recovering.prove(owner).status_code == 200
    settings.SCREENING_SANDBOX_LIST = (recovering.OWNER,)
    recovering.decide(town, owner)
    row = models.WalletRecovery.objects.get()
    assert (row.state, LISTED in row.failure) == ("failed", True)

    settings.SCREENING_SANDBOX_LIST = ()
    row = recovering.announce(town, owner)
    travel(recovering.A_BIT_OVER)
    settings.SCREENING_SANDBOX_LIST = (recovering.OWNER,)
    assert jobs.run_due(now=clock.get_now()) == 1
    row.refresh_from_db()
    assert (row.state, leaving.told(owner)[-1]) == ("announced", "held")
    assert not models.Operation.objects.filter(kind="wallets.recover").exists()
    settings.SCREENING_SANDBOX_LIST = ()
    travel(datetime.timedelta(hours=1, minutes=1))
    assert jobs.run_due(now=clock.get_now()) == 1
    town.finish()
    row.refresh_from_db()
    assert row.state == "done"
