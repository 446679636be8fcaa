"""Quotes are locked, priced from fresh feeds, and used once."""

import datetime
import decimal

import pytest
from django.conf import LazySettings

from contracts.bindings import tokens, words
from openvpp.core import clock
from relayer import models, operations, queries
from relayer.domain import gas
from relayer.usecases import refresh_prices
from tests import chain_fixture
from tests.integration.relayer.conftest import Relayer


def set_answer(relayer: Relayer, feed: bytes, answer: int) -> None:
    data = tokens.encode_set_answer(answer=answer)
    assert relayer.chain.send(feed, data, sender=chain_fixture.DEPLOYER.address).succeeded


def test_a_quote_holds_for_two_minutes_and_states_the_most_it_may_cost(relayer: Relayer) -> None:
    quote = relayer.quote(relayer.wallet(), mode="ovpp")
    assert quote.expires_at - quote.created_at == datetime.timedelta(seconds=120)
    assert quote.gas_cost_wei == quote.gas_limit * quote.max_fee_per_gas_wei
    assert (quote.mode, quote.fee_token, quote.used_at) == ("ovpp", relayer.ovpp.address, None)


def test_a_fee_in_tokens_of_five_cents_is_twenty_times_as_many_and_pays_its_own_transfer(relayer: Relayer) -> None:
    wallet = relayer.wallet()
    in_ovpp, in_stablecoin = relayer.quote(wallet, mode="ovpp"), relayer.quote(wallet, mode="stablecoin")
    ratio = decimal.Decimal(in_ovpp.fee_units) / 10**18 / (decimal.Decimal(in_stablecoin.fee_units) / 10**6)
    one = gas.estimate(kind=gas.Kind.BILL_PAYMENT, is_deployed=False).expected
    expected = 20 * decimal.Decimal(one + gas.SECOND_TRANSFER) / one
    assert abs(ratio - expected) <= expected / (in_stablecoin.fee_units - 1)  # each is rounded up to a whole unit


def test_a_stale_or_unknown_price_quotes_nothing(relayer: Relayer, settings: LazySettings) -> None:
    wallet = relayer.wallet()
    settings.PRICE_MAX_AGE = datetime.timedelta(minutes=10)
    models.TokenPrice.objects.update(observed_at=clock.get_now() - datetime.timedelta(minutes=11))
    with pytest.raises(operations.UnableToQuoteFee) as refusal:
        relayer.quote(wallet, mode="stablecoin")
    assert refusal.value.code == "price_stale"
    models.TokenPrice.objects.all().delete()
    with pytest.raises(operations.UnableToQuoteFee) as refusal:
        relayer.quote(wallet, mode="stablecoin")
    assert refusal.value.code == "price_unknown"
    assert models.FeeQuote.objects.count() == 0
    assert relayer.quote(wallet, mode="utility").fee_units == 0


def test_prices_follow_the_feeds_but_no_leap(relayer: Relayer) -> None:
    deployment = relayer.chain.deployment

    def price() -> decimal.Decimal:
        return queries.get_price_usd(
            chain_id=relayer.chain.chain_id, token=words.checksummed(deployment.ovpp), now=clock.get_now()
        )

    assert price() == decimal.Decimal("0.05")
    set_answer(relayer, deployment.feeds.ovpp_usd, 6_000_000)
    assert refresh_prices.refresh_prices(chain_id=relayer.chain.chain_id, now=clock.get_now()) == 3
    assert price() == decimal.Decimal("0.06")
    set_answer(relayer, deployment.feeds.ovpp_usd, 60_000_000)
    assert refresh_prices.refresh_prices(chain_id=relayer.chain.chain_id, now=clock.get_now()) == 2
    assert price() == decimal.Decimal("0.06")


def test_a_quote_is_used_once(relayer: Relayer) -> None:
    operation = relayer.pay(relayer.wallet())
    taken = models.FeeQuote.objects.get()
    assert taken.used_at is not None
    again = models.FeeQuote.objects.filter(pk=taken.pk, used_at__isnull=True).update(used_at=clock.get_now())
    assert again == 0
    assert operation.quote_id == taken.pk
