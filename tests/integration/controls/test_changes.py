"""Four eyes: asked by one, decided by another, once, in time, and only on what was shown; held by the database too."""

import contextlib
import datetime
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from django import db as django_db
from django import test

from controls import models, operations, queries
from controls.domain import conditions, spending
from controls.usecases import decide_change
from customers import models as customer_models
from openvpp.core import db, errors
from tests.factories import customers, programs, wallets

NOW = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def utility(transactional_db: None) -> customer_models.Utility:
    made: customer_models.Utility = customers.Utility.create()
    return made


def administrator(utility: customer_models.Utility) -> customer_models.User:
    user: customer_models.User = customers.StaffRole.create(utility=utility, role="administrator").user
    return user


def propose(utility: customer_models.Utility, maker: customer_models.User, **after: Any) -> models.ChangeRequest:
    return decide_change.propose(
        kind="utility_terms",
        subject=str(utility.pk),
        after=after or {"max_payment_limit_cents": 300_000},
        reason="Larger bills",
        maker=maker,
        now=NOW,
    )


def approve(change: models.ChangeRequest, checker: customer_models.User, now: datetime.datetime = NOW) -> None:
    decide_change.approve(change_id=change.pk, checker=checker, now=now)


@contextlib.contextmanager
def refused_by(constraint: str) -> Iterator[None]:
    with pytest.raises(django_db.IntegrityError) as refusal:
        yield
    cause: Any = refusal.value.__cause__
    assert cause.diag.constraint_name == constraint


def limit_of(utility: customer_models.Utility) -> int:
    utility.refresh_from_db()
    return utility.max_payment_limit_cents


def test_one_asks_and_another_applies_it_once(utility: customer_models.Utility) -> None:
    maker, checker = administrator(utility), administrator(utility)
    change = propose(utility, maker)
    assert change.difference == [("max_payment_limit_cents", 200_000, 300_000)]
    assert limit_of(utility) == 200_000
    approve(change, checker)
    assert limit_of(utility) == 300_000
    change.refresh_from_db()
    assert (change.state, change.checker, change.decided_at) == ("applied", checker, NOW)
    with pytest.raises(decide_change.UnableToDecide) as refusal:
        approve(change, checker)
    assert refusal.value.code == "already_decided"


def test_the_maker_does_not_decide(utility: customer_models.Utility) -> None:
    maker = administrator(utility)
    change = propose(utility, maker)
    for act in (decide_change.approve, decide_change.reject):
        with pytest.raises(decide_change.UnableToDecide) as refusal:
            act(change_id=change.pk, checker=maker, now=NOW)
        assert refusal.value.code == "own_change"
    assert limit_of(utility) == 200_000
    decide_change.withdraw(change_id=change.pk, maker=maker, now=NOW)
    change.refresh_from_db()
    assert (change.state, change.checker) == ("withdrawn", None)


@pytest.mark.parametrize("role", ["csr", "auditor", "program_manager", "billing_analyst"])
def test_only_administrators_of_the_utility_ask_and_decide(utility: customer_models.Utility, role: str) -> None:
    change = propose(utility, administrator(utility))
    others = [
        customers.StaffRole.create(utility=utility, role=role).user,
        administrator(customers.Utility.create()),
    ]
    for other in others:
        with pytest.raises(queries.UnableToFindChange):
            approve(change, other)
        with pytest.raises(errors.NotFound):
            propose(utility, other)
    assert limit_of(utility) == 200_000
    assert models.ChangeRequest.objects.count() == 1


def test_a_change_expires(utility: customer_models.Utility) -> None:
    change = propose(utility, administrator(utility))
    with pytest.raises(decide_change.UnableToDecide) as refusal:
        approve(change, administrator(utility), now=NOW + decide_change.LIFETIME)
    assert refusal.value.code == "expired"
    assert limit_of(utility) == 200_000
    approve(change, administrator(utility), now=NOW + decide_change.LIFETIME - HOUR)
    assert limit_of(utility) == 300_000


def test_what_changed_since_is_asked_for_anew(utility: customer_models.Utility) -> None:
    maker, checker = administrator(utility), administrator(utility)
    first, second = propose(utility, maker), propose(utility, maker, max_payment_limit_cents=250_000)
    approve(second, checker)
    with pytest.raises(decide_change.UnableToDecide) as refusal:
        approve(first, checker)
    assert refusal.value.code == "changed_since"
    assert limit_of(utility) == 250_000


