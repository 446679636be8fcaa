"""An audit of the signatures' log: each key's chain of hashes, whole, and not shorter than an auditor has seen it."""

import dataclasses
from collections.abc import Iterable

from custody import models, queries
from openvpp.core import db


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The last entry of a key's chain; who keeps it elsewhere sees whether the chain was cut or written anew."""

    address: str
    sequence: int
    hash: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What is wrong, in words, and how every chain ends now."""

    wrong: list[str]
    heads: list[Head]


@db.durable
def check_log(*, seen: Iterable[Head]) -> Findings:
    """Walk every chain from its first entry, and look for each head that was seen before."""
    wrong: list[str] = []
    heads: list[Head] = []
    for key in models.SealedKey.objects.order_by("pk").iterator():
        broken = queries.first_broken_link(key=key)
        if broken is not None:
            wrong.append(f"{key.address}: entry {broken} does not follow the one before")
        last = queries.get_last_link(key_id=key.pk)
        if last is not None:
            heads.append(Head(address=str(key.address), sequence=last[0], hash=last[1]))
    wrong += [
        f"{head.address}: entry {head.sequence} is gone, or is another than was seen"
        for head in seen
        if not models.SignatureLog.objects.filter(
            key__address=head.address, sequence=head.sequence, hash=head.hash
        ).exists()
    ]
    return Findings(wrong=wrong, heads=heads)
