"""Spending policies, screening and the watch over wallets, on a real chain."""

import datetime
import json
import pathlib
import uuid
from typing import Any

import pytest
from django import test

import contracts
from billing import models as billing_models
from contracts.bindings import words
from controls import models, queries
from controls import operations as controls
from controls.usecases import decide_change
from customers import models as customer_models
from notifications import models as notice_models
from openvpp.core import clock, jobs
from tests.factories import customers, wallets
from tests.functional.conftest import DUE_UNITS, Person, Town
from wallets import models as wallet_models
from wallets.adapters import chain
from wallets.usecases import compare_grants, submit_waiting, watch_wallets


def administrator(town: Town) -> customer_models.User:
    user: customer_models.User = customers.StaffRole.create(utility=town.utility, role="administrator").user
    return user


def decide(town: Town, kind: str, subject: object, after: dict[str, Any]) -> None:
    now = clock.get_now()
    change = decide_change.propose(
        kind=kind, subject=str(subject), after=after, reason="As agreed", maker=administrator(town), now=now
    )
    decide_change.approve(change_id=change.pk, checker=administrator(town), now=now)


def pay(person: Person, bill: billing_models.Bill) -> Any:
    quote = person.post(f"bills/{bill.pk}/quotes/", {"token": "USDX", "fee_mode": "utility"}).json()
    body = {"quote_id": quote["quote_id"], "amount_units": quote["amount_units"]}
    return person.post(f"bills/{bill.pk}/payments/", body)


def add_rule(town: Town, rule: dict[str, Any]) -> None:
    rules = queries.get_rules(utility_id=town.utility.pk, account=customers.address(), chain_id=31337)
    current = rules.layers[0].policy.to_json()
    document = current | {"rules": [*current["rules"], rule]}
    decide(town, "spending_policy", f"utility:{town.utility.pk}", {"document": document})


def explain(person: Person, user: customer_models.User, *, scope: str = "policies:read", **changes: Any) -> Any:
    application = wallets.Application.create(utility=person.wallet.utility, allowed_scopes=scope)
    token = wallets.AccessToken.create(application=application, user=user, scope=scope)
    body = {
        "wallet": person.wallet.address,
        "action": "billing.payment",
        "token": person.grant.token,
        "payees": [person.wallet.utility.treasury_address],
        "units": str(DUE_UNITS),
    }
    return test.Client().post(
        "/api/v1/policies/explain/", json.dumps(body | changes), "application/json", headers=wallets.bearer(token=token)
    )


def test_a_rule_refuses_a_payment_nothing_moves_and_explain_says_why(town: Town, ada: Person) -> None:
    add_rule(
        town,
        {
            "name": "at most 200 a day",
            "effect": "deny",
            "when": [{"kind": "actions", "among": ["billing.payment"]}],
            "unless": [{"kind": "spent", "at_most_units": "200000000", "seconds": 86400}],
        },
    )
    first, second = town.bill(ada, month=8), town.bill(ada, month=9)
    assert pay(ada, first).status_code == 202
    before = wallet_models.SessionKeyGrant.objects.values_list("reserved_total_units").get(pk=ada.grant.pk)
    refused = pay(ada, second)
    assert (refused.status_code, refused.json()["code"]) == (403, "denied_by_rule")
    assert (refused.json()["scope"], refused.json()["version"], refused.json()["rule"]) == (
        "utility",
        1,
        "at most 200 a day",
    )
    assert wallet_models.SessionKeyGrant.objects.values_list("reserved_total_units").get(pk=ada.grant.pk) == before
    assert billing_models.Payment.objects.count() == 1
    second.refresh_from_db()
    assert second.state == "issued"

    told = explain(ada, administrator(town))
    assert told.status_code == 200, told.json()
    assert (told.json()["allowed"], told.json()["code"]) == (False, "denied_by_rule")
    assert told.json()["decided_by"] == {"scope": "utility", "version": 1, "rule": "at most 200 a day"}
    assert told.json()["steps"][2]["conditions"][1]["holds"] is False
    small = explain(ada, administrator(town), units="1").json()
    assert (small["allowed"], small["decided_by"]["rule"]) == (True, "customers pay their bills")
    tomorrow = (clock.get_now() + datetime.timedelta(days=2)).isoformat()
    assert explain(ada, administrator(town), at=tomorrow).json()["allowed"] is True
    assert wallet_models.Operation.objects.count() == 1


