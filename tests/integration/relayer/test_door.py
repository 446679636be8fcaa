"""`manage.py bundler` as a process of its own: lean, and answering many at once."""

import concurrent.futures
import http.client
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from django.conf import settings as django_settings
from django.db import connection

from openvpp.stack import layout
from relayer import models
from tests import chain_fixture
from tests.integration.relayer import application as applications
from tests.integration.relayer.conftest import Relayer

pytestmark = pytest.mark.django_db(transaction=True)

READY_WITHIN_S = 60


@pytest.fixture
def port(relayer: Relayer, tmp_path: pathlib.Path) -> Iterator[int]:
    """Serve the bundler over the test's database and chain."""
    found, database = layout.free_port(), connection.settings_dict
    address = f"{database['HOST']}:{database['PORT']}"
    environment = os.environ | {
        "DATABASE_URL": f"postgresql://{database['USER']}:{database['PASSWORD']}@{address}/{database['NAME']}",
        "CHAIN_RPC_URL": relayer.chain.rpc_url,
        "CHAIN_ID": str(relayer.chain.chain_id),
        "OPENVPP_DEPLOYMENTS_DIR": str(tmp_path),
        "SIGNER_URL": django_settings.SIGNER_URL,
        "SIGNER_TOKEN": django_settings.SIGNER_TOKEN,
    }
    command = [sys.executable, "manage.py", "bundler", "--port", str(found)]
    process = subprocess.Popen(command, cwd=chain_fixture.ROOT, env=environment)
    try:
        _wait(found, process)
        yield found
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


def ask(port: int, body: object, *, token: str, path: str) -> tuple[int, bytes]:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    client.request("POST", path, content, {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
    answer = client.getresponse()
    return answer.status, answer.read()


def test_twenty_at_once_are_all_in_and_the_others_are_told(relayer: Relayer, port: int) -> None:
    app = applications.make(relayer)
    path = f"/rpc/v1/{relayer.chain.chain_id}"
    accounts = [applications.open_account(app) for _ in range(20)]
    bodies = [
        {
            "jsonrpc": "2.0",
            "id": number,
            "method": "eth_sendUserOperation",
            "params": [each.signed(each.sponsored(each.operation())), applications.ENTRY_POINT],
        }
        for number, each in enumerate(accounts)
    ]
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda body: ask(port, body, token=app.token, path=path), bodies))
    found = [(status, json.loads(content)) for status, content in answers]
    assert [(status, each["id"]) for status, each in found] == [(200, number) for number in range(20)]
    assert {each["result"] for _, each in found} == set(models.UserOperation.objects.values_list("hash", flat=True))

    chain = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"}
    assert ask(port, chain, token=app.token, path=path)[0] == 200
    assert ask(port, chain, token="ovpp_nobody_none", path=path)[0] == 401
    assert ask(port, chain, token=app.token, path="/rpc/v1/1")[0] == 404
    assert ask(port, chain, token=app.token, path="/rpc/v2/1")[0] == 404
    assert json.loads(ask(port, b"{", token=app.token, path=path)[1])["error"]["code"] == -32700
    assert ask(port, b" " * (1024 * 1024 + 1), token=app.token, path=path)[0] == 413


@pytest.mark.parametrize(
    ("up_to", "commands"),
    [
        ("relayer", "relayer.rpc.door, relayer.management.commands.relay, custody.management.commands.signer"),
        ("wallets", "wallets.management.commands.revoker"),
    ],
)
def test_lean_processes_load_nothing_of_what_stands_above(up_to: str, commands: str) -> None:
    script = (
        f"import os, sys; os.environ['OPENVPP_LEAN_UP_TO'] = '{up_to}'; import django; django.setup(); "
        f"import {commands}; print(sorted({{name.partition('.')[0] for name in sys.modules}}))"
    )
    output = subprocess.run(
        [sys.executable, "-c", script], cwd=chain_fixture.ROOT, capture_output=True, text=True, check=True
    ).stdout
    above = ("billing", "programs", "meters", "ders", "rest_framework", "allauth", "celery", "channels")
    assert [name for name in above if f"'{name}'" in output] == []
    assert ("'wallets'" in output) == (up_to == "wallets")


def _wait(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            client.request("GET", "/health/live")
            if client.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("The bundler did not start.")