@pytest.mark.parametrize(
    ("after", "code"),
    [
        ({"max_payment_limit_cents": 200_000}, "no_difference"),
        ({"slug": "other"}, "unknown_field"),
        ({"max_payment_limit_cents": 1}, "not_sound"),
        ({"treasury_address": "0x12"}, "not_sound"),
        ({"default_fee_mode": "barter"}, "not_sound"),
        ({"max_grant_days": -1}, "not_sound"),
    ],
)
def test_what_is_not_sound_is_not_asked_for(utility: customer_models.Utility, after: dict[str, Any], code: str) -> None:
    with pytest.raises(errors.UnableTo) as refusal:
        propose(utility, administrator(utility), **after)
    assert refusal.value.code == code
    assert models.ChangeRequest.objects.count() == 0


def test_the_database_refuses_a_maker_who_checks(utility: customer_models.Utility) -> None:
    maker = administrator(utility)
    change = propose(utility, maker)
    rows = models.ChangeRequest.objects.filter(pk=change.pk)
    for wrong, constraint in (
        ({"state": "applied", "checker": maker, "decided_at": NOW}, "change_checked_by_another"),
        ({"state": "applied", "decided_at": NOW}, "change_decided_whole"),
        ({"checker": administrator(utility)}, "change_decided_whole"),
        (
            {"state": "applied", "checker": administrator(utility), "decided_at": change.expires_at},
            "change_applied_in_time",
        ),
        ({"after": {"max_payment_limit_cents": 9}}, "change_keeps_what_was_asked"),
        ({"maker": administrator(utility)}, "change_keeps_what_was_asked"),
    ):
        with refused_by(constraint):
            rows.update(**wrong)
    with refused_by("change_keeps_what_was_asked"):
        rows.delete()
    approve(change, administrator(utility))
    with refused_by("change_keeps_what_was_asked"):
        rows.update(state="open", checker=None, decided_at=None)


def get_frozen(utility: customer_models.Utility, account: str) -> str:
    return queries.get_rules(utility_id=utility.pk, account=account, chain_id=31337).frozen


def get_layers(utility: customer_models.Utility) -> list[spending.Layer]:
    return queries.get_rules(utility_id=utility.pk, account=customers.address(), chain_id=31337).layers


def test_a_policy_has_versions_that_only_two_people_add(utility: customer_models.Utility) -> None:
    maker, checker = administrator(utility), administrator(utility)
    assert [(layer.version, layer.policy) for layer in get_layers(utility)] == [(0, spending.DEFAULT)]
    document = spending.DEFAULT.to_json()
    document["rules"].append(
        {"name": "small", "effect": "deny", "when": [], "unless": [{"kind": "units", "at_most_units": "100"}]}
    )
    change = decide_change.propose(
        kind="spending_policy",
        subject=f"utility:{utility.pk}",
        after={"document": document},
        reason="Small payments first",
        maker=maker,
        now=NOW,
    )
    row = {"utility": utility, "scope": "utility", "version": 1, "document": document, "change": change, "made_at": NOW}
    with refused_by("needs_applied_change"):
        models.SpendingPolicy.objects.create(**row)
    approve(change, checker)
    [layer] = get_layers(utility)
    assert (layer.version, layer.policy.rules[2].unless) == (1, (conditions.Units(at_most_units=100),))
    with refused_by("controls_spendingpolicy_append_only"):
        models.SpendingPolicy.objects.update(document={})
    with refused_by("controls_spendingpolicy_append_only"):
        models.SpendingPolicy.objects.all()._raw_delete(using="default")
    with pytest.raises(errors.UnableTo) as refusal:
        decide_change.propose(
            kind="spending_policy",
            subject=f"utility:{utility.pk}",
            after={"document": {"tag": "spending/1", "rules": []}},
            reason="x",
            maker=maker,
            now=NOW,
        )
    assert refusal.value.code == "not_sound"


def test_one_freezes_and_two_lift(utility: customer_models.Utility) -> None:
    account = customers.address()
    with db.transaction():
        freeze = operations.freeze(
            utility_id=utility.pk, account=account, chain_id=31337, reason="Lost phone", by=None, now=NOW
        )
        again = operations.freeze(
            utility_id=utility.pk, account=account, chain_id=31337, reason="Twice", by=None, now=NOW
        )
    assert freeze.pk == again.pk
    assert get_frozen(utility, account) == "Lost phone"
    with pytest.raises(django_db.IntegrityError):
        models.Freeze.objects.update(lifted_at=NOW)
    with pytest.raises(django_db.IntegrityError):
        models.Freeze.objects.update(lifted_at=NOW, lifted_by=propose(utility, administrator(utility)))
    change = decide_change.propose(
        kind="lift_freeze", subject=str(freeze.pk), after={"frozen": False}, reason="Found",
        maker=administrator(utility), now=NOW,
    )  # fmt: skip
    assert get_frozen(utility, account)
    approve(change, administrator(utility))
    assert get_frozen(utility, account) == ""


