"""Budgets under a crowd: 200 ask at once for what is there for 100."""

import collections
import concurrent.futures
import datetime
import threading
from typing import Any

import pytest
from django import db as django_db

from openvpp.core import clock
from relayer import models
from relayer.domain import codes
from tests.integration.relayer import application as applications
from tests.integration.relayer import sponsors
from tests.integration.relayer.conftest import Relayer

pytestmark = pytest.mark.django_db(transaction=True)
CROWD, ROOM, AT_ONCE, TRIES = 200, 100, 32, 5


def test_of_200_who_ask_at_once_exactly_100_are_sponsored_and_the_others_offered_the_token(relayer: Relayer) -> None:
    app = applications.make(relayer, requests_per_minute=10_000, sponsored_per_day=10_000)
    account = applications.open_account(app)
    policy = sponsors.policy(relayer, name="First hundred", limit_wei=ROOM * sponsors.MOST_WEI)
    chain_id = relayer.chain.chain_id
    drafts = [sponsors.draft(account, nonce=number << 64) for number in range(CROWD)]
    start = threading.Barrier(AT_ONCE)

    def ask(number: int) -> dict[str, Any]:
        if number < AT_ONCE:
            start.wait()
        try:
            for _ in range(
                TRIES
            ):  # the signer shares this process: on a busy machine the crowd may outlast its timeout
                answer = app.ask("pm_getPaymasterData", *sponsors.asked(drafts[number], chain_id))
                if answer.get("error", {}).get("code") != codes.Code.INTERNAL:
                    break
            return answer
        finally:
            django_db.connection.close()

    with concurrent.futures.ThreadPoolExecutor(max_workers=AT_ONCE) as crowd:
        answers = list(crowd.map(ask, range(CROWD)))

    granted = [answer["result"] for answer in answers if "result" in answer]
    refused = [answer["error"] for answer in answers if "error" in answer]
    assert (len(granted), len(refused)) == (ROOM, CROWD - ROOM)
    assert {each["sponsorship"]["reason"] for each in granted} == {"The utility pays, within “First hundred”."}
    assert len({each["paymasterData"] for each in granted}) == ROOM
    midnight = clock.get_now().replace(hour=0, minute=0, second=0, microsecond=0) + datetime.timedelta(days=1)
    for error in refused:
        assert (error["code"], error["message"]) == (-32501, "The gas budget “First hundred” is used up.")
        data = error["data"]
        assert (data["reason"], data["budget"], data["resetsAt"]) == (
            "budget_used_up",
            "First hundred",
            midnight.isoformat(),
        )
        assert data["budgets"][0]["sponsorshipPolicyId"] == str(policy.pk)
        fee = data["fee"]
        assert fee["token"] == str(relayer.stablecoin.address)
        quote = models.FeeQuote.objects.get(pk=fee["quote"])
        assert (int(fee["units"], 16), int(fee["validUntil"], 16)) == (
            quote.fee_units,
            int(quote.expires_at.timestamp()),
        )
        assert 0 < quote.fee_units <= int(fee["held"], 16)
    budget = models.GasBudget.objects.get()
    assert (budget.reserved_wei, budget.reserved_count, budget.settled_wei) == (ROOM * sponsors.MOST_WEI, ROOM, 0)
    states = collections.Counter(models.Sponsorship.objects.values_list("state", flat=True))
    assert (states.pop("reserved"), set(states) - {"released"}) == (ROOM, set())
    assert models.FeeQuote.objects.filter(mode="utility", sponsorship__state="reserved").count() == ROOM
    assert sponsors.sums_agree()
