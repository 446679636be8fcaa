"""What every test run needs: services before settings, no network beyond this machine."""

import importlib.util
import os
import uuid

import django
import pytest
import pytest_socket

django.setup()

pytest_plugins = ["tests.sharing_out", "tests.quick_flush", "tests.signer_fixture", "tests.provider_fixture"]
pytest_plugins += ["tests.chain_fixture"] if importlib.util.find_spec("tests.chain_fixture") else []


def pytest_runtest_setup(item: pytest.Item) -> None:
    pytest_socket.socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Give this run a database of its own, so that several runs may share one server."""
    from django.conf import settings  # noqa: PLC0415, not before django.setup

    test = settings.DATABASES["default"].setdefault("TEST", {})
    if "PYTEST_XDIST_WORKER" not in os.environ:
        test["NAME"] = f"test_{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def database_url() -> str:
    """The server's address; the test's own database is the one that Django is connected to."""
    return os.environ["DATABASE_URL"]


@pytest.fixture(scope="session")
def redis_url() -> str:
    return os.environ["REDIS_URL"]
