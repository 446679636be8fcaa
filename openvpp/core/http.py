"""The only way out: HTTP with a time limit, a size limit, no redirects and two kinds of failure."""

import ipaddress
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from openvpp.core import errors

TIMEOUT_SECONDS = 5.0
MAX_BYTES = 8 * 1024 * 1024


class Client:
    """A pooled JSON client for one outside party.

    :raises errors.Unreachable: no connection, a time-out, 429 or 5xx, an answer too large or not JSON.
    :raises errors.Refused: any other answer that is not a success.
    """

    def __init__(
        self, *, base_url: str, headers: Mapping[str, str] | None = None, timeout: float = TIMEOUT_SECONDS
    ) -> None:
        self._client = httpx.Client(
            base_url=base_url, headers=dict(headers or {}), timeout=timeout, follow_redirects=False, trust_env=False
        )

    def post(
        self, *, path: str, body: Any = None, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """POST JSON (or raw `content`) and return the JSON answer, or None when it is empty."""
        return self._send(
            self._client.build_request(
                "POST", path, json=body if content is None else None, content=content, headers=dict(headers or {})
            )
        )

    def get(self, *, path: str, params: Mapping[str, str] | None = None) -> Any:
        """GET and return the JSON answer, or None when it is empty."""
        return self._send(self._client.build_request("GET", path, params=dict(params or {})))

    def _send(self, request: httpx.Request) -> Any:
        try:
            response = self._client.send(request, stream=True)
            try:
                raw = b""
                for chunk in response.iter_bytes():
                    raw += chunk
                    if len(raw) > MAX_BYTES:
                        raise errors.Unreachable(f"{request.url.host} sent more than {MAX_BYTES} bytes.")
            finally:
                response.close()
        except httpx.HTTPError as error:
            raise errors.Unreachable(f"{request.url.host}: {type(error).__name__}") from error
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS or response.is_server_error:
            raise errors.Unreachable(f"{request.url.host} answered {response.status_code}.")
        if not response.is_success:
            raise errors.Refused(
                f"{request.url.host} answered {response.status_code}: {raw[:300].decode(errors='replace')}",
                body=raw,
            )
        try:
            return httpx.Response(200, content=raw).json() if raw else None
        except ValueError as error:
            raise errors.Unreachable(f"{request.url.host} did not send JSON.") from error


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
    target = httpx.URL(url).copy_with(host=_resolve(host=host, port=port, may_be_private=may_be_private), port=port)
    raw = b""
    try:
        with (
            httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False, trust_env=False) as client,
            client.stream(
                method,
                target,
                content=content,
                headers={**headers, "Host": parts.netloc},
                # The certificate is checked against the name, though the connection goes to its address.
                extensions={"sni_hostname": host},
            ) as response,
        ):
            status = response.status_code
            if most and httpx.codes.is_success(status):
                for chunk in response.iter_bytes():
                    raw += chunk
                    if len(raw) > most:
                        raise errors.Unreachable(f"{host} sent more than {most} bytes.")
    except httpx.HTTPError as error:
        raise errors.Unreachable(f"{host}: {type(error).__name__}") from error
    if status == httpx.codes.TOO_MANY_REQUESTS or httpx.codes.is_server_error(status):
        raise errors.Unreachable(f"{host} answered {status}.")
    if not httpx.codes.is_success(status):
        raise errors.Refused(f"{host} answered {status}.")
    return raw


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
