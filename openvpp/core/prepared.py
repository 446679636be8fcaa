"""Prepared statements straight to PostgreSQL's client library, with what psycopg knows of parameters and types.

A cursor costs a hundred calls a statement, and that is what a request waits for where some twenty are asked of kept
connections. Statements that need not wait for each other go to the server together: each trip costs both sides as much
as the statement itself. A call blocks its thread, but not the interpreter, until the server answers.
"""

import dataclasses
import functools
import itertools
import select
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import adapt, pq

_IDLE, _CONNECTED = pq.TransactionStatus.IDLE, pq.ConnStatus.OK
_DONE, _ROWS = pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK
_ABORTED, _SYNC = pq.ExecStatus.PIPELINE_ABORTED, pq.ExecStatus.PIPELINE_SYNC

# A name is never used twice: nobody can be told for certain that the server has forgotten one.
_NUMBERS = itertools.count()

type Parameters = Sequence[Any] | dict[str, Any]
type Statement = tuple[str, Parameters]
type Rows = list[tuple[Any, ...]]
type Answer = tuple[Rows, int]


@dataclasses.dataclass(slots=True)
class _Kept:
    """What is kept of a connection: the names of what is prepared on it, and how its values are written and read."""

    names: dict[Any, bytes]
    adapter: Any


@dataclasses.dataclass(slots=True)
class _Bound:
    """A statement as the server reads it, with its values and their types, and its name there."""

    sql: bytes
    values: Any
    types: Any
    formats: Any
    name: bytes
    is_known: bool


def run(
    connection: "psycopg.Connection[Any]", statements: Sequence[Statement], *, commit: bool = False
) -> list[Answer]:
    """Return each statement's rows, and how many it returned or wrote; it is prepared at its first use on a connection.

    Placeholders are psycopg's, all `%s` or all `%(name)s`. Several statements make one round trip, and where no
    transaction is open, one transaction. With `commit` the open one ends in the same trip, if none of them fails.

    :raises psycopg.Error: as a cursor's `execute`, of the first that failed; those after it did not run.
    """
    server, kept = connection.pgconn, _kept(connection)
    begins = not connection.autocommit and server.transaction_status == _IDLE
    bound = [_bind(kept, sql, parameters) for sql, parameters in statements]
    if len(bound) == 1 and bound[0].is_known and not begins and not commit:
        results = [server.exec_prepared(bound[0].name, bound[0].values, bound[0].formats)]
    else:
        results = _pipeline(connection, bound, begins=begins, commit=commit)
    for result in results:
        if result.status not in (_DONE, _ROWS):
            error = _failure(result, connection)
            if isinstance(error, psycopg.errors.InvalidSqlStatementName):
                kept.names.clear()  # somebody deallocated behind our back: all is prepared again when it is next asked
            raise error
    for each in bound:
        if not each.is_known:
            kept.names[each.sql, each.types] = each.name
    return [_answer(kept, result) for result in results]


def _bind(kept: _Kept, sql: str, parameters: Parameters) -> _Bound:
    if isinstance(parameters, dict):
        names, query = _numbered(sql, None)
        values: Sequence[Any] = [parameters[name] for name in names]
    else:
        _, query = _numbered(sql, len(parameters))
        values = parameters
    adapter = kept.adapter
    given = adapter.dump_sequence(values, [adapt.PyFormat.AUTO] * len(values))
    types, formats = adapter.types, adapter.formats
    known = kept.names.get((query, types))
    name = b"openvpp_%d" % next(_NUMBERS) if known is None else known
    return _Bound(query, given, types, formats, name, is_known=known is not None)


def _pipeline(
    connection: "psycopg.Connection[Any]", bound: list[_Bound], *, begins: bool, commit: bool
) -> list["pq.abc.PGresult"]:
    """Send all at once, and return the results of the statements themselves, or the one that failed."""
    server = connection.pgconn
    is_wanted = []
    try:
        server.enter_pipeline_mode()
        if begins:
            is_wanted.append(False)
            server.send_query_params(b"BEGIN", None)
        for each in bound:
            if not each.is_known:
                is_wanted.append(False)
                server.send_prepare(each.name, each.sql, each.types)
            is_wanted.append(True)
            server.send_query_prepared(each.name, each.values, each.formats)
        if commit:
            is_wanted.append(False)
            server.send_query_params(b"COMMIT", None)
        server.pipeline_sync()
        results = _receive(server)
        server.exit_pipeline_mode()
    except BaseException:
        connection.close()  # what it would say next answers something else
        raise
    failed = [result for result in results if result.status not in (_DONE, _ROWS, _ABORTED)]
    return failed[:1] or list(itertools.compress(results, is_wanted))


def _receive(server: "pq.abc.PGconn", /) -> list["pq.abc.PGresult"]:
    """Return all results up to the end of what was sent; psycopg holds the interpreter while it waits for one."""
    results: list[pq.abc.PGresult] = []
    poll = select.poll()
    poll.register(server.socket, select.POLLIN)
    while True:
        while server.is_busy():
            poll.poll()
            server.consume_input()
        result = server.get_result()
        if result is None:
            if server.status != _CONNECTED:
                raise psycopg.OperationalError(server.get_error_message())
        elif result.status == _SYNC:
            return results
        else:
            results.append(result)


def _answer(kept: _Kept, result: "pq.abc.PGresult") -> Answer:
    if result.status == _DONE:
        return [], result.command_tuples or 0
    kept.adapter.set_pgresult(result)
    rows: Rows = kept.adapter.load_rows(0, result.ntuples, tuple)
    return rows, len(rows)


def _kept(connection: "psycopg.Connection[Any]", /) -> _Kept:
    """Return what is kept of a connection.

    Where psycopg itself prepared something, it deallocates all of a connection's statements after a ROLLBACK.
    """
    kept: _Kept | None = vars(connection).get("_openvpp_kept")
    if kept is not None:
        return kept
    made = _Kept(names={}, adapter=adapt.Transformer(connection))
    manager: Any = connection._prepared  # noqa: SLF001 - psycopg tells nobody when it deallocates
    forget = manager.clear

    def clear() -> bool:
        is_deallocated = bool(forget())
        if is_deallocated:
            made.names.clear()
        return is_deallocated

    manager.clear = clear
    vars(connection)["_openvpp_kept"] = made
    return made


def _failure(result: Any, connection: "psycopg.Connection[Any]", /) -> psycopg.Error:
    if connection.pgconn.status != _CONNECTED:
        return psycopg.OperationalError(result.get_error_message() or "The connection is lost.")
    return psycopg.errors.error_from_result(result)


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
