"""ERC-7562's reputation rules, one table each, by the ids of the rules."""

from typing import Any

import pytest

from relayer.domain import reputation

PAYMASTER, FACTORY = reputation.Role.PAYMASTER, reputation.Role.FACTORY
OK, THROTTLED, BANNED = reputation.Standing


def record(seen: int, included: int) -> reputation.Record:
    return reputation.Record(seen=seen, included=included)


def objection(**given: Any) -> str | None:
    """Return the id of the rule that keeps an operation out which costs 10 wei."""
    known: dict[str, Any] = {
        "role": PAYMASTER,
        "is_staked": False,
        "record": record(0, 0),
        "waiting": 0,
        "deposit_wei": 10,
    }
    found = reputation.objection_to(entity=reputation.Entity(**known | given), cost_wei=10)
    return None if found is None else found.rule


@pytest.mark.parametrize(
    ("seen", "included", "expected"),
    [
        (0, 0, OK),  # new entities start as OK
        (109, 0, OK),  # max_seen 10, not above THROTTLING_SLACK
        (110, 0, THROTTLED),
        (110, 1, OK),
        (509, 0, THROTTLED),  # max_seen 50, not above BAN_SLACK
        (510, 0, BANNED),
        (510, 1, THROTTLED),
        (10_000, 949, BANNED),
        (10_000, 950, THROTTLED),
        (10_000, 990, OK),
    ],
)
def test_standing_follows_from_seen_and_included(seen: int, included: int, expected: reputation.Standing) -> None:
    assert record(seen, included).standing is expected


@pytest.mark.parametrize(
    ("value", "hours", "expected"),
    [(0, 5, 0), (100, 0, 100), (100, 1, 95), (100, 2, 91), (24, 1, 23), (10, 2, 8), (1, 1, 0), (10_000, 24 * 4, 158)],
)
def test_counts_fade_by_a_24th_each_hour(value: int, hours: int, expected: int) -> None:
    assert reputation.faded(value, hours=hours) == expected


def test_a_banned_entity_is_taken_again_after_a_while() -> None:
    penalty = record(reputation.BAN_OPS_SEEN_PENALTY, 0)
    hours = next(hours for hours in range(1000) if penalty.after(hours=hours).standing is not BANNED)
    assert (hours, penalty.after(hours=hours).standing) == (70, THROTTLED)


@pytest.mark.parametrize(
    ("seen", "included", "expected"),
    [(0, 0, 10), (10, 0, 10), (10, 10, 20), (100, 50, 35), (20_000, 20_000, 10_010), (40_000, 20_000, 5_010)],
)
def test_urep_020_an_unstaked_paymaster_may_have_ten_waiting_and_what_it_earned(
    seen: int, included: int, expected: int
) -> None:
    assert record(seen, included).allowed_unstaked == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, None),
        ({"waiting": 9}, None),
        ({"waiting": 10}, "UREP-020"),
        ({"waiting": 19, "record": record(10, 10)}, None),
        ({"waiting": 20, "record": record(10, 10)}, "UREP-020"),
        ({"waiting": 10_000, "is_staked": True}, None),  # SREP-040: an OK staked entity is unlimited
        ({"record": record(510, 0)}, "GREP-010"),
        ({"record": record(510, 0), "is_staked": True}, "GREP-010"),
        ({"record": record(110, 0), "waiting": 3}, None),
        ({"record": record(110, 0), "waiting": 4}, "GREP-020"),
        ({"record": record(110, 0), "waiting": 4, "is_staked": True}, "GREP-020"),
        ({"waiting_wei": 1}, "EREP-010"),
        ({"waiting_wei": 1, "is_staked": True}, "EREP-010"),
        ({"waiting_wei": 1, "deposit_wei": 11}, None),
        ({"is_a_sender": True}, "STO-040"),
        # The general rules hold for staked entities and unstaked paymasters: an unstaked factory has no reputation.
        ({"role": FACTORY, "record": record(10_000, 0), "waiting": 50, "deposit_wei": 0}, None),
        ({"role": FACTORY, "record": record(10_000, 0), "is_staked": True}, "GREP-010"),
        ({"role": FACTORY, "record": record(110, 0), "waiting": 4, "is_staked": True}, "GREP-020"),
        ({"role": FACTORY, "is_a_sender": True}, "STO-040"),
    ],
)
def test_what_keeps_an_operation_out_is_named_by_its_rule(given: dict[str, Any], expected: str | None) -> None:
    assert objection(**given) == expected


@pytest.mark.parametrize(
    ("reason", "has_staked_factory", "has_paymaster", "banned", "forgives"),
    [
        ("FailedOp: opIndex 0, reason AA33 reverted", False, True, PAYMASTER, False),  # GREP-040
        ("FailedOp: opIndex 0, reason AA34 signature error", True, True, PAYMASTER, False),
        ("FailedOp: opIndex 0, reason AA23 reverted", False, True, None, True),  # EREP-015
        ("FailedOp: opIndex 0, reason AA24 signature error", True, True, FACTORY, True),  # EREP-020
        ("FailedOp: opIndex 0, reason AA13 initCode failed or OOG", True, False, FACTORY, False),
        ("FailedOp: opIndex 0, reason AA23 reverted", False, False, None, False),
        ("FailedOp: opIndex 0, reason AA25 invalid account nonce", True, True, None, False),
        ("FailedOp: opIndex 0, reason AA31 paymaster deposit too low", False, True, None, False),
        ("FailedOp: opIndex 0, reason AA32 paymaster expired or not due", False, True, None, False),
        ("FailedOp: opIndex 0, reason AA22 expired or not due", True, True, None, False),
        ("the node does not say", True, True, None, False),
    ],
)
def test_who_answers_for_a_failure_after_the_second_validation(
    reason: str, has_staked_factory: bool, has_paymaster: bool, banned: reputation.Role | None, forgives: bool
) -> None:
    found = reputation.blame_for(reason=reason, has_staked_factory=has_staked_factory, has_paymaster=has_paymaster)
    assert (found.banned, found.forgives_paymaster) == (banned, forgives)
