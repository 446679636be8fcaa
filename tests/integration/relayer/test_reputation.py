"""Reputation in the database: what comes in, what a bundle leaves, who answers for what fails in one."""

import dataclasses
import datetime
from typing import Any

import pytest

from contracts import deployments
from contracts.bindings import user_operations, words
from openvpp.core import clock
from relayer import models
from relayer.adapters import entities
from relayer.domain import codes, refusals
from relayer.usecases import count_reputation, make_api_key
from tests.factories import customers
from tests.factories import relayer as rows

pytestmark = pytest.mark.django_db(transaction=True)

PAYMASTER, FACTORY = bytes.fromhex("ba" * 20), bytes.fromhex("fa" * 20)
STAKED = entities.AtEntryPoint(deposit_wei=10**18, stake_wei=10**18, delay_s=86_400)
UNSTAKED = entities.AtEntryPoint(deposit_wei=10**18, stake_wei=0, delay_s=0)
HOUR = datetime.timedelta(hours=1)


@dataclasses.dataclass
class Town:
    """A chain without anything on it but a paymaster and a factory, and an application that names them."""

    at: dict[bytes, entities.AtEntryPoint]
    deployment: deployments.Deployment
    key: models.ApiKey

    def wait(self, *, count: int = 1, **changes: Any) -> list[models.UserOperation]:
        """Let operations wait that name the paymaster."""
        given: dict[str, Any] = {
            "utility": self.key.utility,
            "api_key": self.key,
            "paymaster_and_data": paymaster_data(),
        }
        return [rows.make_operation(**given | changes) for _ in range(count)]

    def check(self, **changes: Any) -> str:
        """Return the rule that keeps one more out, or nothing."""
        given: dict[str, Any] = {
            "sender": bytes.fromhex("5e" * 20),
            "nonce": 0,
            "init_code": b"",
            "call_data": b"",
            "verification_gas_limit": 100_000,
            "call_gas_limit": 100_000,
            "pre_verification_gas": 50_000,
            "max_priority_fee_per_gas": 1,
            "max_fee_per_gas": rows.GWEI,
            "paymaster_and_data": paymaster_data(),
        }
        operation = user_operations.UserOperation(**given | changes)
        try:
            count_reputation.check(operation=operation, deployment=self.deployment, now=clock.get_now())
        except codes.RefusedCall as refused:
            rule = refused.message.rsplit("(", 1)[1].rstrip(").")
            is_right = refused.code == (codes.Code.DEPOSIT_TOO_LOW if rule == "EREP-010" else codes.Code.THROTTLED)
            return rule if is_right else f"{rule} with {refused.code}"
        return ""

    def record(self, seen: int, included: int, *, entity: bytes = PAYMASTER) -> models.Reputation:
        made: models.Reputation = models.Reputation.objects.create(
            chain_id=31337,
            entity=words.checksummed(entity),
            seen=seen,
            included=included,
            counted_at=clock.get_now(),
        )
        return made

    def left_out(self, waiting: list[models.UserOperation]) -> list[tuple[str, refusals.Meaning]]:
        found = count_reputation.find_refused(operations=waiting, chain_id=31337, now=clock.get_now())
        return [(refusal.reason.rsplit("(", 1)[1].rstrip(")."), refusal.meaning) for _, refusal in found]


@pytest.fixture
def town(monkeypatch: pytest.MonkeyPatch) -> Town:
    given: dict[str, Any] = {
        field.name: (0xD0_0000 + number).to_bytes(20)
        for number, field in enumerate(dataclasses.fields(deployments.Deployment))
    }
    deployment = deployments.Deployment(**given | {"chain_id": 31337, "deployed_block": 0})
    key, _ = make_api_key.make(
        utility_id=customers.Utility.create().pk, application="Tests", scopes=["sponsor"], now=clock.get_now()
    )
    found = Town(at={}, deployment=deployment, key=key)
    monkeypatch.setattr(
        entities,
        "read",
        lambda *, entry_point, addresses: {each: found.at.get(each, UNSTAKED) for each in addresses},  # noqa: ARG005
    )
    monkeypatch.setattr(deployments, "load", lambda chain_id: deployment)  # noqa: ARG005
    return found


def paymaster_data() -> bytes:
    return PAYMASTER + (50_000).to_bytes(16) + bytes(16)


