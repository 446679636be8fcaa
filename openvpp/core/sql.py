"""Statements of the hot paths: written into SQL once and prepared, where the ORM would write them at every request.

A payment asks some twenty statements. To build one of them from a queryset costs ten times what the database takes to
answer it, so that a queryset which is always the same is compiled at its first use (`Read`), rows that belong together
are inserted in one statement (`insert`), and what guards money is one statement in words (`execute`). All of them run
on Django's own connection, inside its transaction.

A trip to the server costs as much again, so that what need not wait for an answer travels with what does: a question
(`Read.ask`, `ask`) after the next statement, a write that is `later` before it or with the transaction's COMMIT.
"""

import dataclasses
import functools
import operator
from collections.abc import Callable, Iterable
from typing import Any

import django.db
import psycopg
from django.db import models, transaction
from django.db.models import query

from openvpp.core import prepared

_populators: Any = query.get_related_populators
# Lost only when the machine dies within moments, and then with every later commit, which the log holds in order.
_LAGS = " RETURNING set_config('synchronous_commit', 'off', true)"
_COMMIT_LAGS = "SELECT set_config('synchronous_commit', 'off', true)"


class Slot(models.Expression):
    """The place of a value in a `Read`, given by name at each use; the field it is compared with prepares it."""

    field: Any = None

    def __init__(self, name: str) -> None:
        super().__init__(output_field=None)
        self.name = name

    def as_sql(self, *_: Any, **__: Any) -> Any:
        return "%s", [self]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What Django's compiler made of a queryset, and how it makes rows of an answer."""

    sql: str
    parameters: tuple[Any, ...]
    converters: list[tuple[int, list[Any], Any]]
    model: Any
    names: list[str]
    last: int
    populators: list[Any]
    locks: bool


class Read:
    """A queryset with `Slot`s in place of what differs, written into SQL at its first use.

    It may join by `select_related`, lock, and be of `values_list`; it may not prefetch.
    """

    def __init__(self, build: Callable[[], "models.QuerySet[Any]"]) -> None:
        self._build = build
        self._plan: _Plan | None = None

    def first(self, **values: Any) -> Any:
        """Return the first row, or None."""
        return self._question(values).first()

    def all(self, **values: Any) -> list[Any]:
        """Return the rows in their order.

        :raises TransactionManagementError: it locks, and no transaction is open.
        """
        return self._question(values).all()

    def ask(self, **values: Any) -> "Question":
        """Return the question, which is asked right after the next statement, or when its rows are wanted."""
        return self._question(values).wait()

    def _question(self, values: dict[str, Any]) -> "Question":
        plan = self._plan
        if plan is None:
            plan = self._plan = _compile(self._build())
        connection = _connection()
        if plan.locks and not connection.in_atomic_block:
            raise transaction.TransactionManagementError("A read that locks needs a transaction.")
        given = [
            each.field.get_db_prep_value(values[each.name], connection) if isinstance(each, Slot) else each
            for each in plan.parameters
        ]
        return Question(plan.sql, given, connection, plan)


class Question:
    """A statement that reads, and its rows once it was asked."""

    def __init__(self, sql: str, parameters: prepared.Parameters, connection: Any, plan: _Plan | None = None) -> None:
        self.statement = sql, parameters
        self.rows: list[tuple[Any, ...]] | None = None
        self._connection = connection
        self._plan = plan

    def wait(self) -> "Question":
        """Let it be asked with the next statement, after it."""
        self._connection.questions.append(self)
        return self

    def first(self) -> Any:
        """Return the first row, or None."""
        found = self.all()
        return found[0] if found else None

    def all(self) -> list[Any]:
        """Return the rows in their order."""
        connection, plan = self._connection, self._plan
        if self.rows is None:
            if self in connection.questions:
                connection.questions.remove(self)
            self.rows = _run(*self.statement, connection)[0]
        return self.rows if plan is None else [_to_row(plan, list(columns), connection) for columns in self.rows]


def ask(sql: str, parameters: prepared.Parameters) -> Question:
    """Return a question in words, which is asked right after the next statement, or when its rows are wanted.

    It may be a write that answers by RETURNING.
    """
    return Question(sql, parameters, _connection()).wait()


def fetch(sql: str, parameters: prepared.Parameters) -> list[tuple[Any, ...]]:
    """Return the rows of a statement."""
    return _run(sql, parameters, _connection())[0]


