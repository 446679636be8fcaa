"""The only way out: HTTP with a time limit, a size limit, no redirects and two kinds of failure."""

import base64
import functools
import http
import ipaddress
import json
import re
import socket
import ssl
import zlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit

import certifi

from openvpp.core import errors, wire

TIMEOUT_SECONDS = 5.0
DOWNLOAD_SECONDS = 30.0
MAX_BYTES = 8 * 1024 * 1024
_PATIENCE_SECONDS = 1.0
_JSON = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_ALWAYS = {"user-agent": "OpenVPP", "accept-encoding": "identity"}
_JSON_HEADERS = {"content-type": "application/json"}
# What stands in no target of a request (RFC 3986, sections 3.3 and 3.4) and is written by its number.
_NOT_IN_TARGET = re.compile(r"[^\w.~!$&'()*+,;=:@/?%-]", re.ASCII)
_GZIP = zlib.MAX_WBITS | 16


class Client:
    """A JSON client for one outside party; its connections stay open, and threads may share it.

    :raises errors.Unreachable: no connection, a time-out, 429 or 5xx, an answer too large or not JSON.
    :raises errors.Refused: any other answer that is not a success.
    """

    def __init__(
        self, *, base_url: str, headers: Mapping[str, str] | None = None, timeout: float = TIMEOUT_SECONDS
    ) -> None:
        parts = urlsplit(base_url)
        if not parts.hostname:
            raise ValueError("The address has no host.")
        is_secure = parts.scheme == "https"
        self._host = parts.hostname
        self._path = parts.path.rstrip("/")
        self._bare_path = parts.path or "/"
        self._headers = {"host": _authority(parts.hostname, parts.port, is_secure=is_secure), **_lowered(headers)}
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
        self._head = _write_headers(self._headers)
        self._json_head = _write_headers({**_JSON_HEADERS, **self._headers})
        self._pool = wire.Pool(_peer(is_secure=is_secure, host=self._host, port=parts.port, timeout=timeout))

    def post(
        self, *, path: str, body: Any = None, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """POST JSON (or raw `content`) and return the JSON answer, or None when it is empty."""
        if content is None:
            content, head = _JSON.encode(body).encode(), self._json_head
        else:
            head = self._head
        if headers:
            kind = _JSON_HEADERS if head is self._json_head else {}
            head = _write_headers({**kind, **self._headers, **_lowered(headers)})
        return self._send("POST", path, content=content, head=head)

    def get(self, *, path: str, params: Mapping[str, str] | None = None) -> Any:
        """GET and return the JSON answer, or None when it is empty."""
        return self._send("GET", f"{path}?{urlencode(params)}" if params else path, content=None, head=self._head)

    def _send(self, method: str, path: str, *, content: bytes | None, head: str) -> Any:
        target = f"{self._path}/{path.lstrip('/')}" if path else self._bare_path
        status, raw = _exchange(self._pool, method, target, content=content, head=head, host=self._host, most=MAX_BYTES)
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
    _call_stranger(
        method="POST",
        url=url,
        content=content,
        headers=headers,
        may_be_private=may_be_private,
        most=0,
        timeout=TIMEOUT_SECONDS,
    )


def get_from_stranger(*, url: str, may_be_private: bool = False) -> str:
    """GET text in UTF-8 from such an address, within half a minute.

    :raises errors.Unreachable: see `post_to_stranger`; or more than `MAX_BYTES`, or no UTF-8.
    :raises errors.Refused: see `post_to_stranger`.
    """
    raw = _call_stranger(
        method="GET",
        url=url,
        content=None,
        headers={},
        may_be_private=may_be_private,
        most=MAX_BYTES,
        timeout=DOWNLOAD_SECONDS,
    )
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
    *,
    method: str,
    url: str,
    content: bytes | None,
    headers: Mapping[str, str],
    may_be_private: bool,
    most: int,
    timeout: float,
) -> bytes:
    """Return at most `most` bytes of a stranger's answer."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (80 if parts.scheme == "http" else _HTTPS_PORT)
    schemes = {"https", "http"} if may_be_private else {"https"}
    if not host or parts.username is not None or parts.scheme not in schemes:
        raise errors.Refused("The address is not https, or carries a user name.")
    if port != _HTTPS_PORT and not may_be_private:
        raise errors.Refused(f"The address has a port other than {_HTTPS_PORT}.")
    peer = _peer(
        is_secure=parts.scheme == "https",
        host=_resolve(host=host, port=port, may_be_private=may_be_private),
        port=port,
        timeout=timeout,
        # The certificate is checked against the name, though the connection goes to its address.
        name=host,
    )
    status, raw = _exchange(
        wire.Pool(peer),
        method,
        urlunsplit(("", "", parts.path or "/", parts.query, "")),
        content=content,
        head=_write_headers({"host": parts.netloc, **_lowered(headers)}),
        host=host,
        most=most,
    )
    _require_success(status=status, host=host)
    return raw


def _peer(*, is_secure: bool, host: str, port: int | None, timeout: float, name: str = "") -> wire.Peer:
    return wire.Peer(
        host=host,
        port=port or (_HTTPS_PORT if is_secure else _HTTP_PORT),
        timeout=timeout,
        tls=_tls() if is_secure else None,
        name=name or host,
    )


@functools.cache
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


def _authority(host: str, port: int | None, *, is_secure: bool) -> str:
    """Return host and port as the Host header has them, the port only where it is not the usual one."""
    written = f"[{host}]" if ":" in host else host
    usual = _HTTPS_PORT if is_secure else _HTTP_PORT
    return written if port in {None, usual} else f"{written}:{port}"


def _lowered(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {name.lower(): value for name, value in (headers or {}).items()}


def _write_headers(headers: Mapping[str, str]) -> str:
    """Return headers as they are sent.

    :raises ValueError: one has a line break in it, or another sign that nobody sees.
    """
    lines = [f"{name}: {value}" for name, value in {**_ALWAYS, **headers}.items()]
    if not "".join(lines).isprintable():
        raise ValueError("A header has a sign in it that cannot be sent.")
    return "".join(f"{line}\r\n" for line in lines)


def _exchange(
    pool: wire.Pool, method: str, target: str, *, content: bytes | None, head: str, host: str, most: int
) -> tuple[int, bytes]:
    """Return an answer's status and body; with `most` of 0 its body is not read.

    :raises errors.Unreachable: no connection, a time-out, a body of more than `most` bytes, or too many requests.
    """
    length = "" if content is None else f"Content-Length: {len(content)}\r\n"
    written = _NOT_IN_TARGET.sub(lambda odd: quote(odd[0]), target)
    request = f"{method} {written} HTTP/1.1\r\n{head}{length}\r\n".encode("latin-1") + (content or b"")
    try:
        answer = pool.exchange(request, most=most)
        raw = answer.body
        if answer.headers.get(b"content-encoding") == b"gzip":  # though nobody asked for it
            raw = _unpack(raw, most=most)
    except wire.TooLong:
        raise errors.Unreachable(f"{host} sent more than {most} bytes.") from None
    except (*wire.FAILURES, zlib.error) as error:
        raise errors.Unreachable(f"{host}: {type(error).__name__}") from error
    if answer.status == http.HTTPStatus.TOO_MANY_REQUESTS:
        patience = _seconds(answer.headers.get(b"retry-after", b"").decode("latin-1"))
        raise errors.Unreachable(f"{host} answered {answer.status}.", retry_after_seconds=patience)
    return answer.status, raw


def _unpack(raw: bytes, *, most: int) -> bytes:
    """Return what was packed with gzip.

    :raises wire.TooLong: that has more than `most` bytes.
    """
    unpacked = zlib.decompressobj(_GZIP).decompress(raw, most + 1)
    if len(unpacked) > most:
        raise wire.TooLong
    return unpacked


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


_HTTP_PORT, _HTTPS_PORT = 80, 443
# RFC 6052: the last 32 bits are an IPv4 address.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