def test_urep_020_ten_operations_of_an_unstaked_paymaster_wait_and_no_eleventh(town: Town) -> None:
    town.wait(count=9)
    assert town.check() == ""
    town.wait()
    assert town.check() == "UREP-020"
    assert town.check(paymaster_and_data=b"") == ""
    town.record(10, 10)
    assert town.check() == ""


def test_srep_040_a_staked_paymaster_is_not_limited(town: Town) -> None:
    town.at[PAYMASTER] = STAKED
    town.wait(count=12)
    assert town.check() == ""


def test_grep_010_and_020_banned_is_out_and_throttled_has_four(town: Town) -> None:
    record = town.record(510, 0)
    assert town.check() == "GREP-010"
    record.seen = 110
    record.save()
    town.wait(count=3)
    assert town.check() == ""
    town.wait()
    assert town.check() == "GREP-020"


def test_erep_010_a_deposit_covers_all_that_wait(town: Town) -> None:
    (row,) = town.wait()
    gas = 250_000 + 50_000
    waiting_wei = gas * int(row.max_fee_per_gas_wei)
    town.at[PAYMASTER] = dataclasses.replace(UNSTAKED, deposit_wei=waiting_wei + gas * rows.GWEI)
    assert town.check() == ""
    assert town.check(pre_verification_gas=50_001) == "EREP-010"


def test_sto_040_an_entity_is_no_sender(town: Town) -> None:
    town.wait(paymaster_and_data=b"", sender=words.checksummed(PAYMASTER))
    assert town.check() == "STO-040"


def test_a_record_fades_before_it_is_judged_and_when_it_is_counted_again(town: Town) -> None:
    record = town.record(530, 0)
    assert town.check() == "GREP-010"
    record.counted_at = clock.get_now() - 2 * HOUR - datetime.timedelta(minutes=30)
    record.save()
    town.wait(count=4)
    assert town.check() == "GREP-020"  # 530 -> 507 -> 485

    before = record.counted_at
    count_reputation.count_seen(chain_id=31337, entities=[words.checksummed(PAYMASTER)], now=clock.get_now())

    record.refresh_from_db()
    assert (record.seen, record.counted_at) == (486, before + 2 * HOUR)


def test_a_bundle_leaves_out_what_the_rules_say(town: Town) -> None:
    waiting = town.wait(count=6)
    record = town.record(110, 0)
    assert town.left_out(waiting) == [("GREP-020", refusals.Meaning.WINDOW)] * 2
    old = town.wait(created_at=clock.get_now() - datetime.timedelta(minutes=3))
    assert town.left_out(old) == [("GREP-020", refusals.Meaning.FINAL)]
    record.seen = 510
    record.save()
    assert town.left_out(waiting) == [("GREP-010", refusals.Meaning.FINAL)] * 6
    assert town.left_out([rows.make_operation(utility=town.key.utility)]) == []


def test_an_unstaked_factory_has_no_reputation_in_a_bundle(town: Town) -> None:
    town.record(10_000, 0, entity=FACTORY)
    waiting = town.wait(paymaster_and_data=b"", init_code=FACTORY + b"\x01")
    assert town.left_out(waiting) == []
    town.at[FACTORY] = STAKED
    assert town.left_out(waiting) == [("GREP-010", refusals.Meaning.FINAL)]


@pytest.mark.parametrize(
    ("reason", "paymaster", "factory"),
    [
        ("AA33 reverted", (10_000, 0), (20, 20)),  # GREP-040
        ("AA23 reverted", (19, 20), (10_000, 0)),  # EREP-015, EREP-020
        ("AA25 invalid account nonce", (20, 20), (20, 20)),
    ],
)
def test_who_fails_a_bundle_answers_for_it(
    town: Town, reason: str, paymaster: tuple[int, int], factory: tuple[int, int]
) -> None:
    town.at[FACTORY] = STAKED
    paid, made = town.record(20, 20), town.record(20, 20, entity=FACTORY)
    (row,) = town.wait(init_code=FACTORY + b"\x01")
    refusal = refusals.Refusal(index=0, meaning=refusals.Meaning.FINAL, reason=f"FailedOp: opIndex 0, reason {reason}")

    count_reputation.punish(refused=[(row, refusal)], chain_id=31337, now=clock.get_now())

    paid.refresh_from_db()
    made.refresh_from_db()
    assert ((paid.seen, paid.included), (made.seen, made.included)) == (paymaster, factory)
