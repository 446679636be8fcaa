"""Statements that are written once do what the ORM's would have done."""

import contextlib
import threading
import time
import uuid
from typing import Any

import psycopg
import pytest
from django import db as django_db
from django.db import transaction
from psycopg.types import json as json_types

from controls import models as controls
from customers import models as customer_models
from openvpp.core import clock, db, prepared, sql
from openvpp.core import models as core_models
from tests.factories import customers

pytestmark = pytest.mark.django_db(transaction=True)

Request = core_models.IdempotentRequest
_JOINED = sql.Read(
    lambda: (
        customer_models.CustomerAccount.objects.filter(number=sql.Slot("number"))
        .select_related("utility")
        .order_by("pk")
    )
)
_NUMBERS = sql.Read(
    lambda: (
        customer_models.CustomerAccount.objects.filter(utility=sql.Slot("utility_id"))
        .order_by("number")
        .values_list("number", "opened_on")
    )
)
_COUNT = "SELECT count(*) FROM core_idempotentrequest"
_LOCKED = sql.Read(lambda: Request.objects.select_for_update().filter(key=sql.Slot("key")))


def make(key: str) -> core_models.IdempotentRequest:
    return Request(application_id=1, key=key, fingerprint="f", created_at=clock.get_now(), body={"n": [1]})


def test_a_read_gives_rows_with_what_they_join(django_assert_num_queries: object) -> None:
    accounts = customers.CustomerAccount.create_batch(2)

    for account in [*accounts, accounts[0]]:
        with django_assert_num_queries(1):  # type: ignore[operator] # a fixture
            found = _JOINED.first(number=account.number)
            assert found == account
            assert found.utility.name == account.utility.name

    assert _JOINED.first(number="none") is None
    assert _NUMBERS.all(utility_id=accounts[0].utility_id) == [(accounts[0].number, accounts[0].opened_on)]


def test_a_read_that_locks_needs_a_transaction() -> None:
    sql.insert(make("a"))

    with pytest.raises(transaction.TransactionManagementError):
        _LOCKED.first(key="a")
    with db.transaction():
        assert _LOCKED.first(key="a").body == {"n": [1]}


def test_rows_are_inserted_together_or_not_at_all() -> None:
    one, other = make("a"), make("b")

    sql.insert(one, other)

    assert {row.pk: row.body for row in Request.objects.all()} == {one.pk: {"n": [1]}, other.pk: {"n": [1]}}
    other.key = "c"
    other.save()  # it is known as a row
    with pytest.raises(django_db.IntegrityError, match="idempotent_request_once"):
        sql.insert(make("d"), make("a"))
    assert not Request.objects.filter(key="d").exists()


def test_what_is_there_is_not_inserted_again() -> None:
    assert sql.insert_if_new(make("a"), may_lag=True)
    assert not sql.insert_if_new(make("a"), may_lag=True)
    assert Request.objects.count() == 1


def test_only_a_commit_of_its_own_may_lag() -> None:
    def waits() -> str:
        return str(sql.fetch("SHOW synchronous_commit", [])[0][0])

    sql.execute("SET synchronous_commit = on", [])  # the tests' database does not wait
    sql.insert(make("a"), may_lag=True)
    assert waits() == "on"  # the next one waits again

    with db.transaction():
        sql.insert(make("b"), may_lag=True)
        assert waits() == "on"
        lagging = "UPDATE core_idempotentrequest SET status = %s WHERE key = %s"
        assert sql.execute(lagging, [202, "b"], may_lag=True) == 1
        assert waits() == "on"


def test_values_travel_beside_the_statement() -> None:
    harmful = "'; DELETE FROM core_idempotentrequest; --"
    sql.insert(make(harmful))

    assert sql.fetch("SELECT key, created_at <= %s FROM core_idempotentrequest", [clock.get_now()]) == [(harmful, True)]
    assert sql.execute("DELETE FROM core_idempotentrequest WHERE id = %s", [uuid.uuid4()]) == 0


def test_a_value_is_prepared_as_its_field_says() -> None:
    freeze = controls.Freeze.objects.create(
        utility=customers.Utility.create(), account="0x" + "ab" * 20, chain_id=1, reason="-", made_at=clock.get_now()
    )
    read = sql.Read(lambda: controls.Freeze.objects.filter(account=sql.Slot("account")))

    assert read.first(account=str(freeze.account)) == freeze


def test_what_is_prepared_is_prepared_again_when_psycopg_forgot_all() -> None:
    """It deallocates every statement of a connection after a ROLLBACK, if one of them was its own."""
    account = customers.CustomerAccount.create()
    for _ in range(2):
        assert _JOINED.first(number=account.number) == account
        driver = psycopg.Cursor(django_db.connection.connection)
        driver.execute("SELECT 1", prepare=True)
        with db.transaction():
            assert _JOINED.first(number=account.number) == account
            transaction.set_rollback(True)

    assert _JOINED.first(number=account.number) == account
    driver.connection.pgconn.exec_(b"DEALLOCATE ALL")  # behind psycopg's back
    with pytest.raises(django_db.ProgrammingError):
        _JOINED.first(number=account.number)
    assert _JOINED.first(number=account.number) == account
    assert driver.execute("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'openvpp%'").fetchone() == (1,)


