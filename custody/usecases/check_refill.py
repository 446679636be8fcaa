"""What the signer checks before coin leaves for a relayer key: that it is one of ours, and that the day allows it."""

import datetime
from collections.abc import Mapping
from typing import Any

from contracts.bindings import words
from custody import models
from custody.domain import intents, policies

DAY = datetime.timedelta(days=1)


def check(
    *, key: models.SealedKey, policy: policies.Policy, intent: intents.Intent, now: datetime.datetime
) -> policies.Verdict:
    """Say whether a refill may be signed; what other keys sign passes."""
    if not isinstance(policy, policies.Refill) or not isinstance(intent, intents.Transaction):
        return policies.Allowed()
    sent = intent.transaction
    if not sent.data and not _is_relayer(address=sent.to, chain_id=policy.chain_id):
        return policies.Denied("other_receiver", "Coin goes to relayer keys of this chain alone.")
    left = left_since(key=key, since=now - DAY, nonce=sent.nonce) + sent.max_cost_wei
    if left > policy.max_per_day_wei:
        return policies.Denied("above_day_limit", f"{left} wei in a day are above the limit {policy.max_per_day_wei}.")
    return policies.Allowed()


def _is_relayer(*, address: bytes, chain_id: int) -> bool:
    found = models.SealedKey.objects.filter(
        address=words.checksummed(address), purpose=models.SealedKey.Purpose.RELAYER, disabled_at__isnull=True
    ).first()
    return found is not None and found.policy.get("chain_id") == chain_id


def left_since(*, key: models.SealedKey, since: datetime.datetime, nonce: int) -> int:
    """Return the most that may have left by other nonces, in wei; of each nonce one transaction lands at most."""
    most: dict[int, int] = {}
    rows = models.SignatureLog.objects.filter(key=key, kind=intents.Transaction.kind, made_at__gt=since)
    for statement in rows.values_list("statement", flat=True):
        most[statement["nonce"]] = max(most.get(statement["nonce"], 0), _cost(statement))
    most.pop(nonce, None)
    return sum(most.values())


def _cost(statement: Mapping[str, Any]) -> int:
    return int(statement["value_wei"]) + int(statement["gas_limit"]) * int(statement["max_fee_per_gas_wei"])