def test_four_callers_of_explain(town: Town, ada: Person) -> None:
    assert test.Client().post("/api/v1/policies/explain/", "{}", "application/json").status_code == 401
    assert explain(ada, administrator(town), scope="wallet:read").status_code == 403
    assert explain(ada, ada.user).status_code == 404
    other = customers.StaffRole.create(role="administrator").user
    assert explain(ada, other).status_code == 404
    csr = customers.StaffRole.create(utility=town.utility, role="csr").user
    assert explain(ada, csr).status_code == 200


def test_a_listed_payee_is_refused_with_its_reason(town: Town, ada: Person, settings: Any) -> None:
    settings.SCREENING_SANDBOX_LIST = (ada.wallet.address.lower(),)
    bill = town.bill(ada)
    answer = pay(ada, bill)
    assert answer.status_code == 202
    payment = billing_models.Payment.objects.get()
    assert payment.state == "failed"
    assert payment.failure == f"{ada.wallet.address} is on a list of addresses that nobody may be paid by or pay."
    row = models.Screening.objects.get()
    assert (row.outcome, row.decision, row.listed, row.direction) == (
        "listed",
        "refused",
        [ada.wallet.address],
        "payout",
    )
    ada.grant.refresh_from_db()
    assert ada.grant.reserved_total_units == 0
    bill.refresh_from_db()
    assert bill.state == "issued"


@pytest.mark.parametrize(("when_down", "state"), [("hold", "reserved"), ("allow", "queued"), ("refuse", "failed")])
def test_while_nobody_can_check_each_utility_does_as_it_decided(
    town: Town, ada: Person, settings: Any, when_down: str, state: str
) -> None:
    if when_down != "hold":
        decide(town, "screening", town.utility.pk, {"when_down": when_down})
    settings.SCREENING_URL = "http://127.0.0.1:9/"
    pay(ada, town.bill(ada))
    operation = wallet_models.Operation.objects.get()
    assert operation.state == state
    if when_down == "hold":
        assert submit_waiting.submit_waiting(now=clock.get_now()) == 0
        settings.SCREENING_URL = ""
        assert submit_waiting.submit_waiting(now=clock.get_now()) == 1
        operation.refresh_from_db()
        assert operation.state == "queued"
    found = list(models.Screening.objects.order_by("pk").values_list("outcome", "decision"))
    assert (
        found
        == {
            "hold": [("down", "held"), ("clear", "passed")],
            "allow": [("down", "passed")],
            "refuse": [("down", "refused")],
        }[when_down]
    )


def watch(town: Town) -> int:
    town.chain.rpc("anvil_mine", "0x4")
    return watch_wallets.watch_wallets(chain_id=town.chain.chain_id, now=clock.get_now())


def test_deposits_are_seen_once_and_a_listed_sender_freezes_the_wallet(town: Town, ada: Person, settings: Any) -> None:
    staff = administrator(town)
    assert watch(town) == 0
    town.chain.give(words.parse_address(ada.wallet.address), 5)
    assert watch(town) == 1
    deposit = models.Deposit.objects.get()
    assert (deposit.account, deposit.units, deposit.token) == (ada.wallet.address, 5, town.stablecoin.address)
    assert models.Screening.objects.get(direction="deposit").decision == "passed"
    assert watch(town) == 0
    settings.SCREENING_SANDBOX_LIST = (deposit.sender,)
    town.chain.give(words.parse_address(ada.wallet.address), 7)
    assert watch(town) == 1
    freeze = models.Freeze.objects.get()
    assert freeze.account == ada.wallet.address
    assert notice_models.Notice.objects.get(user=staff).kind == "wallet.frozen"
    settings.SCREENING_SANDBOX_LIST = ()
    refused = pay(ada, town.bill(ada))
    assert (refused.status_code, refused.json()["code"]) == (403, "wallet_frozen")
    with pytest.raises(controls.UnableToPass):
        controls.screen(
            utility_id=town.utility.pk,
            direction="deposit",
            reference="x",
            addresses=[_list(settings)],
            now=clock.get_now(),
        )


def _list(settings: Any) -> str:
    address = customers.address()
    settings.SCREENING_SANDBOX_LIST = (address.lower(),)
    return address


def test_a_session_that_no_grant_knows_freezes_the_wallet(town: Town, ada: Person) -> None:
    staff = administrator(town)
    assert watch(town) == 0
    pay(ada, town.bill(ada))
    town.finish()
    assert watch(town) == 1
    assert not models.Freeze.objects.exists()
    # The same log again, for a grant that the books do not hold.
    models.ChainCursor.objects.update(block_number=0)
    wallet_models.SessionKeyGrant.objects.filter(pk=ada.grant.pk).update(policy_hash="0x" + uuid.uuid4().hex * 2)
    watch(town)
    freeze = models.Freeze.objects.get()
    assert freeze.account == ada.wallet.address
    assert "no app was granted it" in freeze.reason
    assert notice_models.Notice.objects.get(user=staff).title == f"Wallet {ada.wallet.address} is frozen"


