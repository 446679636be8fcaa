"""Claiming an account: number and proof, a limit on tries, and no word on which was wrong."""

import concurrent.futures
import datetime
import threading
from typing import Any

import pytest
from django import db as django_db

from customers import models
from customers.usecases import claim_account
from openvpp.core import models as core_models
from tests.factories import customers

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime.datetime(2026, 11, 1, 12, tzinfo=datetime.UTC)
PROOF = "7K2M-QX4D"


@pytest.fixture
def account() -> models.CustomerAccount:
    return customers.claimable_account(proof=PROOF, number="HL-100001")


def claim(account: models.CustomerAccount, user: Any, proof: str = PROOF, **changes: object) -> claim_account.Claim:
    wish = {
        "user": user,
        "utility_id": account.utility_id,
        "number": account.number,
        "proof": proof,
        "now": NOW,
    } | changes
    return claim_account.claim(**wish)


def test_right_number_and_proof_make_the_person_the_holder_and_ask_for_a_wallet(
    account: models.CustomerAccount,
) -> None:
    user = customers.User.create(name="Ada Rivera")
    result = claim(account, user)
    assert result.is_new
    access = models.AccountAccess.objects.get()
    assert (access.account, access.role, access.customer.user) == (account, "holder", user)
    assert access.customer.name == "Ada Rivera"
    assert models.CustomerAccount.objects.get().claim_proof == ""
    job = core_models.Job.objects.get()
    assert (job.name, job.arguments) == ("wallets.open_wallet", {"customer_id": access.customer_id})
    assert models.ClaimAttempt.objects.get().succeeded


@pytest.mark.parametrize("typed", ["7k2m qx4d", " 7K2M-QX4D ", "7K2MQX4D"])
def test_case_spaces_and_dashes_do_not_matter(account: models.CustomerAccount, typed: str) -> None:
    assert claim(account, customers.User.create(), proof=typed, number=" hl-100001 ").is_new


def test_the_holder_known_before_becomes_this_person(account: models.CustomerAccount) -> None:
    known = customers.Customer.create(utility=account.utility, user=None, name="A. Rivera")
    customers.AccountAccess.create(account=account, customer=known)
    user = customers.User.create()
    claim(account, user)
    known.refresh_from_db()
    assert known.user == user
    assert models.Customer.objects.count() == 1


def test_a_second_account_goes_to_the_same_customer(account: models.CustomerAccount) -> None:
    own = customers.Customer.create(utility=account.utility)
    claim(account, own.user)
    assert models.AccountAccess.objects.get().customer == own


def test_claiming_again_changes_nothing(account: models.CustomerAccount) -> None:
    user = customers.User.create()
    claim(account, user)
    again = claim(account, user, proof="anything")
    assert not again.is_new
    assert models.AccountAccess.objects.count() == 1
    assert core_models.Job.objects.count() == 1


def test_every_refusal_says_the_same_and_moves_nothing(account: models.CustomerAccount) -> None:
    unclaimable = customers.CustomerAccount.create(utility=account.utility)
    elsewhere = customers.claimable_account(proof=PROOF)
    told = set()
    for number, proof in [
        (account.number, "wrong"),
        ("HL-999999", PROOF),
        (unclaimable.number, ""),
        (unclaimable.number, PROOF),
        (elsewhere.number, PROOF),
    ]:
        with pytest.raises(claim_account.UnableToClaimAccount) as refusal:
            claim(account, customers.User.create(), number=number, proof=proof)
        told.add((refusal.value.code, refusal.value.detail, refusal.value.status))
    assert len(told) == 1
    assert not models.AccountAccess.objects.exists()
    assert not models.Customer.objects.exists()
    assert not core_models.Job.objects.exists()


def test_the_proof_works_once(account: models.CustomerAccount) -> None:
    claim(account, customers.User.create())
    with pytest.raises(claim_account.UnableToClaimAccount):
        claim(account, customers.User.create())
    assert models.AccountAccess.objects.count() == 1


def test_after_five_refusals_a_person_waits_an_hour_even_with_the_right_proof(
    account: models.CustomerAccount,
) -> None:
    user = customers.User.create()
    for _ in range(5):
        with pytest.raises(claim_account.UnableToClaimAccount):
            claim(account, user, proof="wrong")
    with pytest.raises(claim_account.UnableToTryAgain) as refusal:
        claim(account, user)
    assert (refusal.value.status, refusal.value.code) == (429, "too_many_claims")
    assert not models.AccountAccess.objects.exists()
    assert claim(account, user, now=NOW + datetime.timedelta(hours=1)).is_new


@pytest.mark.parametrize("exists", [True, False])
def test_after_ten_refusals_by_anybody_an_account_waits_whether_or_not_it_exists(
    account: models.CustomerAccount, *, exists: bool
) -> None:
    number = account.number if exists else "HL-999999"
    for _ in range(10):
        with pytest.raises(claim_account.UnableToClaimAccount):
            claim(account, customers.User.create(), number=number, proof="wrong")
    with pytest.raises(claim_account.UnableToTryAgain):
        claim(account, customers.User.create(), number=number)


def test_twenty_guesses_at_once_are_five(account: models.CustomerAccount) -> None:
    user = customers.User.create()
    start = threading.Barrier(10)

    def guess(number: int) -> str:
        start.wait(10)
        try:
            claim(account, user, proof=f"guess {number}")
        except (claim_account.UnableToClaimAccount, claim_account.UnableToTryAgain) as refusal:
            return refusal.code
        finally:
            django_db.connections.close_all()
        return "claimed"

    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        told = list(pool.map(guess, range(10)))
    assert sorted(told) == ["claim_refused"] * 5 + ["too_many_claims"] * 5


def test_two_people_with_the_same_proof_at_once_are_one_holder(account: models.CustomerAccount) -> None:
    users = [customers.User.create() for _ in range(4)]
    start = threading.Barrier(4)

    def act(user: models.User) -> bool:
        start.wait(10)
        try:
            return claim(account, user).is_new
        except claim_account.UnableToClaimAccount:
            return False
        finally:
            django_db.connections.close_all()

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(act, users)) == [False, False, False, True]
    assert models.AccountAccess.objects.count() == 1
