"""Words for transactions. Say what a function's transaction does; never write `atomic`.

`durable` functions refuse to run inside somebody's transaction (they may reach a network or commit in
steps); `transaction_required` functions refuse to run outside one.
"""

from collections.abc import Iterable
from typing import Any

from django.db.models import expressions
from django_subatomic.db import (
    durable,
    in_transaction,
    run_after_commit,
    savepoint,
    transaction,
    transaction_if_not_already,
    transaction_required,
)

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


def any_of(ids: Iterable[int]) -> Any:
    """Return ids for an `__in` lookup as one array: thousands of parameters cost more to write than to look up."""
    return expressions.RawSQL("SELECT unnest(%s::bigint[])", [array_of(ids)])


def array_of(ids: Iterable[int]) -> str:
    """Return ids as PostgreSQL writes an array: a parameter that is sent as it is."""
    return "{" + ",".join(map(str, ids)) + "}"
