"""The digest of a consent, and what differs from it."""

import json

from contracts.bindings import sessions, words
from custody.domain import consents
from tests import custody_fixture

POLICY = sessions.SessionPolicy(
    key=b"\x0b" * 20,
    payee=b"\x22" * 20,
    token=b"\x33" * 20,
    max_per_payment_units=100,
    max_per_period_units=150,
    max_total_units=2**90,
    max_fee_units=5,
    starts_at=1_800_000_000,
    ends_at=1_900_000_000,
    period_seconds=86_400,
    salt=7,
)


def test_the_digest_is_of_the_canonical_json() -> None:
    assert consents.digest(terms={"b": 1, "a": "é"}) == words.keccak('{"a":"é","b":1}'.encode())


def test_the_digest_survives_the_database() -> None:
    terms = custody_fixture.terms_of(POLICY)
    assert consents.digest(terms=json.loads(json.dumps(terms))) == consents.digest(terms=terms)


def test_terms_that_say_the_same_differ_in_nothing() -> None:
    assert consents.difference(terms=custody_fixture.terms_of(POLICY), policy=POLICY) is None


def test_terms_that_lack_something_differ() -> None:
    terms = custody_fixture.terms_of(POLICY)
    for name in terms.keys() - {"type", "actions", "key"}:
        without = {other: value for other, value in terms.items() if other != name}
        assert consents.difference(terms=without, policy=POLICY) == "form of terms"
    assert consents.difference(terms=terms | {"payee": 7}, policy=POLICY) == "form of terms"
