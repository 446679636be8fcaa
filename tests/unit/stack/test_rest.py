"""The bridge between a server that speaks ASGI and Django's WSGI handler."""

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from openvpp import rest

SCOPE = {
    "type": "http",
    "method": "POST",
    "path": "/here",
    "query_string": b"a=1",
    "http_version": "1.1",
    "headers": [(b"content-type", b"text/plain"), (b"content-length", b"6")],
}


class Answer:
    """What Django's handler returns."""

    def __init__(self, *pieces: bytes, streaming: bool) -> None:
        self.pieces, self.streaming = pieces, streaming
        self.threads: set[int] = set()

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            self.threads.add(threading.get_ident())
            yield piece

    def close(self) -> None:
        self.threads.add(threading.get_ident())


def ask(answer: Answer, *bodies: bytes) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return what the handler was asked, and what was sent back."""
    asked: dict[str, Any] = {}
    sent: list[dict[str, Any]] = []
    waiting = [
        {"type": "http.request", "body": body, "more_body": number < len(bodies)}
        for number, body in enumerate(bodies, start=1)
    ]

    def application(environ: dict[str, Any], start_response: Any) -> Answer:
        asked.update(environ, content=environ["wsgi.input"].read(), thread=threading.get_ident())
        start_response("201 Created", [("X-Name", "value"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
        return answer

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    bridge: Any = rest.Rest(application, threads=2)  # type: ignore[arg-type] # any WSGI application will do
    asyncio.run(bridge(SCOPE, receive, send))
    return asked, sent


def test_a_request_is_handed_on_whole_and_its_answer_sent_back_in_one() -> None:
    answer = Answer(b"one", b"two", streaming=False)

    asked, sent = ask(answer, b"abc", b"def")

    assert (asked["content"], asked["PATH_INFO"], asked["QUERY_STRING"]) == (b"abcdef", "/here", "a=1")
    assert sent[0]["status"] == 201
    assert sent[0]["headers"] == [(b"x-name", b"value"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    assert [message["body"] for message in sent[1:]] == [b"onetwo"]
    assert answer.threads == {asked["thread"]}  # closed where it was made: there its connection is


def test_an_answer_that_streams_is_sent_piece_by_piece_from_its_thread() -> None:
    answer = Answer(b"one", b"two", streaming=True)

    asked, sent = ask(answer, b"")

    assert [(message["body"], message.get("more_body", False)) for message in sent[1:]] == [
        (b"one", True),
        (b"two", True),
        (b"", False),
    ]
    assert answer.threads == {asked["thread"]}


def test_a_body_over_the_bound_is_refused_and_reaches_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "MOST_BYTES", 5)

    asked, sent = ask(Answer(streaming=False), b"abc", b"def", b"never read")

    assert asked == {}
    assert (sent[0]["status"], json.loads(sent[1]["body"])["code"]) == (413, "content_too_large")
