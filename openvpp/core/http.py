"""The only way out: HTTP with a time limit, a size limit, no redirects and two kinds of failure."""

from collections.abc import Mapping
from typing import Any

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