def count() -> int:
    return Request.objects.count()


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many statements each trip to the server carried."""
    counts: list[int] = []
    run = prepared.run

    def counted(connection: Any, statements: Any, **options: Any) -> Any:
        counts.append(len(statements))
        return run(connection, statements, **options)

    monkeypatch.setattr(prepared, "run", counted)
    return counts


def test_questions_travel_with_the_next_statement_and_see_what_it_wrote(trips: list[int]) -> None:
    with db.transaction():
        asked, alone = sql.ask(_COUNT, []), _NUMBERS.ask(utility_id=1)
        sql.insert(make("a"))
        assert (asked.all(), alone.all(), trips) == ([(1,)], [], [3])
        late = sql.ask(_COUNT, [])
        assert late.first() == (1,)
        never = sql.ask(_COUNT, [])
    assert trips == [3, 1]
    assert never.all() == [(1,)]


def test_what_is_written_later_is_there_for_every_next_statement_and_after_the_commit(trips: list[int]) -> None:
    with db.transaction():
        sql.insert_later(make("a"))
        assert trips == []
        assert sql.fetch(_COUNT, []) == [(1,)]
        sql.insert_later(make("b"))
        assert count() == 2  # the ORM's own
        with db.savepoint():
            sql.insert_later(make("c"))
        sql.insert_later(make("d"))
        sql.later("UPDATE core_idempotentrequest SET status = %s WHERE key = %s", [202, "d"])
    assert trips == [2, 1, 1, 2]
    assert count() == 4
    sql.insert_later(make("e"))  # no transaction is open: at once
    assert set(Request.objects.values_list("key", "status")) == {
        ("a", None),
        ("b", None),
        ("c", None),
        ("d", 202),
        ("e", None),
    }


@db.transaction
def write_twice() -> None:
    sql.insert_later(make("b"))
    sql.insert_later(make("a"))


@db.transaction
def ask_for_trouble() -> None:
    sql.insert_later(make("c"))
    sql.ask("SELECT 1 / %s", [0])
    sql.fetch(_COUNT, [])


@db.transaction
def give_up() -> None:
    sql.insert_later(make("d"))
    raise ValueError("given up")


def test_nothing_stays_of_a_transaction_that_fails_in_its_last_trip(trips: list[int]) -> None:
    sql.insert(make("a"))
    with pytest.raises(django_db.IntegrityError):
        write_twice()
    with pytest.raises(django_db.DataError):
        ask_for_trouble()
    with pytest.raises(ValueError, match="given up"):
        give_up()
    assert (count(), trips) == (1, [1, 2, 3])
    with db.transaction():
        sql.insert_later(make("b"))
    assert count() == 2


@db.transaction
def go_on_after_what_cannot_be_sent() -> None:
    sql.insert_later(make("b"))
    with pytest.raises(django_db.DataError):
        sql.fetch("SELECT %s::text", ["\0"])


@db.transaction
def write_what_cannot_be_sent(value: object) -> None:
    sql.insert_later(make("c"))
    sql.later("UPDATE core_idempotentrequest SET fingerprint = %s", [value])


def test_what_waits_is_not_lost_by_what_cannot_be_sent_and_nothing_is_kept_without_it() -> None:
    go_on_after_what_cannot_be_sent()
    assert count() == 1
    with pytest.raises(django_db.DataError):
        write_what_cannot_be_sent("\0")
    with pytest.raises(TypeError):
        write_what_cannot_be_sent(json_types.Jsonb(object()))
    assert count() == 1
    with db.transaction():
        sql.insert_later(make("d"))
    assert count() == 2


def test_a_savepoint_takes_back_what_failed_in_it_and_what_waited() -> None:
    with db.transaction():
        sql.insert_later(make("a"))
        with contextlib.suppress(django_db.IntegrityError), db.savepoint():
            sql.insert_later(make("b"))
            sql.insert(make("a"))
        sql.insert_later(make("c"))
    assert set(Request.objects.values_list("key", flat=True)) == {"a", "c"}


@db.transaction
def write_one() -> None:
    sql.insert(make("a"))


def test_a_connection_that_was_left_in_the_middle_of_a_trip_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    django_db.connection.ensure_connection()
    left = django_db.connection.connection
    with monkeypatch.context() as patch:
        patch.setattr(prepared, "_receive", lambda _server: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            write_one()
    assert left.closed
    assert count() == 0


def test_other_threads_go_on_while_a_trip_waits() -> None:
    beats: list[float] = []
    is_over = threading.Event()

    def beat() -> None:
        while not is_over.wait(0.01):
            beats.append(time.monotonic())

    thread = threading.Thread(target=beat)
    thread.start()
    with db.transaction():
        sql.fetch("SELECT pg_sleep(%s)", [0.3])  # with BEGIN
    is_over.set()
    thread.join()
    assert len(beats) > 10
