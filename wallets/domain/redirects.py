"""When two redirect URIs are the same, and whose they can be."""

import urllib.parse

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1"})


def may_be_claimed(uri: str, /) -> bool:
    """Say whether no other app can take a URI's answers: HTTPS, or `http` of a loopback address."""
    parts = urllib.parse.urlsplit(uri)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS)


def is_same_loopback(*, uri: str, known: str) -> bool:
    """Say whether two `http` URIs of a loopback address differ in nothing but the port (RFC 8252, section 7.3)."""
    try:
        one, other = urllib.parse.urlsplit(uri), urllib.parse.urlsplit(known)
        _ = one.port  # raises when it is not a number
    except ValueError:
        return False
    return (
        one.scheme == other.scheme == "http"
        and one.hostname == other.hostname
        and other.hostname in LOOPBACK_HOSTS
        and "@" not in one.netloc
        and "#" not in uri
        and (one.path, one.query) == (other.path, other.query)
    )
