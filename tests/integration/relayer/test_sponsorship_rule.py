"""Who pays: a program, else the utility, else the customer in the token they hold, with the reason in the answer."""

import dataclasses
import uuid
from typing import Any

import pytest

from contracts.bindings import accounts, words
from openvpp.core import clock
from relayer import models
from relayer.usecases import settle_sponsorships
from tests.factories import controls as terms
from tests.integration.relayer import application as applications
from tests.integration.relayer import sponsors
from tests.integration.relayer.conftest import TREASURY, Relayer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def app(relayer: Relayer) -> applications.Application:
    return applications.make(relayer)


@pytest.fixture
def account(app: applications.Application) -> applications.Account:
    return applications.open_account(app)


def ask(account: applications.Account, *, nonce: int = 0, context: object = None) -> dict[str, Any]:
    app = account.application
    operation = sponsors.draft(account, nonce=nonce)
    return app.ask("pm_getPaymasterData", *sponsors.asked(operation, app.chain.chain_id, context))


def test_a_program_pays_first_then_the_utility_then_nobody(relayer: Relayer, account: applications.Account) -> None:
    program = sponsors.program_of(words.checksummed(account.address))
    sponsors.policy(relayer, name="Program's", program=program, limit_count=1)
    sponsors.policy(relayer, name="Utility's", limit_count=1)

    answers = [ask(account, nonce=nonce << 64) for nonce in range(3)]

    said = [
        (answer["result"]["sponsorship"]["payer"], answer["result"]["sponsorship"]["reason"]) for answer in answers[:2]
    ]
    assert said == [
        ("program", "The program pays, within “Program's”."),
        ("utility", "The utility pays, within “Utility's”."),
    ]
    data = answers[2]["error"]["data"]
    assert [each["name"] for each in data["budgets"]] == ["Program's", "Utility's"]
    assert [each["leftCount"] for each in data["budgets"]] == [0, 0]
    assert data["fee"]["symbol"] == "devUSD"
    assert list(models.Sponsorship.objects.order_by("made_at").values_list("program", flat=True)) == [program, None]


def test_who_takes_no_part_in_a_program_is_not_paid_for_by_it(relayer: Relayer, account: applications.Account) -> None:
    sponsors.policy(relayer, program=uuid.uuid4())
    sponsors.policy(relayer, name="Others", wallet="0x" + "11" * 20)
    answer = ask(account)
    assert (answer["error"]["code"], answer["error"]["data"]["reason"]) == (-32501, "not_sponsored")
    assert answer["error"]["data"]["budgets"] == []
    assert not models.Sponsorship.objects.exists()
    assert not models.GasBudget.objects.exists()


def test_every_policy_that_covers_an_operation_must_have_room(relayer: Relayer, account: applications.Account) -> None:
    sponsors.policy(relayer, name="Wide")
    sponsors.policy(relayer, name="Each", is_each=True, limit_wei=sponsors.MOST_WEI)
    assert "result" in ask(account)
    assert ask(account, nonce=1)["error"]["data"]["budget"] == "Each"
    other = applications.open_account(account.application)
    assert "result" in ask(other)
    wide = models.GasBudget.objects.get(policy__name="Wide")
    assert (wide.reserved_wei, wide.reserved_count) == (2 * sponsors.MOST_WEI, 2)
    assert sponsors.sums_agree()


def test_a_policy_for_a_method_pays_for_nothing_else(relayer: Relayer, account: applications.Account) -> None:
    sponsors.policy(relayer, name="One method", method="0x12345678")
    app, factory = account.application, relayer.chain.deployment.account_factory
    made_by = accounts.init_code(factory=factory, owner=account.owner.address, salt=account.salt)
    paid = dataclasses.replace(sponsors.draft(account), init_code=made_by)
    other = dataclasses.replace(paid, call_data=b"\x87\x65\x43\x21")
    unknown = dataclasses.replace(paid, sender=b"\x5e" * 20, init_code=b"")  # whose code may do anything by any name
    relayer.chain.rpc("anvil_setCode", words.checksummed(unknown.sender), "0x5f5f5260205ff3")
    found, *refused = (
        app.ask("pm_getPaymasterData", *sponsors.asked(each, app.chain.chain_id)) for each in (paid, other, unknown)
    )
    assert "result" in found
    assert [each["error"]["data"]["reason"] for each in refused] == ["not_sponsored", "not_sponsored"]


