"""Words for transactions. Say what a function's transaction does; never write `atomic`.

`durable` functions refuse to run inside somebody's transaction (they may reach a network or commit in
steps); `transaction_required` functions refuse to run outside one.
"""

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
    "durable",
    "in_transaction",
    "run_after_commit",
    "savepoint",
    "transaction",
    "transaction_if_not_already",
    "transaction_required",
]
