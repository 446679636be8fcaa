"""The signature on every message between us and a provider, in either direction.

`t=<seconds since 1970>,v1=<hex>` where `v1` is HMAC-SHA256 over `<t>.<body>` with the secret of that direction.
"""

import dataclasses
import datetime
import hashlib
import hmac
import re

HEADER = "X-Provider-Signature"
REPLAY_WINDOW = datetime.timedelta(minutes=5)
_FORM = re.compile(r"t=(\d{1,12}),v1=([0-9a-f]{64})")


@dataclasses.dataclass(frozen=True, slots=True)
class Genuine:
    """The message is the other side's own and fresh."""


@dataclasses.dataclass(frozen=True, slots=True)
class Rejected:
    """The message is not to be believed; `reason` is for our log, not for the sender."""

    reason: str


def sign(*, secret: bytes, body: bytes, now: datetime.datetime) -> str:
    """Return the header's value for a body that is sent at `now`."""
    timestamp = int(now.timestamp())
    return f"t={timestamp},v1={_digest(secret=secret, timestamp=timestamp, body=body)}"


def verify(*, secret: bytes, body: bytes, header: str, now: datetime.datetime) -> Genuine | Rejected:
    """Say whether the header signs this body with this secret within the replay window; constant-time."""
    form = _FORM.fullmatch(header)
    if form is None:
        return Rejected("no signature")
    timestamp = int(form[1])
    if not hmac.compare_digest(_digest(secret=secret, timestamp=timestamp, body=body), form[2]):
        return Rejected("wrong signature")
    if abs(int(now.timestamp()) - timestamp) > REPLAY_WINDOW.total_seconds():
        return Rejected("outside the replay window")
    return Genuine()


def _digest(*, secret: bytes, timestamp: int, body: bytes) -> str:
    return hmac.new(secret, str(timestamp).encode() + b"." + body, hashlib.sha256).hexdigest()
