"""Errors by the wish that failed, and the two ways an outside party fails us."""

from collections.abc import Mapping


class UnableTo(Exception):
    """A wish that could not be met, for a reason that the caller may read.

    Subclasses set `status` (HTTP), and may be raised with a stable machine-readable `code`. Interfaces turn it
    into a problem document (RFC 9457), a JSON-RPC error or an admin message; nothing else catches it.
    """

    status = 409

    def __init__(self, detail: str, *, code: str = "", extra: Mapping[str, object] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or _snake(type(self).__name__)
        self.extra = dict(extra or {})


class NotFound(UnableTo):
    """No such thing, or none that this caller may know of."""

    status = 404


class Invalid(UnableTo):
    """The input itself is wrong, whoever sends it."""

    status = 422


class Forbidden(UnableTo):
    """The caller is known and may not do this."""

    status = 403


class Unreachable(Exception):
    """An outside party did not answer; retry, bounded, and not within the time that it asked for, if it did."""

    def __init__(self, *reasons: object, retry_after_seconds: float | None = None) -> None:
        super().__init__(*reasons)
        self.retry_after_seconds = retry_after_seconds


class Refused(Exception):
    """An outside party answered no; do not retry. `body` is its answer as it came, for whoever can read it."""

    def __init__(self, reason: str, *, body: bytes = b"") -> None:
        super().__init__(reason)
        self.reason = reason
        self.body = body


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))
