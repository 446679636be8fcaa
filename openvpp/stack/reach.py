"""Whether what the person gave instead of an embedded part can be used, said in one sentence when not."""

import json
import socket
import urllib.error
import urllib.parse
import urllib.request

import psycopg

from openvpp.stack import errors

ANSWER_S = 5.0


def check_database(url: str) -> None:
    """:raises UnableToRunError: no PostgreSQL answers at `url`."""
    if urllib.parse.urlsplit(url).scheme not in {"postgres", "postgresql"}:
        raise errors.UnableToRunError("DATABASE_URL must look like postgresql://user:password@host:5432/database.")
    try:
        psycopg.connect(url, connect_timeout=int(ANSWER_S)).close()
    except psycopg.Error as error:
        reason = str(error).strip().partition("\n")[0].strip()
        raise errors.UnableToRunError(
            f"No PostgreSQL answers at DATABASE_URL={without_password(url)} ({reason}): start it, correct the address, "
            "or leave DATABASE_URL out to use the embedded one."
        ) from error


def check_redis(url: str) -> None:
    """:raises UnableToRunError: nothing answers at `url`."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in {"redis", "rediss", "unix"}:
        raise errors.UnableToRunError("REDIS_URL must look like redis://host:6379/0.")
    import redis  # noqa: PLC0415, slow to import and needed with a real Redis only

    try:
        redis.Redis.from_url(url, socket_connect_timeout=ANSWER_S, socket_timeout=ANSWER_S).ping()
    except (redis.RedisError, OSError) as error:
        raise errors.UnableToRunError(
            f"No Redis answers at REDIS_URL={without_password(url)} ({error}): start it, correct the address, or leave "
            "REDIS_URL out to use the embedded one."
        ) from error


def chain_id(url: str) -> int:
    """The id of the chain at `url`.

    :raises UnableToRunError: no Ethereum node answers there.
    """
    try:
        return int(str(call(url, "eth_chainId")), 16)
    except (OSError, ValueError) as error:
        raise errors.UnableToRunError(
            f"No Ethereum node answers at CHAIN_RPC_URL={without_password(url)} ({error}): start it, correct the "
            "address, or leave CHAIN_RPC_URL out to use the local chain."
        ) from error


def call(url: str, method: str, *params: object) -> object:
    """The result of one JSON-RPC call; of several addresses, the first is asked.

    :raises OSError: no answer.
    :raises ValueError: an answer that is not a result.
    """
    url = url.replace(",", " ").split()[0]
    if urllib.parse.urlsplit(url).scheme not in {"http", "https"}:
        raise ValueError("an http:// or https:// address is needed")
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})  # noqa: S310, checked above
    with urllib.request.urlopen(request, timeout=ANSWER_S) as response:  # noqa: S310
        answer = json.load(response)
    if not isinstance(answer, dict) or "result" not in answer:
        raise ValueError(f"{method} was answered with {answer}")
    return answer["result"]


def status(url: str) -> tuple[int, str]:
    """The HTTP status and the body at `url`; status 0 when nothing answers."""
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_S) as response:  # noqa: S310, our own web process
            return response.status, response.read(2000).decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read(2000).decode(errors="replace")
    except OSError:
        return 0, ""


def is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(ANSWER_S)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def without_password(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    if parts.password is None:
        return url
    return url.replace(f":{parts.password}@", ":***@", 1)