def test_an_application_may_name_whose_policy_pays_but_escapes_no_other(
    relayer: Relayer, account: applications.Account
) -> None:
    program = sponsors.program_of(words.checksummed(account.address))
    sponsors.policy(relayer, name="Program's", program=program)
    named = sponsors.policy(relayer, name="Utility's")
    sponsors.policy(relayer, name="Utility's, one each", is_each=True, limit_count=1)
    context = {"sponsorshipPolicyId": str(named.pk)}
    found = ask(account, context=context)["result"]["sponsorship"]
    assert (found["policy"], found["payer"]) == (str(named.pk), "utility")
    counted = models.GasBudget.objects.filter(reserved_count=1).values_list("policy__name", flat=True)
    assert sorted(counted) == ["Utility's", "Utility's, one each"]
    assert ask(account, nonce=2, context=context)["error"]["data"]["budget"] == "Utility's, one each"
    unknown = ask(account, nonce=1, context={"sponsorshipPolicyId": str(uuid.uuid4())})
    assert unknown["error"]["data"]["reason"] == "not_sponsored"
    contexts: list[object] = [{"sponsorshipPolicyId": "x"}, {"policy": 1}, [], {"token": "0x1"}]
    for wrong in contexts:
        assert ask(account, context=wrong)["error"]["code"] == -32602


def test_the_fee_is_offered_in_the_token_that_is_held(relayer: Relayer, app: applications.Application) -> None:
    terms.change_terms(relayer.utility, absorbs_fee=False)
    poor = applications.open_account(app, units=0)
    fee = ask(poor)["error"]["data"]["fee"]
    assert (fee["symbol"], fee["held"], fee["marginPercent"]) == ("devUSD", "0x0", 20)
    relayer.chain.give_ovpp(poor.address, 10**21)
    fee = ask(poor)["error"]["data"]["fee"]
    assert (fee["symbol"], int(fee["held"], 16)) == ("OVPP", 10**21)
    assert fee["reason"] == "Nobody else pays for it; the wallet holds OVPP."


def test_a_token_in_the_context_pays_with_the_batch(relayer: Relayer, account: applications.Account) -> None:
    context = {"token": str(relayer.stablecoin.address)}
    app = account.application
    refused = app.ask("pm_getPaymasterData", *sponsors.asked(account.operation(), app.chain.chain_id, context))["error"]
    assert refused["message"] == "The operation's batch does not carry the quoted fee."
    units = int(refused["data"]["units"], 16)
    paying = account.operation(
        applications.transfer(relayer.chain, 1), applications.transfer(relayer.chain, 2 * units, to=TREASURY)
    )
    hash_ = app.call(
        "eth_sendUserOperation", account.signed(account.sponsored(paying, context)), applications.ENTRY_POINT
    )
    relayer.finish()
    settle_sponsorships.settle_sponsorships(chain_id=app.chain.chain_id, now=clock.get_now())
    sponsorship = models.Sponsorship.objects.get()
    cost_wei = models.UserOperation.objects.get(hash=hash_).gas_cost_wei
    assert (sponsorship.payer, sponsorship.state, sponsorship.cost_wei) == ("customer", "settled", cost_wei)
    assert (sponsorship.user_operation_hash, sponsorship.quote.fee_token) == (hash_, str(relayer.stablecoin.address))
    assert sponsorship.quote.fee_wei > 0


def test_another_utilitys_policy_is_nothing_here(relayer: Relayer, account: applications.Account) -> None:
    other = type(relayer.utility).objects.create(
        slug="other", name="Other", chain_id=relayer.chain.chain_id, treasury_address="0x" + "7f" * 20
    )
    foreign = sponsors.policy(dataclasses.replace(relayer, utility=other), name="Foreign")
    found = ask(account, context={"sponsorshipPolicyId": str(foreign.pk)})
    assert found["error"]["data"]["reason"] == "not_sponsored"
    assert ask(account)["result"]["sponsorship"]["reason"] == "The utility pays the network fee."
    assert not models.GasBudget.objects.exists()


@pytest.mark.parametrize("code", ["5f5f5260205ff3", "ef0100" + "11" * 20])
def test_an_account_of_another_code_does_not_pay_by_its_batch(
    relayer: Relayer, account: applications.Account, code: str
) -> None:
    """Such a one may say yes to the batch and leave out the transfer in it: the utility would pay for nothing."""
    app = account.application
    paying = account.operation(applications.transfer(relayer.chain, 10**8, to=TREASURY))
    other = dataclasses.replace(paying, sender=b"\x5e" * 20, init_code=b"")
    relayer.chain.rpc("anvil_setCode", words.checksummed(other.sender), "0x" + code)
    context = {"token": str(relayer.stablecoin.address)}
    error = app.ask("pm_getPaymasterData", *sponsors.asked(other, app.chain.chain_id, context))["error"]
    assert error["message"] == "Whether an account that runs another's code pays its fee is not known."
    assert not models.Sponsorship.objects.exists()
    assert not models.FeeQuote.objects.filter(used_at__isnull=False).exists()


@pytest.mark.parametrize("greed", [{"pre_verification_gas": 2_000_000}, {"max_fee_per_gas": 100 * 10**9}])
def test_nothing_is_sponsored_that_enriches_its_bundler(account: applications.Account, greed: dict[str, int]) -> None:
    app = account.application
    greedy = dataclasses.replace(account.operation(), **greed)  # type: ignore[arg-type] # fields by name
    error = app.ask("pm_getPaymasterData", *sponsors.asked(greedy, app.chain.chain_id))["error"]
    assert error["code"] == -32501
    assert "is above" in error["message"]
    assert not models.Sponsorship.objects.exists()
