"""Wallets follow a treasury that two people moved, by themselves; nothing is signed for the old one any more."""

import secrets
from typing import Any

import pytest

from contracts.bindings import words
from controls import models as controls_models
from controls.usecases import decide_change
from custody import models as custody_models
from custody import operations as custody
from custody.adapters import signer as signer_adapter
from customers import models as customer_models
from openvpp.core import clock, db, errors, jobs
from openvpp.core import models as core_models
from tests.factories import customers, wallets
from tests.integration.custody.test_signer import CHAIN_ID, deployment
from wallets import models, queries
from wallets.usecases import follow_treasury

__all__ = ["deployment"]
OLD, NEW = (words.checksummed(bytes.fromhex(pair * 20)) for pair in ("22", "77"))


@pytest.fixture
def utility(signer: str, deployment: None) -> customer_models.Utility:
    made: customer_models.Utility = customers.Utility.create(treasury_address=OLD)
    return made


def open_wallet(utility: customer_models.Utility, payee: str = OLD) -> models.Wallet:
    customer = customers.Customer.create(utility=utility)
    key = custody.create_key(
        purpose="wallet_owner",
        subject=f"wallet:customer:{customer.pk}",
        policy={"chain_id": CHAIN_ID, "salt": "0x" + secrets.token_hex(32), "payee": payee},
    )
    made: models.Wallet = wallets.Wallet.create(
        customer=customer, owner_key=key, address=words.checksummed(bytes.fromhex(key.policy["account"][2:]))
    )
    return made


def move(utility: customer_models.Utility, *, to: str = NEW) -> controls_models.ChangeRequest:
    maker, checker = (customers.StaffRole.create(utility=utility, role="administrator").user for _each in range(2))
    change = decide_change.propose(
        kind="utility_terms",
        subject=str(utility.pk),
        after={"treasury_address": to},
        reason="Another bank",
        maker=maker,
        now=clock.get_now(),
    )
    return decide_change.approve(change_id=change.pk, checker=checker, now=clock.get_now())


def payee_of(wallet: models.Wallet) -> str:
    key = custody_models.SealedKey.objects.get(pk=wallet.owner_key_id)
    return words.checksummed(bytes.fromhex(key.policy["payee"][2:]))


def payment(grant: models.SessionKeyGrant) -> models.Operation:
    made: models.Operation = models.Operation.objects.create(
        wallet=grant.wallet,
        grant=grant,
        kind="billing.payment",
        reference="0x" + secrets.token_hex(16),
        intent={"payee": grant.payee, "token": grant.token},
        created_at=clock.get_now(),
        updated_at=clock.get_now(),
    )
    return made


def test_wallets_follow_and_what_may_pay_the_old_treasury_ends(utility: customer_models.Utility) -> None:
    wallet, other = open_wallet(utility), open_wallet(customers.Utility.create(treasury_address=OLD))
    grant, others = (wallets.SessionKeyGrant.create(wallet=each) for each in (wallet, other))
    waiting = payment(grant)
    assert queries.get_treasury_reason(operation=waiting) == ""

    change = move(utility)
    # From the approval on, before anything followed.
    assert queries.get_treasury_reason(operation=waiting).startswith("The utility's treasury moved")
    assert payee_of(wallet) == OLD
    jobs.run_due(now=clock.get_now())

    assert (payee_of(wallet), payee_of(other)) == (NEW, OLD)
    row = models.TreasuryMove.objects.get()
    assert (row.wallet, row.change, row.state, row.failure) == (wallet, change, "done", "")
    grant.refresh_from_db()
    others.refresh_from_db()
    assert (grant.state, grant.key.disabled_at is not None) == ("revoking", True)
    assert others.state == "pending"
    # Wallets that were being opened meanwhile are looked for again.
    assert core_models.Job.objects.filter(name="wallets.follow_treasury", finished_at=None).count() == 1
    late = open_wallet(utility)
    follow_treasury.follow(change_id=str(change.pk), now=clock.get_now())
    follow_treasury.follow(change_id=str(change.pk), now=clock.get_now())
    assert payee_of(late) == NEW
    assert models.TreasuryMove.objects.filter(state="done").count() == 2


def test_a_signer_that_is_away_is_waited_for(utility: customer_models.Utility, monkeypatch: pytest.MonkeyPatch) -> None:
    wallet = open_wallet(utility)
    change = move(utility)

    def away(**_: Any) -> None:
        raise errors.Unreachable("signer")

    with monkeypatch.context() as patch:
        patch.setattr(signer_adapter, "apply_change", away)
        follow_treasury.follow(change_id=str(change.pk), now=clock.get_now())
    assert models.TreasuryMove.objects.get().state == "waiting"
    assert core_models.Job.objects.filter(name="wallets.follow_treasury", finished_at=None).count() == 2
    follow_treasury.follow(change_id=str(change.pk), now=clock.get_now())
    assert (models.TreasuryMove.objects.get().state, payee_of(wallet)) == ("done", NEW)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda _change, _key: None, "no_such_change"),
        (lambda change, _key: change, "not_of_the_utility"),
    ],
    ids=["unknown", "another utility's key"],
)
def test_the_signer_looks_at_the_change_itself(utility: customer_models.Utility, spoil: Any, code: str) -> None:
    stranger = open_wallet(customers.Utility.create(treasury_address=OLD))
    change = spoil(move(utility), stranger)
    named = str(change.pk) if change is not None else secrets.token_hex(16)
    with pytest.raises(custody.UnableToApplyChange) as refusal:
        custody.apply_change(change_id=named, key_id=stranger.owner_key_id, now=clock.get_now())
    assert refusal.value.code == code
    assert payee_of(stranger) == OLD


def test_a_key_for_neither_treasury_is_given_up_by_name(utility: customer_models.Utility) -> None:
    wallet = open_wallet(utility)
    first = move(utility)
    second = move(utility, to=words.checksummed(b"\x78" * 20))
    with pytest.raises(custody.UnableToApplyChange) as refusal:
        custody.apply_change(change_id=str(second.pk), key_id=wallet.owner_key_id, now=clock.get_now())
    assert (refusal.value.code, payee_of(wallet)) == ("changed_since", OLD)
    for change in (first, second):
        follow_treasury.follow(change_id=str(change.pk), now=clock.get_now())
    assert payee_of(wallet) == words.checksummed(b"\x78" * 20)


def test_a_change_of_other_terms_moves_nobody(utility: customer_models.Utility) -> None:
    open_wallet(utility)
    with pytest.raises(follow_treasury.UnableToFollow):
        follow_treasury.follow(change_id=secrets.token_hex(16), now=clock.get_now())
    with db.transaction():
        assert not core_models.Job.objects.filter(name="wallets.follow_treasury").exists()
