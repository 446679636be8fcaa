"""Spending policies: default deny, deny wins, limits at their edges, what is not known, and the one form on paper."""

import dataclasses
import datetime
import zoneinfo

import pytest

from controls.domain import conditions, spending

TREASURY, OTHER, TOKEN = "0x" + "7e" * 20, "0x" + "0b" * 20, "0x" + "70" * 20
NOON = datetime.datetime(2026, 11, 23, 17, tzinfo=datetime.UTC)  # a Monday, 12:00 in New York
FACTS = conditions.Facts(
    treasury=TREASURY, zone=zoneinfo.ZoneInfo("America/New_York"), customers=frozenset(), history=()
)
PAYMENT = conditions.Request(action="billing.payment", token=TOKEN, payees=(TREASURY,), units=100, at=NOON)


def layer(*rules: spending.Rule, scope: str = "utility") -> spending.Layer:
    return spending.Layer(scope=scope, version=1, policy=spending.Policy(rules=rules))


def allow(*when: conditions.Condition) -> spending.Rule:
    return spending.Rule(name="leave", effect=spending.Effect.ALLOW, when=when)


def deny(name: str = "no", *, when: tuple = (), unless: tuple = ()) -> spending.Rule:  # type: ignore[type-arg]
    return spending.Rule(name=name, effect=spending.Effect.DENY, when=when, unless=unless)


def decide(
    *layers: spending.Layer, request: conditions.Request = PAYMENT, facts: conditions.Facts = FACTS
) -> spending.Verdict:
    return spending.decide(layers=layers, request=request, facts=facts)


def spent(units: int, minutes_ago: float, token: str = TOKEN) -> conditions.Spend:
    at = NOON - datetime.timedelta(minutes=minutes_ago)
    return conditions.Spend(action="billing.payment", token=token, units=units, at=at)


def test_what_no_rule_allows_is_denied() -> None:
    assert decide() == spending.Denied(
        code="no_rule_allows", reason="No rule of the utility, program or customer allows it."
    )
    verdict = decide(layer(allow(conditions.Actions(among=("programs.payout",)))))
    assert isinstance(verdict, spending.Denied)


def test_leave_names_its_rule() -> None:
    verdict = decide(layer(allow()))
    assert verdict == spending.Allowed(decided_by=spending.Decider(scope="utility", version=1, rule="leave"))


@pytest.mark.parametrize("order", [0, 1])
def test_an_explicit_deny_of_any_layer_wins(order: int) -> None:
    layers = [layer(allow()), layer(deny("stop"), scope="customer")]
    verdict = decide(*(layers if order else reversed(layers)))
    assert verdict == spending.Denied(
        code="denied_by_rule",
        reason="The customer's rule “stop” refuses it.",
        decided_by=spending.Decider(scope="customer", version=1, rule="stop"),
    )


def test_a_freeze_refuses_whatever_is_allowed() -> None:
    verdict = decide(layer(allow()), facts=dataclasses.replace(FACTS, frozen="unknown key"))
    assert isinstance(verdict, spending.Denied)
    assert (verdict.code, verdict.reason) == ("wallet_frozen", "The wallet is frozen: unknown key")


@pytest.mark.parametrize(
    ("condition", "history", "holds"),
    [
        (conditions.Units(at_most_units=100), (), True),
        (conditions.Units(at_most_units=99), (), False),
        (conditions.Spent(at_most_units=300, seconds=3600), (spent(200, 59),), True),
        (conditions.Spent(at_most_units=299, seconds=3600), (spent(200, 59),), False),
        (conditions.Spent(at_most_units=299, seconds=3600), (spent(200, 60),), True),
        (conditions.Spent(at_most_units=299, seconds=3600), (spent(200, 59, OTHER),), True),
        (conditions.Velocity(at_most=2, seconds=60), (spent(1, 0.5),), True),
        (conditions.Velocity(at_most=1, seconds=60), (spent(1, 0.5),), False),
        (conditions.Hours(days=(0,), from_minute=720, until_minute=721), (), True),
        (conditions.Hours(days=(0,), from_minute=0, until_minute=720), (), False),
        (conditions.Hours(days=(1,)), (), False),
        (conditions.Payees(within=("treasury",)), (), True),
        (conditions.Payees(within=(OTHER,)), (), False),
        (conditions.SomePayee(among=(OTHER,)), (), False),
        (conditions.Tokens(among=(TOKEN,)), (), True),
    ],
)
def test_conditions_at_their_edges(
    condition: conditions.Condition, history: tuple[conditions.Spend, ...], holds: bool
) -> None:
    assert condition.holds(request=PAYMENT, facts=dataclasses.replace(FACTS, history=history)) is holds


