"""A customer's wallet is made once, whoever asks and however often; its address is the chain's own."""

import concurrent.futures
import io
from typing import Any

import pytest
from django import db as django_db
from django.core import management

from contracts import deployments
from contracts.bindings import accounts, words
from custody import models as custody_models
from openvpp.core import clock, db, errors, jobs
from openvpp.core import models as core_models
from tests import chain_fixture
from tests.factories import customers
from wallets import models, operations
from wallets.usecases import welcome_customer


@pytest.fixture
def customer(signer: str, chain: chain_fixture.Chain, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    deployments.write(chain.deployment, directory=tmp_path, code_hashes={})
    monkeypatch.setenv("OPENVPP_DEPLOYMENTS_DIR", str(tmp_path))
    return customers.Customer.create(utility__chain_id=chain.chain_id)


def test_its_address_follows_from_owner_and_salt(customer: Any, chain: chain_fixture.Chain) -> None:
    wallet = operations.open_wallet(customer_id=customer.pk, now=clock.get_now())
    assert wallet.address == words.checksummed(
        accounts.account_address(
            factory=chain.deployment.account_factory,
            implementation=chain.deployment.account_implementation,
            owner=words.parse_address(wallet.owner_key.address),
            salt=bytes.fromhex(wallet.salt[2:]),
        )
    )
    assert (wallet.kind, wallet.customer, wallet.utility, wallet.deployed_at) == (
        "customer",
        customer,
        customer.utility,
        None,
    )
    assert wallet.owner_key.purpose == "wallet_owner"


def test_a_crowd_makes_one(customer: Any) -> None:
    def act(_: int) -> Any:
        try:
            return operations.open_wallet(customer_id=customer.pk, now=clock.get_now()).pk
        finally:
            django_db.connections.close_all()

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        made = set(pool.map(act, range(12)))
    assert len(made) == 1
    assert models.Wallet.objects.count() == 1
    assert custody_models.SealedKey.objects.count() == 1


def test_two_customers_have_two(customer: Any) -> None:
    first, second = (
        operations.open_wallet(customer_id=each.pk, now=clock.get_now())
        for each in (customer, customers.Customer.create(utility=customer.utility))
    )
    assert len({first.address, second.address, first.salt, second.salt}) == 4


def test_a_treasury_is_one_for_each_label(customer: Any, chain: chain_fixture.Chain) -> None:
    utility = customer.utility
    made = [
        operations.open_treasury_wallet(utility_id=utility.pk, label=label, now=clock.get_now())
        for label in ("summer", "summer", "winter")
    ]
    assert made[0] == made[1] != made[2]
    assert (made[0].kind, made[0].customer, made[0].label) == ("treasury", None, "summer")
    assert made[0].owner_key.policy["payouts"].lower() == "0x" + chain.deployment.payouts.hex()


def test_a_guardian_is_one_for_each_utility(customer: Any) -> None:
    utility, said = customer.utility, io.StringIO()
    made = operations.open_guardian_wallet(utility_id=utility.pk, now=clock.get_now())
    management.call_command("open_guardian", utility=utility.slug, stdout=said)
    assert said.getvalue().strip() == made.address
    assert models.Wallet.objects.get(kind="guardian", utility=utility, customer=None) == made
    key = made.owner_key
    assert (key.purpose, key.policy["account"]) == ("guardian", made.address.lower())
    with pytest.raises(management.CommandError):
        management.call_command("open_guardian", utility="nowhere")


def test_a_claimed_account_leads_to_a_wallet(customer: Any) -> None:
    now = clock.get_now()
    for account_id in (1, 2):
        with db.transaction():
            welcome_customer.on_account_claimed(customer_id=customer.pk, account_id=account_id, now=now)
    assert jobs.run_due(now=now) == 1
    assert models.Wallet.objects.get().customer == customer
    assert core_models.Job.objects.get().finished_at is not None


def test_without_a_signer_there_is_none_yet(customer: Any, settings: Any) -> None:
    settings.SIGNER_URL = "http://127.0.0.1:9"
    with pytest.raises(errors.Unreachable):
        operations.open_wallet(customer_id=customer.pk, now=clock.get_now())
    assert not models.Wallet.objects.exists()
