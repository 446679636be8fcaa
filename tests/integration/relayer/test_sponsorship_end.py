"""What was reserved is settled by the receipt, or given back when it can never land: never before."""

import dataclasses
import datetime
from typing import Any

import pytest
from django.conf import LazySettings

from contracts.bindings import user_operations, words
from customers import models as customer_models
from notifications import models as notification_models
from openvpp.core import clock
from relayer import models, operations
from relayer.adapters import budgets
from relayer.domain import gas
from relayer.usecases import settle_sponsorships, sponsor_operation
from tests.integration.relayer import application as applications
from tests.integration.relayer import sponsors
from tests.integration.relayer.conftest import Relayer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def app(relayer: Relayer) -> applications.Application:
    return applications.make(relayer)


def settle(relayer: Relayer) -> int:
    return settle_sponsorships.settle_sponsorships(chain_id=relayer.chain.chain_id, now=clock.get_now())


def test_the_receipts_cost_takes_the_place_of_what_was_reserved(
    relayer: Relayer, app: applications.Application
) -> None:
    sponsors.policy(relayer)
    account = applications.open_account(app)
    hash_ = app.call(
        "eth_sendUserOperation", account.signed(account.sponsored(account.operation())), applications.ENTRY_POINT
    )
    reserved = models.Sponsorship.objects.get()
    assert (reserved.state, reserved.user_operation_hash) == ("reserved", hash_)
    assert settle(relayer) == 0
    relayer.finish()

    assert (settle(relayer), settle(relayer)) == (1, 0)

    operation, sponsorship = models.UserOperation.objects.get(), models.Sponsorship.objects.get()
    assert operation.quote == sponsorship.quote
    assert (sponsorship.state, sponsorship.cost_wei) == ("settled", operation.gas_cost_wei)
    budget = models.GasBudget.objects.get()
    assert (budget.reserved_wei, budget.reserved_count) == (0, 0)
    assert (budget.settled_wei, budget.settled_count) == (operation.gas_cost_wei, 1)
    assert sponsors.sums_agree()


def test_what_somebody_else_sends_is_settled_too(relayer: Relayer, app: applications.Application) -> None:
    sponsors.policy(relayer)
    account = applications.open_account(app)
    operation = account.sponsored(account.operation())
    hash_ = user_operations.hash_user_operation(
        operation=operation, chain_id=app.chain.chain_id, entry_point=app.chain.deployment.entry_point
    )
    signature = b"\x00" + words.signature(account.owner.sign(hash_))
    assert app.chain.handle_ops(dataclasses.replace(operation, signature=signature)).succeeded
    relayer.mine(4)

    assert settle(relayer) == 1

    assert not models.UserOperation.objects.exists()
    sponsorship = models.Sponsorship.objects.get()
    assert (sponsorship.state, sponsorship.user_operation_hash) == ("settled", "0x" + hash_.hex())
    assert models.GasBudget.objects.get().settled_wei == sponsorship.cost_wei > 0


def test_what_expires_unused_is_given_back_once_a_final_block_is_later(
    relayer: Relayer, app: applications.Application
) -> None:
    sponsors.policy(relayer, limit_count=1)
    account = applications.open_account(app)
    account.sponsored(account.operation())
    until = models.Sponsorship.objects.get().valid_until
    assert until - clock.get_now() <= sponsor_operation.LIFETIME
    relayer.chain.move_to(int(until.timestamp()))
    relayer.mine(5)
    assert settle(relayer) == 0  # a block of the very second may still carry it
    relayer.chain.move_to(int((until + datetime.timedelta(seconds=30)).timestamp()))
    relayer.mine(1)
    assert settle(relayer) == 0  # later, but not final
    relayer.mine(3)
    assert settle(relayer) == 1
    assert models.Sponsorship.objects.get().state == "released"
    budget = models.GasBudget.objects.get()
    assert (budget.reserved_wei, budget.reserved_count, budget.settled_wei, budget.settled_count) == (0, 0, 0, 0)
    assert "paymasterData" in app.call(
        "pm_getPaymasterData", *sponsors.asked(sponsors.draft(account), app.chain.chain_id)
    )


