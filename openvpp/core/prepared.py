"""Prepared statements by way of libpq itself: psycopg's cursor takes longer to ask one than the server to answer it.

Values are written and read by psycopg's own adapters, in C, and transactions begin and end as psycopg and Django have
them. A call blocks its thread, but not the interpreter, until the server answers; `statement_timeout` bounds that.
"""

import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import adapt, pq

_IDLE = pq.TransactionStatus.IDLE
_DONE, _ROWS = pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK

# A name is never used twice: nobody can be told for certain that the server has forgotten one.
_NUMBERS = itertools.count()

type Parameters = Sequence[Any] | Mapping[str, Any]
type Rows = list[tuple[Any, ...]]


def run(connection: "psycopg.Connection[Any]", sql: str, parameters: Parameters, /) -> tuple[Rows, int]:
    """Return a statement's rows, and how many it returned or wrote; it is prepared at its first use on a connection.

    Placeholders are psycopg's, all `%s` or all `%(name)s`.

    :raises psycopg.Error: as a cursor's `execute`.
    """
    names, query = _numbered(sql, len(parameters) if isinstance(parameters, Sequence) else None)
    values = [parameters[name] for name in names] if isinstance(parameters, Mapping) else parameters
    server = connection.pgconn
    if not connection.autocommit and server.transaction_status == _IDLE:
        _require(server.exec_(b"BEGIN"), connection)
    context = adapt.Transformer(connection)
    given: Any = context.dump_sequence(values, [adapt.PyFormat.AUTO] * len(values))
    known = _known(connection)
    kind = query, context.types
    name = known.get(kind)
    if name is None:
        name = b"openvpp_%d" % next(_NUMBERS)
        _require(server.prepare(name, query, context.types), connection)
        known[kind] = name
    result = server.exec_prepared(name, given, context.formats)
    if result.status == _DONE:
        return [], result.command_tuples or 0
    try:
        _require(result, connection)
    except psycopg.errors.InvalidSqlStatementName:
        known.clear()  # somebody else deallocated: this statement fails, the next one is prepared again
        raise
    context.set_pgresult(result)
    rows: Rows = context.load_rows(0, result.ntuples, tuple)
    return rows, len(rows)


def _known(connection: "psycopg.Connection[Any]", /) -> dict[Any, bytes]:
    """Return the names of what is prepared on a connection, while it is.

    Where psycopg itself prepared something, it deallocates all of a connection's statements after a ROLLBACK.
    """
    known: dict[Any, bytes] | None = vars(connection).get("_openvpp_prepared")
    if known is not None:
        return known
    made: dict[Any, bytes] = {}
    manager: Any = connection._prepared  # noqa: SLF001 - psycopg tells nobody when it deallocates
    forget = manager.clear

    def clear() -> bool:
        is_deallocated = bool(forget())
        if is_deallocated:
            made.clear()
        return is_deallocated

    manager.clear = clear
    vars(connection)["_openvpp_prepared"] = made
    return made


def _require(result: Any, connection: "psycopg.Connection[Any]", /) -> None:
    """Raise what the server answered, if that is an error."""
    if result.status in (_DONE, _ROWS):
        return
    if connection.pgconn.status != pq.ConnStatus.OK:
        raise psycopg.OperationalError(result.get_error_message() or "The connection is lost.")
    raise psycopg.errors.error_from_result(result)


class _Numbers(dict[str, str]):
    """Hands out $1, $2 and on, in the order in which names are first asked for."""

    def __missing__(self, name: str) -> str:
        self[name] = f"${len(self) + 1}"
        return self[name]


@functools.cache
def _numbered(sql: str, count: int | None) -> tuple[tuple[str, ...], bytes]:
    """Return the names that a statement asks for, and the statement as the server reads it."""
    if count is not None:
        return (), (sql % tuple(f"${number}" for number in range(1, count + 1))).encode()
    numbers = _Numbers()
    query = sql % numbers
    return tuple(numbers), query.encode()