def execute(sql: str, parameters: prepared.Parameters, *, may_lag: bool = False) -> int:
    """Return how many rows a statement wrote.

    With `may_lag` its commit, if it is its own transaction, does not wait for the disk: right for a row that matters
    only together with what is committed after it.
    """
    connection = _connection()
    return _run(sql + _LAGS if may_lag and not connection.in_atomic_block else sql, parameters, connection)[1]


def later(sql: str, parameters: prepared.Parameters) -> None:
    """Write with the open transaction's next statement, before it, or with its COMMIT; then it may fail.

    For what no later step needs to know the count of.
    """
    connection = _connection()
    if connection.in_atomic_block and connection.connection is not None and not _is_watched(connection):
        connection.writes.append((sql, parameters))
    else:
        _run(sql, parameters, connection)


def commit_lagging() -> None:
    """Let the open transaction's commit not wait for the disk: right only where a later commit, which does, is owed.

    The log is in order, so that the later one is never kept without this one.
    """
    later(_COMMIT_LAGS, [])


def insert(*rows: models.Model, may_lag: bool = False) -> None:
    """Insert rows, of different tables or the same, in one statement; keys that the database gives are not read back.

    `may_lag` as `execute` says.
    """
    execute(*_insertion_of(rows), may_lag=may_lag)


def insert_later(*rows: models.Model, then: str | None = None, parameters: Iterable[Any] = ()) -> None:
    """Insert rows as `insert`, with the open transaction's next statement or its COMMIT, as `later` says.

    `then` ends the statement with an UPDATE, which sees the tables as they were before.
    """
    sql, values = _insertion_of(rows, then)
    later(sql, [*values, *parameters])


def _insertion_of(rows: tuple[models.Model, ...], then: str | None = None) -> tuple[str, list[Any]]:
    connection = _connection()
    values = [value for row in rows for value in _values(row, connection)]
    for row in rows:
        row._state.adding, row._state.db = False, connection.alias  # noqa: SLF001 - as `save` leaves it
    return _insertion(tuple(type(row) for row in rows), then), values


def insert_if_new(row: models.Model, *, first_of: models.Model | None = None, may_lag: bool = False) -> bool:
    """Insert a row unless a constraint says that it is there, and say whether it was new. `may_lag` as in `execute`.

    `first_of` is another row, inserted in the same statement if this one was new.
    """
    connection = _connection()
    rows = [row] if first_of is None else [row, first_of]
    sql = _insertion_if_new(type(row), None if first_of is None else type(first_of))
    return execute(sql, [value for each in rows for value in _values(each, connection)], may_lag=may_lag) == 1


def _connection() -> Any:
    """Return this thread's connection itself: the one that Django exports looks it up at every word."""
    return django.db.connections[django.db.DEFAULT_DB_ALIAS]


def _run(sql: str, parameters: prepared.Parameters, connection: Any) -> prepared.Answer:
    """Return a statement's rows, and how many it returned or wrote, and send what waits with it."""
    connection.close_if_health_check_failed()
    if connection.connection is None:
        connection.ensure_connection()
    if _is_watched(connection):
        if connection.writes:
            connection.write()
        return _ask_cursor(sql, parameters, connection)
    connection.validate_no_broken_transaction()
    answer: prepared.Answer = connection.send((sql, parameters))
    return answer


def _is_watched(connection: Any) -> bool:
    """Say whether statements are not to be prepared, or somebody wants to see each of them."""
    driver = connection.connection
    return driver.prepare_threshold is None or connection.queries_logged or bool(connection.execute_wrappers)


def _ask_cursor(sql: str, parameters: prepared.Parameters, connection: Any) -> prepared.Answer:
    """Do the same by a cursor."""
    cursor: Any = psycopg.Cursor(connection.connection)
    watched = connection.make_debug_cursor(cursor) if connection.queries_logged else connection.make_cursor(cursor)
    with watched:
        watched.execute(sql, parameters)
        return watched.fetchall() if cursor.description else [], int(cursor.rowcount)


def _compile(queryset: "models.QuerySet[Any]") -> _Plan:
    connection = _connection()
    compiler: Any = queryset.query.get_compiler(connection=connection)
    _tell_fields(queryset.query.where)
    sql, parameters = compiler.as_sql()
    if any(isinstance(each, Slot) and each.field is None for each in parameters):
        raise TypeError("A slot is compared with a field, in a filter.")
    shape = compiler.klass_info if issubclass(queryset._iterable_class, query.ModelIterable) else None  # noqa: SLF001
    chosen = shape["select_fields"] if shape else []
    columns = [column[0] for column in compiler.select[: compiler.col_count]]
    return _Plan(
        sql=sql,
        parameters=tuple(parameters),
        converters=[(at, *found) for at, found in compiler.get_converters(columns).items()],
        model=shape["model"] if shape else None,
        names=[compiler.select[at][0].target.attname for at in chosen],
        last=chosen[-1] + 1 if chosen else 0,
        populators=_populators(shape, compiler.select, connection.alias) if shape else [],
        locks=queryset.query.select_for_update,
    )