def test_staff_hear_at_four_fifths_and_when_it_is_used_up(relayer: Relayer, app: applications.Application) -> None:
    manager = customer_models.User.objects.create(email="manager@tests.example", is_staff=True)
    customer_models.StaffRole.objects.create(user=manager, utility=relayer.utility, role="program_manager")
    sponsors.policy(relayer, name="Five", limit_count=5)
    sponsors.policy(relayer, name="Each", limit_count=5, is_each=True)
    account = applications.open_account(app)
    for number in range(3):
        app.call("pm_getPaymasterData", *sponsors.asked(sponsors.draft(account, nonce=number), app.chain.chain_id))
    settle(relayer)
    assert not notification_models.Notice.objects.exists()
    app.call("pm_getPaymasterData", *sponsors.asked(sponsors.draft(account, nonce=3), app.chain.chain_id))
    settle(relayer)
    settle(relayer)
    app.call("pm_getPaymasterData", *sponsors.asked(sponsors.draft(account, nonce=4), app.chain.chain_id))
    settle(relayer)
    titles = list(notification_models.Notice.objects.filter(user=manager).values_list("title", flat=True))
    assert titles == ["Gas budget “Five” is used to 80 %", "Gas budget “Five” is used up"]


def test_what_could_not_be_signed_is_given_back_at_once(
    relayer: Relayer, app: applications.Application, settings: LazySettings
) -> None:
    sponsors.policy(relayer)
    account = applications.open_account(app)
    settings.SIGNER_URL = "http://127.0.0.1:9"
    asked = sponsors.asked(sponsors.draft(account), app.chain.chain_id)
    assert app.code("pm_getPaymasterData", *asked) == -32603
    sponsorship, budget = models.Sponsorship.objects.get(), models.GasBudget.objects.get()
    assert (sponsorship.state, sponsorship.user_operation_hash) == ("released", None)
    assert (budget.reserved_wei, budget.reserved_count) == (0, 0)


def test_a_reservation_that_was_given_back_signs_nothing(relayer: Relayer) -> None:
    sponsors.policy(relayer, method="bill_payment")
    wallet = relayer.wallet()
    quote = operations.make_quote(
        utility_id=relayer.utility.pk,
        chain_id=relayer.chain.chain_id,
        sender=wallet.address,
        intent={},
        mode="utility",
        fee_token=None,
        limits=operations.estimate(kind=gas.Kind.BILL_PAYMENT, is_deployed=False),
        reason="",
        methods=("bill_payment",),
        now=clock.get_now(),
    )
    assert quote.reason == "The utility pays, within “Tests”."
    account = dataclasses.replace(sponsors.draft_of(wallet.account), max_fee_per_gas=1, max_priority_fee_per_gas=1)

    def sponsor(**changes: Any) -> None:
        operations.sponsor(
            operation=dataclasses.replace(account, **changes),
            utility_id=relayer.utility.pk,
            chain_id=relayer.chain.chain_id,
            limits=operations.estimate(kind=gas.Kind.BILL_PAYMENT, is_deployed=False),
            quote=quote,
            expires_at=clock.get_now() + datetime.timedelta(minutes=5),
        )

    with pytest.raises(operations.UnableToSponsor) as refusal:
        sponsor(max_fee_per_gas=quote.max_fee_per_gas_wei + 1)
    assert refusal.value.code == "above_quote"
    assert quote.sponsorship_id is not None
    assert budgets.drop(sponsorship_id=quote.sponsorship_id, now=clock.get_now())
    with pytest.raises(operations.UnableToSponsor) as refusal:
        sponsor()
    assert refusal.value.code == "reservation_over"
    assert models.Sponsorship.objects.get().user_operation_hash is None


def test_asking_again_takes_no_more_of_a_budget_than_asking_once(relayer: Relayer) -> None:
    policy = sponsors.policy(relayer, method="bill_payment", limit_count=2)
    wallet = relayer.wallet()

    def ask(bill: str) -> models.FeeQuote:
        return operations.make_quote(
            utility_id=relayer.utility.pk,
            chain_id=relayer.chain.chain_id,
            sender=wallet.address,
            intent={"bill_id": bill},
            mode="utility",
            fee_token=None,
            limits=operations.estimate(kind=gas.Kind.BILL_PAYMENT, is_deployed=False),
            reason="",
            methods=("bill_payment",),
            instead_of={"bill_id": bill},
            now=clock.get_now(),
        )

    first, second, other = ask("one"), ask("one"), ask("two")
    found: dict[object, str] = dict(models.Sponsorship.objects.values_list("pk", "state"))
    assert [found[each.sponsorship_id] for each in (first, second, other)] == ["released", "reserved", "reserved"]
    assert policy.budgets.get().reserved_count == 2
    with pytest.raises(operations.UnableToFindPayer, match="used up"):
        ask("three")
    assert sponsors.sums_agree()