@pytest.mark.parametrize(
    ("at", "open_"),
    [
        ("2026-03-08T06:59:00+00:00", True),  # 01:59 before the 23-hour day's leap
        ("2026-03-08T07:00:00+00:00", False),  # 03:00 after it
        ("2026-11-01T05:30:00+00:00", True),  # 01:30 the first time on the 25-hour day
        ("2026-11-01T06:30:00+00:00", True),  # and the second
        ("2026-11-01T07:00:00+00:00", False),
    ],
)
def test_hours_are_the_utilitys_local_ones(at: str, open_: bool) -> None:
    early = conditions.Hours(from_minute=0, until_minute=120)
    request = dataclasses.replace(PAYMENT, at=datetime.datetime.fromisoformat(at))
    assert early.holds(request=request, facts=FACTS) is open_


def test_what_is_not_known_neither_denies_nor_stands_in_the_way() -> None:
    unknown = dataclasses.replace(FACTS, history=None, customers=None)
    velocity = conditions.Velocity(at_most=1, seconds=60)
    assert isinstance(decide(layer(allow(velocity)), facts=unknown), spending.Allowed)
    assert isinstance(decide(layer(allow(), deny(unless=(velocity,))), facts=unknown), spending.Allowed)
    limit = conditions.Spent(at_most_units=99, seconds=60)  # too much whatever was before
    assert isinstance(decide(layer(allow(), deny(unless=(limit,))), facts=unknown), spending.Denied)
    payout = dataclasses.replace(PAYMENT, action="programs.payout", payees=(OTHER,))
    assert isinstance(decide(layer(*spending.DEFAULT.rules), request=payout, facts=unknown), spending.Allowed)
    assert isinstance(decide(layer(*spending.DEFAULT.rules), request=payout), spending.Denied)
    known = dataclasses.replace(FACTS, customers=frozenset({OTHER}))
    assert isinstance(decide(layer(*spending.DEFAULT.rules), request=payout, facts=known), spending.Allowed)


def test_the_default_pays_bills_to_the_treasury_only() -> None:
    default = layer(*spending.DEFAULT.rules)
    assert isinstance(decide(default), spending.Allowed)
    assert isinstance(decide(default, request=dataclasses.replace(PAYMENT, payees=(OTHER,))), spending.Denied)


SMALL = conditions.Units(at_most_units=1)
EVERYTHING = spending.Policy(
    rules=(
        allow(conditions.Actions(among=("billing.payment",)), conditions.Payees(within=("treasury", OTHER))),
        deny(
            "limit", unless=(conditions.Spent(at_most_units=2**100, seconds=86400), conditions.Units(at_most_units=1))
        ),
        deny("fast", when=(conditions.SomePayee(among=(OTHER,)), conditions.Tokens(among=(TOKEN,)))),
        deny("night", unless=(conditions.Hours(from_minute=480, until_minute=1200),)),
        deny("many", unless=(conditions.Velocity(at_most=3, seconds=60),)),
    )
)


def test_what_is_written_reads_the_same() -> None:
    assert spending.Policy.parse(EVERYTHING.to_json()) == EVERYTHING
    assert EVERYTHING.to_json()["tag"] == "spending/1"
    assert EVERYTHING.to_json()["rules"][1]["unless"][0] == {
        "kind": "spent", "at_most_units": str(2**100), "seconds": 86400
    }  # fmt: skip


def rule(**parts: object) -> dict[str, object]:
    return {"tag": "spending/1", "rules": [{"name": "a", "effect": "deny"} | parts]}


@pytest.mark.parametrize(
    "broken",
    [
        {},
        rule() | {"tag": "spending/2"},
        rule() | {"rules": []},
        rule(effect="maybe"),
        rule(whenever=[]),
        {"tag": "spending/1", "rules": [{"name": "a", "effect": "allow"}] * 2},
        rule(when=[{"kind": "magic"}]),
        rule(when=[{"kind": "units"}]),
        rule(when=[{"kind": "units", "at_most_units": -1}]),
        rule(when=[{"kind": "hours", "from_minute": 1440}]),
        rule(when=[{"kind": "actions", "among": []}]),
        rule(when=[{"kind": "units", "at_most_units": 1, "x": 1}]),
    ],
)
def test_what_is_no_policy_is_refused(broken: object) -> None:
    with pytest.raises(conditions.UnableToReadPolicy):
        spending.Policy.parse(broken)


def test_an_explanation_shows_every_rule_and_condition() -> None:
    steps = spending.explain(layers=[layer(*EVERYTHING.rules)], request=PAYMENT, facts=FACTS)
    assert [(step.rule.name, step.matches) for step in steps] == [
        ("leave", True), ("limit", False), ("fast", False), ("night", False), ("many", False)
    ]  # fmt: skip
    assert (steps[1].when, steps[1].unless) == ((), (True, False))


def test_how_far_back_the_rules_look() -> None:
    assert spending.needs_history([layer(*spending.DEFAULT.rules)]) == 0
    assert spending.needs_history([layer(*EVERYTHING.rules)]) == 86400
