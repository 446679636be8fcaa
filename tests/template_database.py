"""A migrated database that test databases are copied from: `migrate` takes twenty seconds, a copy a tenth of one.

The files of a PostgreSQL server with that database are kept under `.test-template/`, named by what they were made from.
"""

import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable

import psycopg

from openvpp.stack import embedded, layout

NAME = "template_openvpp"
_CACHE = layout.ROOT / ".test-template"


def prepare(postgres: embedded.Postgres, *, running: Callable[[embedded.Postgres], Callable[[], None]]) -> None:
    """Put a server's files where `postgres` expects them, with a migrated database `NAME`.

    `running` starts a server and returns what stops it.
    """
    _CACHE.mkdir(exist_ok=True)
    kept = _CACHE / f"{_key()}-{'durable' if postgres.durable else 'fast'}"  # whose sign-in differs
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            for older in _CACHE.glob("*-*"):
                shutil.rmtree(older)
            _make(postgres, running=running)
            _copy(postgres.directory, kept.with_name("unfinished-copy"))
            kept.with_name("unfinished-copy").rename(kept)
        else:
            _copy(kept, postgres.directory)


def _make(postgres: embedded.Postgres, *, running: Callable[[embedded.Postgres], Callable[[], None]]) -> None:
    postgres.prepare()
    stop = running(postgres)
    try:
        with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {NAME}")
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--no-input", "--verbosity", "0"],
            cwd=layout.ROOT,
            env=os.environ | {"DJANGO_SETTINGS_MODULE": "openvpp.settings.test", "DATABASE_URL": postgres.url(NAME)},
            check=True,
        )
    finally:
        stop()


def _copy(source: pathlib.Path, target: pathlib.Path) -> None:
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)  # keeps the owner, who is not always us


def _key() -> str:
    digest = hashlib.sha256(sys.version.encode())
    paths = [*layout.ROOT.glob("*/migrations/*.py"), layout.ROOT / "requirements" / "dev.txt"]
    for path in sorted(paths):
        digest.update(str(path.relative_to(layout.ROOT)).encode() + b"\0" + path.read_bytes())
    return f"migrated-{digest.hexdigest()[:16]}"
