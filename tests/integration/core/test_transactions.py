"""What the words for transactions promise, with a test's own transaction around them and without one."""

import pytest
from django import db as django_db
from django.contrib.auth import models as auth_models

from openvpp.core import db

bare = pytest.mark.django_db(transaction=True)
wrapped = pytest.mark.django_db
either = pytest.mark.parametrize("around", [pytest.param("", marks=bare), pytest.param("the test's", marks=wrapped)])


@db.durable
def keep() -> str:
    return "kept"


@db.transaction_required
def join() -> str:
    return "joined"


@db.transaction
def write(*, name: str, then: Exception | None = None) -> None:
    auth_models.Group.objects.create(name=name)
    if then is not None:
        raise then


@db.durable
def leave_open() -> None:
    django_db.connection.set_autocommit(False)
    auth_models.Group.objects.create(name="left")


@db.transaction
def promise_and_fail(ran: list[str]) -> None:
    db.run_after_commit(lambda: ran.append("lost"))
    raise ValueError("no")


def names() -> list[str]:
    return list(auth_models.Group.objects.filter(name__in=["kept", "lost", "left"]).values_list("name", flat=True))


@either
def test_durable_refuses_a_transaction_and_the_other_its_absence(around: str) -> None:
    assert (keep(), db.in_transaction()) == ("kept", False)
    with pytest.raises(db.MissingTransaction):
        join()
    with db.transaction():
        assert (join(), db.in_transaction()) == ("joined", True)
        with pytest.raises(db.UnexpectedTransaction):
            keep()
        with pytest.raises(RuntimeError), db.transaction():
            pass
    assert keep() == "kept"


@either
def test_transaction_keeps_all_or_nothing(around: str) -> None:
    write(name="kept")
    with pytest.raises(ValueError, match="no"):
        write(name="lost", then=ValueError("no"))
    assert names() == ["kept"]


@either
def test_callbacks_run_after_the_commit_and_never_without_one(around: str) -> None:
    ran: list[str] = []
    with db.transaction():
        db.run_after_commit(lambda: ran.append("kept"))
        assert ran == []
    assert ran == ["kept"]
    with pytest.raises(ValueError, match="no"):
        promise_and_fail(ran)
    with pytest.raises(Exception) as error:  # noqa: PT011 - the library keeps its name to itself
        db.run_after_commit(lambda: ran.append("alone"))
    assert type(error.value).__name__ == "_MissingRequiredTransaction"
    assert ran == ["kept"]


@bare
def test_what_a_durable_function_leaves_open_is_rolled_back() -> None:
    with pytest.raises(db.UnexpectedTransaction):
        leave_open()
    assert django_db.connection.get_autocommit()
    assert names() == []


@bare
def test_a_closed_connection_has_no_transaction() -> None:
    django_db.connection.close()
    assert (keep(), db.in_transaction()) == ("kept", False)
