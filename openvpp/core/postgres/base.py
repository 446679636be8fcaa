"""The backend's door, where Django looks for it."""

import select
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from psycopg import pq

from openvpp.core import prepared

_Wrapper: Any = base.DatabaseWrapper
_FAILED = pq.TransactionStatus.INERROR


class DatabaseWrapper(_Wrapper):
    """Sends statements that can wait with those that cannot, and the last of a transaction with its COMMIT.

    It asks the server whether it still listens only when something came in that nobody asked for. A server that went
    away said so, and that stands unread in the socket. One that cannot say it any more does not answer a question
    either.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.writes: list[prepared.Statement] = []
        self.questions: list[Any] = []

    def is_usable(self) -> bool:
        connection = self.connection
        if connection is None or connection.closed:
            return False
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        return not poll.poll(0) or super().is_usable()

    def send(self, statement: prepared.Statement, /) -> prepared.Answer:
        """Send what waits to be written, a statement, and what waits to be asked; return the statement's answer."""
        before, questions = len(self.writes), self._forget_questions()
        answers = self._send([*self.writes, statement, *[question.statement for question in questions]])
        for question, answer in zip(questions, answers[before + 1 :], strict=True):
            question.rows = answer[0]
        return answers[before]

    def write(self) -> None:
        """Send what waits to be written now."""
        self._send(self.writes)

    def _send(self, statements: list[prepared.Statement], *, commit: bool = False) -> list[prepared.Answer]:
        try:
            answers = prepared.run(self.connection, statements, commit=commit)
        except psycopg.Error:
            # What could not even be sent stays, so that it is lost with its transaction only.
            if self.connection.pgconn.transaction_status == _FAILED:
                self.writes = []
            with self.wrap_database_errors:
                raise
        self.writes = []
        return answers

    def _cursor(self, name: str | None = None) -> Any:
        if self.writes:
            self.write()
        return super()._cursor(name)

    def _commit(self) -> None:
        self._forget_questions()
        if self.writes:
            try:
                self._send(self.writes, commit=True)
            except BaseException:
                self._rollback()  # Django does so for the database's own errors only
                raise
        super()._commit()  # which finds it done

    def _rollback(self) -> None:
        self._forget_questions()
        self.writes = []
        super()._rollback()

    def close(self) -> None:
        self._forget_questions()
        self.writes = []
        super().close()

    def _forget_questions(self) -> list[Any]:
        """Return what waits to be asked; who still wants to know asks alone."""
        questions, self.questions = self.questions, []
        return questions
