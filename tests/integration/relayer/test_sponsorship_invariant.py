"""Whatever happens in whatever order: reserved and settled never pass a budget, and sums stay true to the wei."""

import concurrent.futures
import datetime
import os
import random
import threading
import uuid
from typing import Any

import hypothesis
import pytest
from django import db as django_db
from hypothesis import stateful
from hypothesis import strategies as st

from customers import models as customer_models
from openvpp.core import clock
from relayer import models, operations
from relayer.adapters import budgets
from relayer.domain import sponsoring
from tests.factories import customers as customer_factories
from tests.integration.relayer import sponsors

pytestmark = pytest.mark.django_db(transaction=True)
EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "100"))
BEGIN = datetime.datetime(2026, 10, 31, 20, tzinfo=datetime.UTC)
WALLETS = ["0x" + digit * 40 for digit in "123"]
LIFETIME = datetime.timedelta(minutes=10)
TERMS: list[dict[str, Any]] = [
    {"name": "day", "period": "day", "limit_wei": 100},
    {"name": "each", "period": "month", "is_each": True, "limit_count": 3},
    {"name": "one", "period": "whole", "wallet": WALLETS[0], "limit_wei": 60, "limit_count": 4},
]


def make_policies(utility: customer_models.Utility) -> list[models.SponsorshipPolicy]:
    begins = BEGIN - datetime.timedelta(days=40)
    return [
        models.SponsorshipPolicy.objects.create(
            utility=utility, starts_at=begins, made_at=begins, is_local=True, **terms
        )
        for terms in TERMS
    ]


def reserve(utility: customer_models.Utility, *, wallet: str, wei: int, now: datetime.datetime) -> uuid.UUID | None:
    claim = budgets.Claim(
        utility_id=utility.pk,
        chain_id=utility.chain_id,
        request=sponsoring.Request(wallet=wallet, methods=("bill_payment",)),
        most_wei=wei,
        valid_until=now + LIFETIME,
    )
    try:
        id_ = operations.find_payer(claim=claim, utility_pays=True, now=now).sponsorship_id
    except operations.UnableToFindPayer:
        return None
    assert id_ is not None
    hash_ = "0x" + os.urandom(32).hex()
    # Given back by another thread in between, it is bound to nothing and paid for by nobody.
    return id_ if budgets.bind(sponsorship_id=id_, user_operation_hash=hash_, valid_until=now + LIFETIME) else None


class Budgets(stateful.RuleBasedStateMachine):
    """One utility, three policies over three wallets, and a clock that only goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.utility: Any = customer_factories.Utility.create()
        self.policies = make_policies(self.utility)
        self.now = BEGIN
        self.given: list[uuid.UUID] = []

    @stateful.rule(wallet=st.sampled_from(WALLETS), wei=st.integers(1, 120))
    def ask(self, wallet: str, wei: int) -> None:
        before = models.Sponsorship.objects.filter(utility=self.utility).count()
        id_ = reserve(self.utility, wallet=wallet, wei=wei, now=self.now)
        if id_ is not None:
            self.given.append(id_)
        after = models.Sponsorship.objects.filter(utility=self.utility).count()
        assert after == before + (id_ is not None)

    @stateful.precondition(lambda self: self.given)
    @stateful.rule(data=st.data(), percent=st.integers(1, 100), times=st.integers(1, 2))
    def land(self, data: st.DataObject, percent: int, times: int) -> None:
        row = models.Sponsorship.objects.get(pk=data.draw(st.sampled_from(self.given)))
        cost_wei = int(row.reserved_wei) * percent // 100
        for turn in range(times):
            settled = budgets.settle(
                chain_id=row.chain_id, costs_wei={str(row.user_operation_hash): cost_wei}, now=self.now
            )
            assert settled == (row.state == "reserved" and turn == 0)

    @stateful.rule(minutes=st.integers(1, 30 * 60))
    def wait(self, minutes: int) -> None:
        self.now += datetime.timedelta(minutes=minutes)

    @stateful.rule()
    def sweep(self) -> None:
        budgets.release(chain_id=self.utility.chain_id, before=self.now, now=self.now)
        left = models.Sponsorship.objects.filter(utility=self.utility, state="reserved")
        assert not left.filter(valid_until__lt=self.now).exists()

    @stateful.rule(place=st.integers(0, 2), wei=st.integers(0, 150))
    def change(self, place: int, wei: int) -> None:
        policy = self.policies[place]
        with django_db.transaction.atomic():
            policy.limit_wei = wei
            policy.save()
            budgets.set_limits(policy_id=policy.pk, limit_wei=wei, limit_count=policy.limit_count, now=self.now)

    def teardown(self) -> None:
        for model in (models.Sponsorship, models.GasBudget, models.SponsorshipPolicy):
            model.objects.all().delete()

    @stateful.invariant()
    def no_budget_is_passed(self) -> None:
        assert sponsors.over() == 0
        assert sponsors.sums_agree()


@pytest.mark.django_db(transaction=True)
def test_no_order_of_events_passes_a_budget(transactional_db: None) -> None:
    stateful.run_state_machine_as_test(
        Budgets,
        settings=hypothesis.settings(
            max_examples=max(10, EXAMPLES // 50),
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        ),
    )


def test_threads_that_reserve_settle_and_release_at_once_keep_the_sums(transactional_db: None) -> None:
    utility: Any = customer_factories.Utility.create()
    make_policies(utility)
    now = clock.get_now()
    models.SponsorshipPolicy.objects.update(limit_wei=500, limit_count=60)
    worst: list[int] = []
    over = threading.Event()

    def work(seed: int) -> None:
        luck = random.Random(seed)
        try:
            for _ in range(20):
                id_ = reserve(utility, wallet=luck.choice(WALLETS), wei=luck.randint(1, 20), now=now)
                if id_ is not None and luck.random() < 0.7:
                    row = models.Sponsorship.objects.get(pk=id_)
                    cost = {str(row.user_operation_hash): luck.randint(0, int(row.reserved_wei))}
                    budgets.settle(chain_id=utility.chain_id, costs_wei=cost, now=now)
                elif luck.random() < 0.5:
                    late = now + 2 * LIFETIME
                    budgets.release(chain_id=utility.chain_id, before=late, now=late)
        finally:
            django_db.connection.close()

    def watch() -> None:
        while not over.wait(0.01):
            worst.append(sponsors.over())
        django_db.connection.close()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with concurrent.futures.ThreadPoolExecutor(max_workers=12) as crowd:
            list(crowd.map(work, range(24)))
    finally:
        over.set()
        watcher.join()
    assert set(worst) == {0}
    assert sponsors.over() == 0
    assert sponsors.sums_agree()
    assert models.Sponsorship.objects.filter(state="settled").exists()
