"""Operations that come together: each gets the answer that it would get alone."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test import utils

from openvpp.core import clock, errors
from relayer import models
from relayer.adapters import simulation
from relayer.domain import codes, wire
from relayer.rpc import answering
from relayer.usecases import receive_operation
from tests.integration.relayer import application as applications
from tests.integration.relayer.conftest import Relayer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def app(relayer: Relayer) -> applications.Application:
    return applications.make(relayer, operations_per_day=3)


def sent_by(app: applications.Application, **changes: Any) -> dict[str, str]:
    account = applications.open_account(app)
    return account.signed(account.sponsored(account.operation(**changes)))


def receive(app: applications.Application, *sent: dict[str, str]) -> list[receive_operation.Outcome]:
    asked = [
        receive_operation.Asked(key=app.key, received=wire.read_operation(each), entry_point=applications.ENTRY_POINT)
        for each in sent
    ]
    return receive_operation.receive_together(asked=asked, chain_id=app.chain.chain_id, now=clock.get_now())


def code_of(outcome: receive_operation.Outcome) -> int:
    assert isinstance(outcome, codes.RefusedCall)
    return int(outcome.code)


def test_one_that_is_refused_leaves_the_others_alone(app: applications.Application) -> None:
    good, other = sent_by(app), sent_by(app)
    bad_signature = other | {"signature": good["signature"]}
    no_gas = sent_by(app) | {"preVerificationGas": "0x1"}

    first, second, third, fourth = receive(app, good, bad_signature, no_gas, other)

    assert {first, fourth} == set(models.UserOperation.objects.values_list("hash", flat=True))
    assert (code_of(second), code_of(third)) == (-32507, -32602)


def test_the_same_twice_in_one_lot_is_once(app: applications.Application) -> None:
    good = sent_by(app)
    first, second = receive(app, good, good)
    assert first == second == models.UserOperation.objects.get().hash
    assert receive(app, good) == [first]


def test_a_quota_that_is_nearly_used_up_lets_as_many_in_as_it_holds(app: applications.Application) -> None:
    outcomes = receive(app, *(sent_by(app) for _ in range(5)))
    assert sorted(isinstance(each, str) for each in outcomes) == [False, False, True, True, True]
    assert {code_of(each) for each in outcomes if not isinstance(each, str)} == {-32005}
    assert models.UserOperation.objects.count() == 3


def test_with_the_node_away_all_are_told_and_none_is_in(
    app: applications.Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = [sent_by(app) for _ in range(2)]

    def away(**_: object) -> None:
        raise errors.Unreachable("A test cut the line.")

    with monkeypatch.context() as patch:
        patch.setattr(simulation, "try_operations", away)
        outcomes = receive(app, *sent)
    assert all(isinstance(each, errors.Unreachable) for each in outcomes)
    assert not models.UserOperation.objects.exists()
    assert not models.ApiKeyUsage.objects.filter(quota="operations").exists()
    assert all(isinstance(each, str) for each in receive(app, *sent))


def test_a_lot_costs_as_many_statements_as_one_but_for_its_rows(app: applications.Application) -> None:
    one, *three = (sent_by(app) for _ in range(3))
    with utils.CaptureQueriesContext(connection) as alone:
        receive(app, one)
    with utils.CaptureQueriesContext(connection) as together:
        receive(app, *three)
    assert len(together) <= len(alone) + 1  # each row is written by itself, in one transaction and one journey


def test_requests_of_several_keys_are_answered_each_for_itself(app: applications.Application) -> None:
    sends = {"jsonrpc": "2.0", "id": 1, "method": answering.SEND}
    good, malformed = (
        sends | {"params": [sent_by(app), applications.ENTRY_POINT]},
        sends | {"params": [{"sender": "0x12"}, applications.ENTRY_POINT]},
    )
    chain_id = app.chain.chain_id
    asked = [
        answering.Request(token=token, chain_id=chain, body=body)
        for token, chain, body in (
            (app.token, chain_id, good),
            ("ovpp_nobody_secret", chain_id, good),
            (app.token, chain_id + 1, good),
            (app.token, chain_id, [malformed, {"jsonrpc": "2.0", "id": 2, "method": "eth_chainId"}]),
            (app.token, chain_id, {key: value for key, value in malformed.items() if key != "id"}),
        )
    ]
    answers = answering.answer_together(asked)
    assert [each.status for each in answers] == [200, 401, 404, 200, 204]
    assert json.loads(answers[0].body)["result"] == models.UserOperation.objects.get().hash
    refused, chain = json.loads(answers[3].body)
    assert (refused["error"]["code"], chain["result"]) == (-32602, hex(chain_id))


def test_a_crowd_of_one_sender_holds_nobody_up(app: applications.Application) -> None:
    """Each of them would be a round of its own, with its own journey to the node."""
    account, other = applications.open_account(app), sent_by(app)
    operation = account.operation()
    bad = [account.signed(operation) | {"signature": f"0x00{number:02x}"} for number in range(9)]
    *crowd, good = receive(app, *bad, other)
    assert [code_of(each) for each in crowd[receive_operation.MAX_OF_SENDER :]] == [-32504] * 5
    assert good == models.UserOperation.objects.get().hash


def test_one_that_nobody_expected_upsets_no_other(
    app: applications.Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, odd = sent_by(app), sent_by(app)
    hash_of = wire.Received.hash

    def fails_for_the_odd(self: wire.Received, **asked: Any) -> bytes:
        if self.operation.sender.hex() == odd["sender"][2:].lower():
            raise ValueError("A test did not expect this.")
        return hash_of(self, **asked)

    monkeypatch.setattr(wire.Received, "hash", fails_for_the_odd)
    calls = [
        {"jsonrpc": "2.0", "id": number, "method": answering.SEND, "params": [sent, applications.ENTRY_POINT]}
        for number, sent in enumerate((odd, good))
    ]
    requests = [answering.Request(token=app.token, chain_id=app.chain.chain_id, body=call) for call in calls]
    failed, taken = (json.loads(each.body) for each in answering.answer_together(requests))
    assert failed["error"]["code"] == -32603
    assert taken["result"] == models.UserOperation.objects.get().hash
