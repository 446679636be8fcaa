"""Words for transactions. Say what a function's transaction does; never write `atomic`.

`durable` functions refuse to run inside somebody's transaction (they may reach a network or commit in
steps); `transaction_required` functions refuse to run outside one. What the connection itself says settles
them all; a test's own transaction, which counts for none, is left to the library.
"""

import contextlib
import functools
from collections.abc import Callable, Iterable
from typing import Any, overload

import django_subatomic.db as subatomic
from django import db
from django.db import transaction as django_transaction
from django.db.models import expressions
from django_subatomic.db import savepoint, transaction_if_not_already

__all__ = [
    "any_of",
    "array_of",
    "durable",
    "in_transaction",
    "run_after_commit",
    "savepoint",
    "transaction",
    "transaction_if_not_already",
    "transaction_required",
]


class UnexpectedTransaction(Exception):
    """A durable function was called in a transaction, or left one open. Never to be caught."""


class MissingTransaction(Exception):
    """What needs a transaction was called outside one. Never to be caught."""


def durable[**P, R](func: Callable[P, R]) -> Callable[P, R]:
    """Make sure that nobody can roll back what a function has done.

    :raises UnexpectedTransaction: a transaction is open when it is called, or when it ends; that one is rolled back.
    """

    @functools.wraps(func)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        connection = db.connections[db.DEFAULT_DB_ALIAS]
        if _is_in_transaction(connection):
            raise UnexpectedTransaction(func.__qualname__)
        try:
            return func(*args, **kwargs)
        finally:
            if _is_in_transaction(connection):
                connection.rollback()
                connection.set_autocommit(autocommit=True)
                raise UnexpectedTransaction(func.__qualname__)

    return wrapper


def transaction_required[**P, R](func: Callable[P, R]) -> Callable[P, R]:
    """Make sure that a function runs in its caller's transaction.

    :raises MissingTransaction: none is open when it is called.
    """

    @functools.wraps(func)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        if not _is_in_transaction(db.connections[db.DEFAULT_DB_ALIAS]):
            raise MissingTransaction(func.__qualname__)
        return func(*args, **kwargs)

    return wrapper


@overload
def transaction(func: None = None) -> contextlib.AbstractContextManager[None]: ...


@overload
def transaction[**P, R](func: Callable[P, R]) -> Callable[P, R]: ...


def transaction[**P, R](
    func: Callable[P, R] | None = None,
) -> contextlib.AbstractContextManager[None] | Callable[P, R]:
    """Run a block, or each call of a function, in a transaction of its own.

    :raises RuntimeError: one is open already.
    """
    if func is None:
        return _begin()

    @functools.wraps(func)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with _begin():
            return func(*args, **kwargs)

    return wrapper


def run_after_commit(callback: Callable[[], object]) -> None:
    """Call something once the transaction is committed.

    :raises Exception: none is open.
    """
    connection: Any = db.connections[db.DEFAULT_DB_ALIAS]
    if connection.atomic_blocks and not connection.atomic_blocks[0]._from_testcase:  # noqa: SLF001 - nothing else tells
        connection.on_commit(callback)
    else:
        subatomic.run_after_commit(callback)


def in_transaction() -> bool:
    """Say whether a transaction is open."""
    return _is_in_transaction(db.connections[db.DEFAULT_DB_ALIAS])


def _begin() -> contextlib.AbstractContextManager[None]:
    if db.connections[db.DEFAULT_DB_ALIAS].atomic_blocks:
        return subatomic.transaction()
    return django_transaction.Atomic(db.DEFAULT_DB_ALIAS, savepoint=True, durable=True)


def _is_in_transaction(connection: Any) -> bool:
    if connection.connection is None or connection.autocommit:
        return False
    return not (connection.atomic_blocks and connection.atomic_blocks[-1]._from_testcase)  # noqa: SLF001 - as above


def any_of(ids: Iterable[int]) -> Any:
    """Return ids for an `__in` lookup as one array: thousands of parameters cost more to write than to look up."""
    return expressions.RawSQL("SELECT unnest(%s::bigint[])", [array_of(ids)])


def array_of(ids: Iterable[int]) -> str:
    """Return ids as PostgreSQL writes an array: a parameter that is sent as it is."""
    return "{" + ",".join(map(str, ids)) + "}"
