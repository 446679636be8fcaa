"""Credentials for AWS: from the environment, or from where a container gets its own (ECS task roles, EKS Pod Identity).

`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`; else `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or
`AWS_CONTAINER_CREDENTIALS_FULL_URI`, with `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE` or without `_FILE` the token itself.
What a container gets is over after some hours, and is asked for anew before that.
"""

import dataclasses
import datetime
import os
import pathlib
import threading
import urllib.parse
from collections.abc import Mapping
from typing import Any

from openvpp.core import errors, http

TIMEOUT_SECONDS = 2.0
RENEW_BEFORE = datetime.timedelta(minutes=5)
_ECS = "http://169.254.170.2"
# Where AWS's own libraries send a token without TLS, and nowhere else.
_HOSTS = frozenset({"169.254.170.2", "169.254.170.23", "fd00:ec2::23", "localhost", "127.0.0.1", "::1"})
_LOCK = threading.Lock()


class UnableToFindCredentials(errors.Unreachable):
    """There are none, or their place does not answer."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Who asks; `token` is empty for a user's own, which never end."""

    access_key: str
    secret_key: str = dataclasses.field(repr=False)
    token: str = dataclasses.field(repr=False)
    expires_at: datetime.datetime | None = None


_KEPT: dict[str, Credentials] = {}


def find(*, now: datetime.datetime) -> Credentials:
    """Return the credentials to use now.

    :raises UnableToFindCredentials: there are none, or their place does not answer.
    """
    environment = os.environ
    if access_key := environment.get("AWS_ACCESS_KEY_ID"):
        return Credentials(
            access_key=access_key,
            secret_key=environment.get("AWS_SECRET_ACCESS_KEY", ""),
            token=environment.get("AWS_SESSION_TOKEN", ""),
        )
    address = environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")
    if relative := environment.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        address = _ECS + relative
    if not address:
        raise UnableToFindCredentials("There are no credentials for AWS.")
    with _LOCK:
        kept = _KEPT.get(address)
        if kept is None or kept.expires_at is None or kept.expires_at <= now + RENEW_BEFORE:
            kept = _KEPT[address] = _ask(address)
    return kept


def _ask(address: str) -> Credentials:
    parts = urllib.parse.urlsplit(address)
    if parts.scheme != "https" and parts.hostname not in _HOSTS:
        raise UnableToFindCredentials("The container's credentials are asked for over HTTPS or on this machine alone.")
    token = _token()
    client = http.Client(base_url=address, headers={"Authorization": token} if token else {}, timeout=TIMEOUT_SECONDS)
    try:
        return _read(client.get(path=""))
    except errors.Refused as refusal:
        raise UnableToFindCredentials(f"The container gets no credentials: {refusal.reason}") from None
    except (KeyError, ValueError, TypeError):
        raise UnableToFindCredentials("The container's credentials are not written as AWS does.") from None


def _token() -> str:
    if path := os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        try:
            return pathlib.Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise UnableToFindCredentials(f"{path} cannot be read: {error.strerror}.") from None
    return os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")


def _read(answer: Mapping[str, Any]) -> Credentials:
    return Credentials(
        access_key=str(answer["AccessKeyId"]),
        secret_key=str(answer["SecretAccessKey"]),
        token=str(answer["Token"]),
        expires_at=datetime.datetime.fromisoformat(answer["Expiration"]),
    )
