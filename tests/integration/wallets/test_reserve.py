"""Spending is counted against the grant in one statement: exact at the edge, and under a crowd."""

import concurrent.futures
import datetime
import secrets

import pytest
from django import db as django_db

from openvpp.core import db
from tests.factories import wallets as factories
from wallets import models, operations
from wallets.domain import outcome

START = datetime.datetime(2026, 3, 7, 12, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def grant(transactional_db: None) -> models.SessionKeyGrant:
    """At most 60 a payment, 100 an hour, 250 in all, for a day."""
    made: models.SessionKeyGrant = factories.SessionKeyGrant.create(
        limit_per_payment_units=60,
        limit_per_period_units=100,
        limit_total_units=250,
        period_seconds=3600,
        starts_at=START,
        ends_at=START + 24 * HOUR,
        state="active",
    )
    return made


@db.transaction
def reserve(grant: models.SessionKeyGrant, units: int, now: datetime.datetime = START) -> models.Operation:
    return operations.reserve(
        wallet=grant.wallet,
        grant=grant,
        quote=None,
        kind=models.Operation.Kind.BILL_PAYMENT,
        reference="0x" + secrets.token_hex(16),
        intent={"payee": grant.payee, "token": grant.token},
        spend_units=units,
        now=now,
    )


def counted(grant: models.SessionKeyGrant) -> tuple[datetime.datetime, int, int]:
    grant.refresh_from_db()
    return grant.period_started_at, grant.reserved_in_period_units, grant.reserved_total_units


def refusal(grant: models.SessionKeyGrant, units: int, now: datetime.datetime = START) -> operations.UnableToReserve:
    before = counted(grant)
    with pytest.raises(operations.UnableToReserve) as error:
        reserve(grant, units, now)
    assert counted(grant) == before
    assert error.value.status == 409
    return error.value


def test_the_edge_of_each_limit(grant: models.SessionKeyGrant) -> None:
    assert refusal(grant, 61).code == "over_payment_limit"
    reserve(grant, 60)
    reserve(grant, 40)
    assert counted(grant) == (START, 100, 100)
    assert refusal(grant, 1).extra == {"needed_units": "1", "limit_units": "100", "left_units": "0"}
    assert refusal(grant, 1).code == "over_period_limit"
    assert refusal(grant, 1, START + HOUR - datetime.timedelta(microseconds=1)).code == "over_period_limit"
    reserve(grant, 60, START + HOUR)
    assert counted(grant) == (START + HOUR, 60, 160)
    reserve(grant, 40, START + HOUR)
    reserve(grant, 50, START + 5 * HOUR)
    assert counted(grant) == (START + 5 * HOUR, 50, 250)
    assert refusal(grant, 1, START + 9 * HOUR).code == "over_total_limit"


def test_before_the_start_and_from_the_end_on(grant: models.SessionKeyGrant) -> None:
    assert refusal(grant, 1, START - datetime.timedelta(seconds=1)).code == "grant_not_started"
    assert refusal(grant, 1, START + 24 * HOUR).code == "grant_expired"
    reserve(grant, 1, START + 24 * HOUR - datetime.timedelta(microseconds=1))


@pytest.mark.parametrize("state", ["revoking", "revoked", "failed"])
def test_a_grant_that_is_not_alive(grant: models.SessionKeyGrant, state: str) -> None:
    models.SessionKeyGrant.objects.update(state=state)
    assert refusal(grant, 1).code == "grant_not_active"


def test_a_grant_of_another_wallet(grant: models.SessionKeyGrant) -> None:
    other = factories.Wallet.create()
    with db.transaction(), pytest.raises(operations.UnableToReserve) as error:
        operations.reserve(
            wallet=other,
            grant=grant,
            quote=None,
            kind=models.Operation.Kind.BILL_PAYMENT,
            reference="0x" + secrets.token_hex(16),
            intent={"payee": grant.payee, "token": grant.token},
            spend_units=1,
            now=START,
        )
    assert error.value.code == "grant_of_another_wallet"
    assert counted(grant)[1:] == (0, 0)


def test_amounts_beyond_64_bits(grant: models.SessionKeyGrant) -> None:
    huge = 2**95
    models.SessionKeyGrant.objects.update(
        limit_per_payment_units=huge, limit_per_period_units=huge, limit_total_units=huge
    )
    reserve(grant, huge)
    assert counted(grant)[1:] == (huge, huge)
    assert refusal(grant, 1).code == "over_period_limit"


@pytest.mark.parametrize(("later", "left_in_period"), [(datetime.timedelta(), 0), (2 * HOUR, 30)])
def test_a_failure_gives_back_what_it_had_reserved(
    grant: models.SessionKeyGrant, later: datetime.timedelta, left_in_period: int, settings: object
) -> None:
    settings.UPCALLS = settings.UPCALLS | {"operation.billing.payment": []}  # type: ignore[attr-defined]
    operation = reserve(grant, 50)
    if later:
        reserve(grant, 30, START + later)
    with db.transaction():
        operations.end(
            operation=models.Operation.objects.select_for_update().get(pk=operation.pk),
            result=outcome.Outcome(
                operation_id=operation.pk,
                kind=operation.kind,
                reference=operation.reference,
                intent={"payee": grant.payee, "token": grant.token},
                succeeded=False,
                reason="No.",
                receipt=None,
            ),
            now=START + later,
        )
    assert counted(grant)[1:] == (left_in_period, left_in_period)
    operation.refresh_from_db()
    assert (operation.state, operation.failure) == ("failed", "No.")
    assert list(operation.history.values_list("state", "detail")) == [("reserved", ""), ("failed", "No.")]


def test_a_crowd_never_passes_the_limit(grant: models.SessionKeyGrant) -> None:
    def act(_: int) -> str:
        try:
            reserve(grant, 7)
        except operations.UnableToReserve as error:
            return error.code
        else:
            return "reserved"
        finally:
            django_db.connections.close_all()

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(act, range(40)))
    assert results.count("reserved") == 14
    assert set(results) == {"reserved", "over_period_limit"}
    assert counted(grant)[1:] == (98, 98)
    assert models.Operation.objects.count() == 14
