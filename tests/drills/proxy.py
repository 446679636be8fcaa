"""What stands between a process and the party that it talks to, and lets things go wrong on the way."""

import http.server
import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import urllib3

SEND = "eth_sendRawTransaction"
HANG_S = 30.0
_EMPTY: Mapping[str, str] = {}

type Request = dict[str, Any]
type Answer = dict[str, Any]
type OnSend = Callable[[Request, Callable[[], Answer]], Answer | None]


class HangUp(Exception):
    """The connection ends without an answer."""


class Busy(Exception):
    """The answer is 429, with the seconds to wait."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Proxy:
    """An HTTP proxy of one address, on a port of its own; `before` and `after` see each exchange and may raise.

    `before` gets the body that came in, `after` also the one that goes back, which it may replace.
    """

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.before: Callable[[bytes], None] | None = None
        self.after: Callable[[bytes, bytes], bytes] | None = None
        self.requests = 0
        self._pool = urllib3.PoolManager(maxsize=64, retries=False)
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def exchange(self, method: str, path: str, body: bytes, headers: Mapping[str, str] = _EMPTY) -> tuple[int, bytes]:
        """Return status and body of the answer."""
        self.requests += 1
        if self.before is not None:
            self.before(body)
        answer = self._pool.request(method, self.upstream + path, body=body, headers=dict(headers), timeout=60)
        raw = answer.data
        return answer.status, self.after(body, raw) if self.after is not None else raw

    def heal(self) -> None:
        """Let everything through again."""
        self.before = self.after = None

    def end(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class NodeProxy(Proxy):
    """A proxy of a node that understands JSON-RPC: what is sent can be caught, and the head held back."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self._true_upstream = upstream
        self.on_send: OnSend | None = None
        self.fault: Callable[[list[Request]], None] | None = None
        self.frozen_at: int | None = None
        self.sent = 0

    def exchange(self, method: str, path: str, body: bytes, headers: Mapping[str, str] = _EMPTY) -> tuple[int, bytes]:
        self.requests += 1
        given = json.loads(body)
        requests = given if isinstance(given, list) else [given]
        if self.fault is not None:
            self.fault(requests)
        self.sent += sum(request["method"] == SEND for request in requests)
        answers = [self._answer(request) for request in requests] if self._looks_inside else self._forward(requests)
        return 200, json.dumps(answers if isinstance(given, list) else answers[0]).encode()

    def heal(self) -> None:
        super().heal()
        self.on_send = self.fault = self.frozen_at = None
        self.sent = 0
        self.upstream = self._true_upstream

    def ask(self, method: str, *parameters: object) -> Any:
        """Ask the node itself."""
        (answer,) = self._forward([{"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}])
        return answer.get("result")

    @property
    def _looks_inside(self) -> bool:
        return self.on_send is not None or self.frozen_at is not None

    def _forward(self, requests: list[Request]) -> list[Answer]:
        content = {"Content-Type": "application/json"}
        raw = self._pool.request("POST", self.upstream, body=json.dumps(requests), headers=content, timeout=60).data
        return list(json.loads(raw))

    def _answer(self, request: Request) -> Answer:
        if request["method"] == SEND and self.on_send is not None:
            answer = self.on_send(request, lambda: self._forward([request])[0])
            if answer is None:
                raise HangUp
            return answer
        if self.frozen_at is not None:
            return self._answer_frozen(request, self.frozen_at)
        return self._forward([request])[0]

    def _answer_frozen(self, request: Request, head: int) -> Answer:
        """Answer as a node that has seen no block after `head`."""
        method, parameters = request["method"], list(request["params"])
        if method == "eth_blockNumber":
            return {"jsonrpc": "2.0", "id": request["id"], "result": hex(head)}
        if method != SEND:
            parameters = [hex(head) if each == "latest" else each for each in parameters]
        (answer,) = self._forward([{**request, "params": parameters}])
        found = answer.get("result")
        place = found.get("blockNumber") or found.get("number") if isinstance(found, dict) else None
        if isinstance(place, str) and int(place, 16) > head:
            answer["result"] = None
        return answer


def time_out(_: list[Request]) -> None:
    """Never answer."""
    time.sleep(HANG_S)
    raise HangUp


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    proxy: Proxy

    def handle_error(self, *_: object) -> None:
        """Say nothing of those who were killed while they spoke."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm: ClassVar[bool] = True
    server: _Server

    def do_POST(self) -> None:
        self._pass("POST")

    def do_GET(self) -> None:
        self._pass("GET")

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _pass(self, method: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kept = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in {"host", "content-length", "connection", "accept-encoding"}
        }
        try:
            status, raw = self.server.proxy.exchange(method, self.path, body, kept)
        except Busy as busy:
            self.send_response(429)
            self.send_header("Retry-After", str(busy.seconds))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        except (HangUp, OSError, urllib3.exceptions.HTTPError):
            self.close_connection = True
            return
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)
        except OSError:
            self.close_connection = True
