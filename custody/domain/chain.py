"""The hash chain of a key's signatures."""

import datetime
import hashlib
from collections.abc import Mapping
from typing import Any

from custody.domain import sealing

GENESIS = "0x" + "00" * 32


def link(
    *,
    previous_hash: str,
    address: str,
    sequence: int,
    kind: str,
    digest: str,
    statement: Mapping[str, Any],
    made_at: datetime.datetime,
) -> str:
    """Return the hash of an entry: SHA-256 over the canonical JSON of its fields and the hash before."""
    entry = {
        "previous_hash": previous_hash,
        "address": address.lower(),
        "sequence": sequence,
        "kind": kind,
        "digest": digest,
        "statement": statement,
        "made_at": made_at.astimezone(datetime.UTC).isoformat(timespec="microseconds"),
    }
    return "0x" + hashlib.sha256(sealing.canonical(entry)).hexdigest()
