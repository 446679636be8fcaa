"""Reading settings from the environment, with a sentence for whoever forgot one."""

import os
import pathlib
import urllib.parse
from typing import Any

from django.core import exceptions


def text(name: str, default: str | None = None) -> str:
    """Return a variable.

    :raises ImproperlyConfigured: it is not set and has no default.
    """
    value = os.environ.get(name, default)
    if value is None:
        raise exceptions.ImproperlyConfigured(f"Set the environment variable {name}.")
    return value


def secret(name: str, default: str | None = None) -> str:
    """Return a secret from the file named by `<name>_FILE`, else from `<name>`."""
    path = os.environ.get(f"{name}_FILE")
    if path:
        try:
            return pathlib.Path(path).read_text().strip()
        except OSError as error:
            raise exceptions.ImproperlyConfigured(f"{name}_FILE names {path}, which cannot be read.") from error
    return text(name, default)


def database(name: str, default: str | None = None) -> dict[str, Any]:
    """Return Django's settings for a `postgresql://` URL; a socket directory goes in `?host=`."""
    url = urllib.parse.urlsplit(text(name, default))
    if url.scheme not in {"postgres", "postgresql"}:
        raise exceptions.ImproperlyConfigured(f"{name} must be a postgresql:// URL.")
    query = dict(urllib.parse.parse_qsl(url.query))
    return {
        "ENGINE": "openvpp.core.postgres",
        "NAME": url.path.lstrip("/") or "postgres",
        "USER": urllib.parse.unquote(url.username or ""),
        "PASSWORD": urllib.parse.unquote(url.password or ""),
        "HOST": query.pop("host", url.hostname or ""),
        "PORT": str(url.port or ""),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": query,
    }