def test_tokens_and_screening_change_by_two(utility: customer_models.Utility) -> None:
    maker, checker = administrator(utility), administrator(utility)
    token = customers.AcceptedToken.create(utility=utility)
    for kind, subject, after in (
        ("accepted_token", str(token.pk), {"fee_cap_units": "5"}),
        ("screening", str(utility.pk), {"when_down": "refuse"}),
    ):
        change = decide_change.propose(
            kind=kind, subject=subject, after=after, reason="As agreed", maker=maker, now=NOW
        )
        approve(change, checker)
    token.refresh_from_db()
    assert token.fee_cap_units == 5
    assert queries.get_when_down(utility_id=utility.pk) == "refuse"


def browser(user: customer_models.User) -> test.Client:
    client = test.Client()
    client.force_login(user)
    return client


def test_the_pages_show_the_difference_and_who_may_decide(utility: customer_models.Utility) -> None:
    maker, checker = administrator(utility), administrator(utility)
    asking = browser(maker)
    choose = asking.get("/admin/controls/changerequest/propose/")
    assert f"/propose/utility_terms/{utility.pk}/" in choose.content.decode()
    page = f"/admin/controls/changerequest/propose/utility_terms/{utility.pk}/"
    assert asking.get(page).status_code == 200
    current = decide_change.get_current(kind="utility_terms", subject=str(utility.pk), user=maker)
    form = {name: value for name, value in current.items() if value is not False} | {"reason": "Moved"}
    form["treasury_address"] = customers.address()
    answer: Any = asking.post(page, form)
    change = models.ChangeRequest.objects.get()
    assert (answer.status_code, answer.url) == (302, f"/admin/controls/changerequest/{change.pk}/change/")
    own = asking.get(answer.url).content.decode()
    assert form["treasury_address"] in own
    assert "/do/withdraw/" in own
    assert "/do/approve/" not in own

    deciding = browser(checker)
    assert "/do/approve/" in deciding.get(answer.url).content.decode()
    do = f"/admin/controls/changerequest/{change.pk}/do/approve/"
    assert deciding.get(do).status_code == 405
    assert browser(administrator(customers.Utility.create())).post(do).status_code == 404
    asking.post(do)
    utility.refresh_from_db()
    assert utility.treasury_address == current["treasury_address"]
    deciding.post(do)
    utility.refresh_from_db()
    assert utility.treasury_address == form["treasury_address"]


def test_nobody_changes_guarded_terms_by_the_admins_own_form(utility: customer_models.Utility) -> None:
    operator = customers.User.create(is_staff=True, is_superuser=True)
    page = f"/admin/customers/utility/{utility.pk}/change/"
    shown = browser(operator).get(page).content.decode()
    for name in ("treasury_address", "max_payment_limit_cents", "absorbs_fee"):
        assert f'name="{name}"' not in shown
    assert 'name="name"' in shown
    before = utility.treasury_address
    browser(operator).post(page, {"name": "New name", "treasury_address": "0x" + secrets.token_hex(20)})
    utility.refresh_from_db()
    assert utility.treasury_address == before


@pytest.mark.parametrize(("role", "frozen"), [("csr", 1), ("administrator", 1), ("auditor", 0)])
def test_who_freezes_a_wallet_by_hand(utility: customer_models.Utility, role: str, frozen: int) -> None:
    wallet = wallets.Wallet.create(customer__utility=utility)
    theirs = wallets.Wallet.create()
    client = browser(customers.StaffRole.create(utility=utility, role=role).user)
    body = {"action": "freeze", "_selected_action": [str(wallet.pk), str(theirs.pk)]}
    client.post("/admin/wallets/wallet/", body)
    assert list(models.Freeze.objects.values_list("account", flat=True)) == [wallet.address] * frozen


def test_a_program_pays_from_another_treasury_by_two_people(utility: customer_models.Utility) -> None:
    program = programs.Program.create(utility=utility)
    before = program.treasury_wallet
    other = programs.TreasuryWallet.create(utility=utility, label="other")
    strange = programs.TreasuryWallet.create()
    asked: dict[str, Any] = {"kind": "program_treasury", "subject": str(program.pk), "reason": "Moved", "now": NOW}
    with pytest.raises(errors.UnableTo) as refusal:
        decide_change.propose(after={"treasury_wallet": strange.address}, maker=administrator(utility), **asked)
    assert refusal.value.code == "not_sound"
    change = decide_change.propose(after={"treasury_wallet": other.address}, maker=administrator(utility), **asked)
    program.refresh_from_db()
    assert program.treasury_wallet == before
    event = programs.Event.create(program=program, state="scheduled")
    with pytest.raises(errors.UnableTo) as refusal:
        approve(change, administrator(utility))
    assert refusal.value.code == "event_open"
    event.delete()
    approve(change, administrator(utility))
    program.refresh_from_db()
    assert program.treasury_wallet == other
