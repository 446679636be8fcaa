"""The simulated cloud's HTTP server and the thread that sends its webhooks."""

import collections
import datetime
import http
import json
import logging
import pathlib
import socketserver
import threading
import urllib.parse
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from wsgiref import simple_server

from ders.adapters import secrets
from ders.domain import signature
from ders.simulated_provider import cloud as clouds
from openvpp.core import clock, errors
from openvpp.core import http as outbound

if TYPE_CHECKING:
    from _typeshed import wsgi

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.2
MOST_BYTES = 1024 * 1024
SECRET_VERSION = 1
RETRY_DELAYS_S = (1, 1, 2, 4, 8, 15)
MOST_ATTEMPTS = 200
# While the stack starts, nobody takes anything yet.
QUIET_ATTEMPTS = 5


class Application:
    """The WSGI application: `POST /<slug>/devices|commands|telemetry`, `GET /health`."""

    def __init__(self, *, cloud: clouds.Cloud) -> None:
        self._cloud = cloud

    def __call__(self, environ: "wsgi.WSGIEnvironment", start_response: "wsgi.StartResponse") -> Iterable[bytes]:
        status, answer = self._answer(environ)
        content = json.dumps(answer).encode()
        start_response(
            f"{status.value} {status.phrase}",
            [("Content-Type", "application/json"), ("Content-Length", str(len(content)))],
        )
        return [content]

    def _answer(self, environ: "wsgi.WSGIEnvironment") -> tuple[http.HTTPStatus, dict[str, Any]]:
        if environ["PATH_INFO"] == "/health":
            return http.HTTPStatus.OK, {"status": "ready"}
        parts = environ["PATH_INFO"].strip("/").split("/")
        if environ["REQUEST_METHOD"] != "POST" or len(parts) != 2:  # noqa: PLR2004 - slug and resource
            return http.HTTPStatus.NOT_FOUND, {"error": "not found"}
        slug, resource = parts
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if length > MOST_BYTES:
            return http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"error": "too large"}
        body = environ["wsgi.input"].read(length)
        secret = secrets.derive(slug=slug, version=SECRET_VERSION, direction=secrets.Direction.TO_PROVIDER)
        header = environ.get("HTTP_" + signature.HEADER.upper().replace("-", "_"), "")
        verdict = signature.verify(secret=secret, body=body, header=header, now=clock.get_now())
        if isinstance(verdict, signature.Rejected):
            return http.HTTPStatus.UNAUTHORIZED, {"error": verdict.reason}
        return self._act(slug=slug, resource=resource, body=body)

    def _act(self, *, slug: str, resource: str, body: bytes) -> tuple[http.HTTPStatus, dict[str, Any]]:
        try:
            return self._take(slug=slug, resource=resource, body=json.loads(body))
        except clouds.UnknownDeviceError as error:
            return http.HTTPStatus.NOT_FOUND, {"error": f"unknown device {error}"}
        except (ArithmeticError, KeyError, TypeError, ValueError) as error:
            return http.HTTPStatus.BAD_REQUEST, {"error": f"{type(error).__name__}: {error}"}

    def _take(self, *, slug: str, resource: str, body: dict[str, Any]) -> tuple[http.HTTPStatus, dict[str, Any]]:
        match resource:
            case "devices":
                return http.HTTPStatus.OK, self._cloud.register(slug=slug, body=body)
            case "commands":
                self._cloud.command(slug=slug, body=body)
                return http.HTTPStatus.ACCEPTED, {"command_id": body["command_id"]}
            case "telemetry":
                self._cloud.report_window(slug=slug, body=body)
                return http.HTTPStatus.ACCEPTED, {}
        return http.HTTPStatus.NOT_FOUND, {"error": "not found"}


class Sender:
    """Sends what the cloud owes, in order, again until it is taken or refused."""

    def __init__(self, *, cloud: clouds.Cloud, webhook_base_url: str) -> None:
        self._cloud = cloud
        # Nothing is held open between messages: whoever takes them may go away.
        self._http = outbound.Client(base_url=webhook_base_url, headers={"Connection": "close"})
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="simulated-provider-sender", daemon=True)

    def start(self) -> None:
        """Start sending in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the message that is being sent."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(TICK_SECONDS):
            self._cloud.tick(now=clock.get_now())
            waiting: collections.deque[clouds.Message] = collections.deque()
            while self._cloud.outbox and not self._stop.is_set():
                message = self._cloud.outbox.popleft()
                if message.not_before > clock.get_now() or not self._send(message):
                    waiting.append(message)
            self._cloud.outbox.extend(waiting)

    def _send(self, message: clouds.Message) -> bool:
        now = clock.get_now()
        secret = secrets.derive(slug=message.slug, version=SECRET_VERSION, direction=secrets.Direction.FROM_PROVIDER)
        try:
            self._http.post(
                path=f"/api/v1/providers/{message.slug}/webhooks/",
                content=message.body,
                headers={
                    "Content-Type": "application/json",
                    signature.HEADER: signature.sign(secret=secret, body=message.body, now=now),
                },
            )
        except errors.Unreachable as error:
            message.attempts += 1
            delay = RETRY_DELAYS_S[min(message.attempts, len(RETRY_DELAYS_S)) - 1]
            message.not_before = now + datetime.timedelta(seconds=delay)
            level = logging.WARNING if message.attempts > QUIET_ATTEMPTS else logging.DEBUG
            logger.log(level, "webhook not taken yet: %s", error)
            return message.attempts >= MOST_ATTEMPTS
        except errors.Refused as error:
            logger.error("webhook refused: %s", error.reason)  # noqa: TRY400 - an answer, not a fault of ours
        return True


class _Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True
    request_queue_size = 128


class _Handler(simple_server.WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's own name
        logger.debug(format, *args)

    def address_string(self) -> str:
        return str(self.client_address[0])


class SimulatedProvider:
    """The whole provider: serves on `url`'s host and port, sends webhooks to `webhook_base_url`."""

    def __init__(self, *, url: str, webhook_base_url: str, file: pathlib.Path | None) -> None:
        parts = urllib.parse.urlsplit(url)
        cloud = clouds.Cloud(file=file)
        self._sender = Sender(cloud=cloud, webhook_base_url=webhook_base_url)
        self._server = simple_server.make_server(
            parts.hostname or "127.0.0.1",
            parts.port or 0,
            Application(cloud=cloud),
            server_class=_Server,
            handler_class=_Handler,
        )
        self.url = f"http://{parts.hostname or '127.0.0.1'}:{self._server.server_port}"

    def serve(self) -> None:
        """Serve until `stop` is called from another thread."""
        self._sender.start()
        try:
            self._server.serve_forever(poll_interval=TICK_SECONDS)
        finally:
            self._server.server_close()
            self._sender.stop()

    def stop(self) -> None:
        """Stop serving."""
        self._server.shutdown()