def test_a_key_for_other_calls_than_bills_freezes_the_wallet(town: Town, ada: Person) -> None:
    assert watch(town) == 0
    abi = json.loads((pathlib.Path(contracts.__file__).parent / "abi" / "AccountControl.json").read_text())
    (event,) = [each for each in abi["abi"] if each.get("name") == "CallSessionInstalled"]
    kinds = ",".join(part["type"] for part in event["inputs"][3]["components"])
    topic = words.keccak(f"CallSessionInstalled(bytes32,address,bytes32,({kinds}))".encode())
    # Code that tells so and does nothing else: PUSH32 each topic, the last first, PUSH1 0 twice, LOG4.
    told = b"".join(b"\x7f" + word for word in (b"\x03" * 32, b"\x02" * 32, b"\x01" * 32, topic)) + b"\x5f\x5f\xa4"
    stranger = customers.address()
    town.chain.rpc("anvil_setCode", ada.wallet.address, "0x" + told.hex())
    town.chain.rpc("anvil_setBalance", stranger, hex(10**18))
    town.chain.rpc("eth_sendTransaction", {"from": stranger, "to": ada.wallet.address})
    assert watch(town) == 1
    freeze = models.Freeze.objects.get()
    assert (freeze.account, "01" * 32 in freeze.reason) == (ada.wallet.address, True)


def state_of(grant: wallet_models.SessionKeyGrant) -> str:
    grant.refresh_from_db()
    return str(grant.state)


def test_the_key_of_a_grant_that_has_ended_is_taken_off_the_chain_where_it_stands_all_the_same(
    town: Town, ada: Person
) -> None:
    assert watch(town) == 0
    pay(ada, town.bill(ada))
    town.finish()
    # As if the operation that installed it were not known here when the grant was ended.
    wallet_models.SessionKeyGrant.objects.filter(pk=ada.grant.pk).update(state="revoked", ended_at=clock.get_now())
    assert watch(town) == 1
    assert state_of(ada.grant) == "revoking"
    jobs.run_due(now=clock.get_now())
    town.finish()
    assert state_of(ada.grant) == "revoked"
    found = chain.read_session(
        account=ada.wallet.address, session_id=str(ada.grant.policy_hash), chain_id=town.chain.chain_id
    )
    assert found is not None
    assert found.is_revoked
    assert not models.Freeze.objects.exists()


def test_grants_are_compared_with_what_their_accounts_say(town: Town, ada: Person) -> None:
    pay(ada, town.bill(ada))
    town.finish()
    assert state_of(ada.grant) == "active"
    grants, now = wallet_models.SessionKeyGrant.objects.filter(pk=ada.grant.pk), clock.get_now()
    assert compare(now) == 0
    grants.update(state="failed", ended_at=now)
    assert compare(now) == 1
    assert state_of(ada.grant) == "revoking"
    jobs.run_due(now=clock.get_now())
    town.finish()
    assert (state_of(ada.grant), compare(now)) == ("revoked", 0)
    grants.update(state="active")
    assert compare(now) == 1
    assert state_of(ada.grant) == "revoking"
    grants.update(state="active", policy_hash="0x" + uuid.uuid4().hex * 2)
    assert compare(now) == 1
    assert state_of(ada.grant) == "pending"


def compare(now: datetime.datetime) -> int:
    return compare_grants.compare(round_="", after="", now=now)


def test_the_comparison_goes_on_hundred_by_hundred(town: Town, ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare_grants, "MOST", 2)
    asked: list[int] = []
    read = chain.read_sessions

    def count(**given: Any) -> Any:
        asked.append(len(given["sessions"]))
        return read(**given)

    monkeypatch.setattr(chain, "read_sessions", count)
    pay(ada, town.bill(ada))
    town.finish()
    for _ in range(4):
        other = town.grant(user=ada.user, wallet=ada.wallet)
        wallet_models.SessionKeyGrant.objects.filter(pk=other.pk).update(state="active")
    now = clock.get_now()
    compare_grants.start(now=now)
    compare_grants.start(now=now)
    jobs.run_due(now=now)
    assert asked == [2, 2, 1]
    assert sorted(wallet_models.SessionKeyGrant.objects.values_list("state", flat=True)) == ["active", *["pending"] * 4]
