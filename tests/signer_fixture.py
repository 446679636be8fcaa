"""The signer on loopback, in a thread of this process, over the test's own database."""

import os
import socketserver
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from wsgiref import simple_server

import pytest
from django import db

from custody.domain import keys, sealing
from custody.rpc import endpoints

TOKEN = "signer-tests-only"


class _Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True
    request_queue_size = 128


class _QuietHandler(simple_server.WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing: refusals are what many tests ask for."""


@pytest.fixture
def ring() -> sealing.Ring:
    """A fresh key-encryption key."""
    return sealing.Ring(current=sealing.KeyEncryptionKey(keys.Secret(os.urandom(sealing.SECRET_BYTES))))


@pytest.fixture
def signer(ring: sealing.Ring, transactional_db: None, settings: Any) -> Iterator[str]:
    """Serve the signer and point `SIGNER_URL` at it; gives its address."""
    application = endpoints.Application(ring=ring, token=TOKEN)

    def serve(environ: Mapping[str, Any], start_response: endpoints.StartResponse) -> Iterable[bytes]:
        try:
            return application(environ, start_response)
        finally:
            db.connections.close_all()

    with simple_server.make_server("127.0.0.1", 0, serve, server_class=_Server, handler_class=_QuietHandler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        settings.SIGNER_URL = f"http://127.0.0.1:{server.server_port}"
        settings.SIGNER_TOKEN = TOKEN
        yield settings.SIGNER_URL
        server.shutdown()
        thread.join()