def _tell_fields(node: Any) -> None:
    """Tell the slots of a condition, and of the conditions in it, what they are compared with."""
    for each in getattr(node, "children", ()):
        right = getattr(each, "rhs", None)
        if isinstance(right, Slot):
            right.field = each.lhs.output_field
        _tell_fields(getattr(right, "where", each))


def _to_row(plan: _Plan, columns: list[Any], connection: Any) -> Any:
    for at, converters, expression in plan.converters:
        for convert in converters:
            columns[at] = convert(columns[at], expression, connection)
    if plan.model is None:
        return tuple(columns)
    row = plan.model.from_db(connection.alias, plan.names, columns[: plan.last])
    for populator in plan.populators:
        populator.populate(columns, row)
    return row


@functools.cache
def _insertion(kinds: tuple[type[models.Model], ...], then: str | None = None) -> str:
    made = [
        "INSERT INTO {} ({}) VALUES ({})".format(  # noqa: S608 - names of our own models
            kind._meta.db_table,  # noqa: SLF001 - documented
            ", ".join(f'"{field.column}"' for field in _fields(kind)),
            ", ".join(["%s"] * len(_fields(kind))),
        )
        for kind in kinds
    ]
    *before, last = [*made, then] if then else made
    parts = ", ".join(f"made_{at} AS ({sql})" for at, sql in enumerate(before))
    return f"WITH {parts} {last}" if parts else last


@functools.cache
def _insertion_if_new(kind: type[models.Model], first_of: type[models.Model] | None) -> str:
    made = _insertion((kind,)) + " ON CONFLICT DO NOTHING"
    if first_of is None:
        return made
    fields, connection = _fields(first_of), _connection()
    return "WITH made AS ({} RETURNING 1) INSERT INTO {} ({}) SELECT {} FROM made".format(  # noqa: S608 - our own names
        made,
        first_of._meta.db_table,  # noqa: SLF001 - documented
        ", ".join(f'"{field.column}"' for field in fields),
        ", ".join(f"%s::{field.db_type(connection)}" for field in fields),
    )


@functools.cache
def _fields(kind: type[models.Model]) -> tuple[Any, ...]:
    own: Iterable[Any] = kind._meta.local_concrete_fields  # noqa: SLF001 - documented
    return tuple(field for field in own if not isinstance(field, models.AutoField))


def _values(row: models.Model, connection: Any) -> list[Any]:
    read, prepares = _writers(type(row))
    values: list[Any] = list(read(row)[:-1])
    for at, prepare in prepares:
        values[at] = prepare(row, connection)
    return values


@functools.cache
def _writers(kind: type[models.Model]) -> tuple[Callable[[Any], Any], list[tuple[int, Any]]]:
    """Return how a row's columns are read, and how those are prepared that psycopg alone cannot write."""
    fields = _fields(kind)
    prepares = [(at, functools.partial(_prepare, field)) for at, field in enumerate(fields) if not _is_plain(field)]
    # "pk" makes it a tuple where there is but one column.
    return operator.attrgetter(*[field.attname for field in fields], "pk"), prepares


def _prepare(field: Any, row: models.Model, connection: Any) -> Any:
    return field.get_db_prep_save(field.pre_save(row, True), connection)  # noqa: FBT003 - Django's own


def _is_plain(field: Any) -> bool:
    """Say whether Django writes a field's values as they stand in the row."""
    if isinstance(field, models.ForeignKey):
        return _is_plain(field.target_field)
    return type(field) in _PLAIN and not getattr(field, "auto_now", False) and not getattr(field, "auto_now_add", False)


_PLAIN = frozenset(
    {
        models.BigAutoField,
        models.BigIntegerField,
        models.BooleanField,
        models.CharField,
        models.DateTimeField,
        models.IntegerField,
        models.PositiveBigIntegerField,
        models.PositiveIntegerField,
        models.PositiveSmallIntegerField,
        models.TextField,
        models.UUIDField,
    }
)
