"""The backend's door, where Django looks for it."""

import select
from typing import Any

from django.db.backends.postgresql import base

from openvpp.core import prepared

_Wrapper: Any = base.DatabaseWrapper


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

    def take_waiting(self) -> tuple[list[prepared.Statement], list[Any]]:
        """Return what waits to be sent before and after the next statement; from now on it is the caller's."""
        waiting = self.writes, self.questions
        self.writes, self.questions = [], []
        return waiting

    def write(self, *, commit: bool = False) -> None:
        """Send what waits to be written now."""
        writes, self.writes = self.writes, []
        with self.wrap_database_errors:
            prepared.run(self.connection, writes, commit=commit)

    def _cursor(self, name: str | None = None) -> Any:
        if self.writes:
            self.write()
        return super()._cursor(name)

    def _commit(self) -> None:
        if self.writes:
            self.write(commit=True)
        self.questions = []
        super()._commit()  # which finds it done

    def _rollback(self) -> None:
        self.take_waiting()
        super()._rollback()

    def close(self) -> None:
        self.take_waiting()
        super().close()
