"""The only way out: HTTP with a time limit, a size limit, no redirects and two kinds of failure."""

import http
import ipaddress
import json
import socket
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import certifi
import urllib3

from openvpp.core import errors

TIMEOUT_SECONDS = 5.0
MAX_BYTES = 8 * 1024 * 1024
MOST_KEPT_OPEN = 32
_PATIENCE_SECONDS = 1.0


class Client:
    """A JSON client for one outside party; its connections stay open, and threads may share it.

    :raises errors.Unreachable: no connection, a time-out, 429 or 5xx, an answer too large or not JSON.
    :raises errors.Refused: any other answer that is not a success.
    """

    def __init__(
        self, *, base_url: str, headers: Mapping[str, str] | None = None, timeout: float = TIMEOUT_SECONDS
    ) -> None:
        parts = urllib3.util.parse_url(base_url)
        self._host = parts.host or ""
        self._path = parts.path or ""
        self._headers = dict(headers or {})
        if parts.auth:
            self._headers |= urllib3.util.make_headers(basic_auth=parts.auth)
        self._pool = _pool(is_secure=parts.scheme == "https", host=self._host, port=parts.port, timeout=timeout)

    def post(
        self, *, path: str, body: Any = None, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """POST JSON (or raw `content`) and return the JSON answer, or None when it is empty."""
        sent = {**self._headers, **(headers or {})}
        if content is None:
            content = json.dumps(body, separators=(",", ":"), allow_nan=False).encode()
            sent = {"Content-Type": "application/json", **sent}
        return self._send("POST", path, content=content, headers=sent)

    def get(self, *, path: str, params: Mapping[str, str] | None = None) -> Any:
        """GET and return the JSON answer, or None when it is empty."""
        return self._send("GET", f"{path}?{urlencode(params)}" if params else path, content=None, headers=self._headers)

    def _send(self, method: str, path: str, *, content: bytes | None, headers: Mapping[str, str]) -> Any:
        target = f"{self._path.rstrip('/')}/{path.lstrip('/')}" if path else self._path or "/"
        status, raw = _exchange(
            self._pool, method, target, content=content, headers=headers, host=self._host, most=MAX_BYTES
        )
        _require_success(status=status, host=self._host, raw=raw)
        try:
            return json.loads(raw) if raw else None
        except ValueError as error:
            raise errors.Unreachable(f"{self._host} did not send JSON.") from error


def post_to_stranger(*, url: str, content: bytes, headers: Mapping[str, str], may_be_private: bool = False) -> None:
    """POST to an address that somebody else chose: HTTPS on port 443, at a public address, followed nowhere.

    The name is looked up once and the connection goes to the address that was checked; the answer is not read.
    `may_be_private` also allows plain HTTP, other ports and this machine, as development needs.

    :raises errors.Unreachable: no address, no connection, a time-out, 429 or 5xx.
    :raises errors.Refused: it is none that we write to, or its answer is not a success.
    """
    _call_stranger(method="POST", url=url, content=content, headers=headers, may_be_private=may_be_private, most=0)


def get_from_stranger(*, url: str, may_be_private: bool = False) -> str:
    """GET text in UTF-8 from such an address.

    :raises errors.Unreachable: see `post_to_stranger`; or more than `MAX_BYTES`, or no UTF-8.
    :raises errors.Refused: see `post_to_stranger`.
    """
    raw = _call_stranger(method="GET", url=url, content=None, headers={}, may_be_private=may_be_private, most=MAX_BYTES)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise errors.Unreachable("The answer is no text in UTF-8.") from error


def is_public(address: str) -> bool:
    """Say whether an IP address is one of the open internet; one that carries another is as public as that one."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        teredo = found.teredo[1] if found.teredo else None
        translated = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF) if found in _NAT64 else None
        carried = found.ipv4_mapped or found.sixtofour or teredo or translated
        if carried is not None:
            return is_public(str(carried))
    return found.is_global and not found.is_multicast


def _call_stranger(
    *, method: str, url: str, content: bytes | None, headers: Mapping[str, str], may_be_private: bool, most: int
) -> bytes:
    """Return at most `most` bytes of a stranger's answer."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (80 if parts.scheme == "http" else _HTTPS_PORT)
    schemes = {"https", "http"} if may_be_private else {"https"}
    if not host or parts.username is not None or parts.scheme not in schemes:
        raise errors.Refused("The address is not https, or carries a user name.")
    if port != _HTTPS_PORT and not may_be_private:
        raise errors.Refused(f"The address has a port other than {_HTTPS_PORT}.")
    pool = _pool(
        is_secure=parts.scheme == "https",
        host=_resolve(host=host, port=port, may_be_private=may_be_private),
        port=port,
        timeout=TIMEOUT_SECONDS,
        # The certificate is checked against the name, though the connection goes to its address.
        name=host,
    )
    try:
        status, raw = _exchange(
            pool,
            method,
            urlunsplit(("", "", parts.path or "/", parts.query, "")),
            content=content,
            headers={**headers, "Host": parts.netloc},
            host=host,
            most=most,
        )
    finally:
        pool.close()
    _require_success(status=status, host=host)
    return raw


def _pool(
    *, is_secure: bool, host: str, port: int | None, timeout: float, name: str | None = None
) -> urllib3.HTTPConnectionPool:
    """Return connections to one host, which knows nothing of proxies that the environment names."""
    limit = urllib3.Timeout(connect=timeout, read=timeout)
    if not is_secure:
        return urllib3.HTTPConnectionPool(host, port, timeout=limit, maxsize=MOST_KEPT_OPEN)
    return urllib3.HTTPSConnectionPool(
        host,
        port,
        timeout=limit,
        maxsize=MOST_KEPT_OPEN,
        ssl_context=ssl.create_default_context(cafile=certifi.where()),
        server_hostname=name,
        assert_hostname=name,
    )


def _exchange(
    pool: urllib3.HTTPConnectionPool,
    method: str,
    target: str,
    *,
    content: bytes | None,
    headers: Mapping[str, str],
    host: str,
    most: int,
) -> tuple[int, bytes]:
    """Return an answer's status and body; with `most` of 0 its body is not read.

    :raises errors.Unreachable: no connection, a time-out, a body of more than `most` bytes, or too many requests.
    """
    try:
        answer = pool.urlopen(
            method, target, body=content, headers=dict(headers), retries=False, redirect=False, preload_content=False
        )
        try:
            raw = answer.read(most + 1) if most else b""
        finally:
            answer.close()  # one that was read to its end has given its connection back
    except urllib3.exceptions.HTTPError as error:
        raise errors.Unreachable(f"{host}: {type(error).__name__}") from error
    if len(raw) > most:
        raise errors.Unreachable(f"{host} sent more than {most} bytes.")
    if answer.status == http.HTTPStatus.TOO_MANY_REQUESTS:
        patience = _seconds(answer.headers.get("Retry-After", ""))
        raise errors.Unreachable(f"{host} answered {answer.status}.", retry_after_seconds=patience)
    return answer.status, raw


def _seconds(retry_after: str) -> float:
    """Return for how long to wait: what was asked for in seconds, else a little."""
    return float(retry_after) if retry_after.isdecimal() else _PATIENCE_SECONDS


def _require_success(*, status: int, host: str, raw: bytes = b"") -> None:
    if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        raise errors.Unreachable(f"{host} answered {status}.")
    if not http.HTTPStatus.OK <= status < http.HTTPStatus.MULTIPLE_CHOICES:
        said = raw[:300].decode(errors="replace")
        raise errors.Refused(f"{host} answered {status}{': ' + said if said else '.'}", body=raw)


def _resolve(*, host: str, port: int, may_be_private: bool) -> str:
    try:
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        raise errors.Unreachable(f"{host} has no address.") from error
    if not may_be_private and not all(is_public(address) for address in found):
        raise errors.Refused(f"{host} is not a public address.")
    return found[0]


_HTTPS_PORT = 443
# RFC 6052: the last 32 bits are an IPv4 address.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
