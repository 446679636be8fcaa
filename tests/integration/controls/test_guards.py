"""What guards money is otherwise only because two people said so: the database holds it, whoever writes."""

import contextlib
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from django import db as django_db

from controls import models
from customers import models as customer_models
from tests.factories import controls, customers, wallets

TERMS: list[tuple[str, Any]] = [
    ("treasury_address", customers.address()),
    ("default_fee_mode", "ovpp"),
    ("offers_fee_in_ovpp", False),
    ("offers_fee_in_stablecoin", False),
    ("absorbs_fee", False),
    ("default_payment_limit_cents", 7),
    ("default_period_limit_cents", 60_001),
    ("default_grant_days", 7),
    ("max_payment_limit_cents", 900_000),
    ("max_period_limit_cents", 900_000),
    ("max_grant_days", 700),
    ("step_up_above_cents", 9),
]

pytestmark = pytest.mark.django_db(transaction=True)


@contextlib.contextmanager
def refused_by(constraint: str) -> Iterator[None]:
    with pytest.raises(django_db.IntegrityError) as refusal:
        yield
    cause: Any = refusal.value.__cause__
    assert cause.diag.constraint_name == constraint


def test_a_utilitys_terms_stay_without_a_change_and_follow_the_latest_one() -> None:
    utility = customers.Utility.create()
    row = customer_models.Utility.objects.filter(pk=utility.pk)
    for field, value in TERMS:
        before = getattr(utility, field)
        assert before != value, field
        with refused_by("needs_applied_change"):
            row.update(**{field: value})
        controls.change_terms(utility, **{field: value})
        utility.refresh_from_db()
        assert getattr(utility, field) == value
        with refused_by("needs_applied_change"):
            row.update(**{field: before})
    row.update(name="Another name")


def test_one_utilitys_change_is_none_of_anothers() -> None:
    utility, other = customers.Utility.create(), customers.Utility.create()
    controls.change_terms(utility, absorbs_fee=False)
    with refused_by("needs_applied_change"):
        customer_models.Utility.objects.filter(pk=other.pk).update(absorbs_fee=False)


@pytest.mark.parametrize(("field", "value"), [("pays_bills", False), ("pays_fees", False), ("fee_cap_units", 10**24)])
def test_a_tokens_terms_stay_without_a_change(field: str, value: object) -> None:
    token = customers.AcceptedToken.create()
    with refused_by("needs_applied_change"):
        customer_models.AcceptedToken.objects.filter(pk=token.pk).update(**{field: value})
    controls.change_token(token, **{field: value})
    token.refresh_from_db()
    assert getattr(token, field) == value


def test_a_screener_that_is_down_is_waited_for_until_two_people_say_otherwise() -> None:
    utility = customers.Utility.create()
    with refused_by("needs_applied_change"):
        models.ScreeningRule.objects.create(utility=utility, when_down="allow")
    controls.applied_change(kind="screening", subject=utility.pk, utility=utility, after={"when_down": "refuse"})
    models.ScreeningRule.objects.create(utility=utility, when_down="refuse")
    with refused_by("needs_applied_change"):
        models.ScreeningRule.objects.update(when_down="allow")


def test_a_key_that_was_disabled_signs_never_again() -> None:
    key = wallets.SealedKey.create(disabled_at="2026-11-01T12:00:00Z", subject=secrets.token_hex(8))
    with refused_by("disabled_key_stays_disabled"):
        type(key).objects.filter(pk=key.pk).update(disabled_at=None)
