"""Reputation of paymasters and factories that are not ours (ERC-7562; the rules stand in `domain.reputation`).

Counted by entity, fading by the hour. Ours need none: the one is known code, the other pays for what its sponsor
signed.
"""

import datetime
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import connection

from contracts import deployments
from contracts.bindings import user_operations, words
from openvpp.core import db
from relayer import models
from relayer.adapters import entities
from relayer.domain import codes, refusals
from relayer.domain import reputation as rules

_HOUR_S = 3_600
# THROTTLED_ENTITY_LIVE_BLOCKS by the clock, on a chain with a block every twelve seconds.
_LIVES_THROTTLED = datetime.timedelta(seconds=12 * rules.THROTTLED_ENTITY_LIVE_BLOCKS)
_HOURS = "floor(extract(epoch FROM %(now)s - known.counted_at) / 3600)::integer"
# value = value * 23 // 24, once for each full hour.
_FADED = f"""(
    WITH RECURSIVE fading (value, hours) AS (
        SELECT known.{{column}}, {_HOURS}
        UNION ALL SELECT value * 23 / 24, hours - 1 FROM fading WHERE hours > 0 AND value > 0
    ) SELECT value FROM fading ORDER BY hours LIMIT 1
)"""  # noqa: S608 - no value stands in it
_SEEN = f"""
INSERT INTO relayer_reputation AS known (chain_id, entity, seen, included, counted_at)
SELECT %(chain_id)s, each, 1, 0, %(now)s FROM unnest(%(entities)s::bytea[]) AS each ORDER BY each
ON CONFLICT (chain_id, entity) DO UPDATE SET
    seen = {_FADED.format(column="seen")} + 1, included = {_FADED.format(column="included")},
    counted_at = known.counted_at + {_HOURS} * interval '1 hour'
"""  # noqa: S608 - no value stands in it
_INCLUDED = """
UPDATE relayer_reputation AS known SET included = included + named.count
FROM unnest(%(entities)s::bytea[], %(counts)s::integer[]) AS named (entity, count)
WHERE known.chain_id = %(chain_id)s AND known.entity = named.entity
"""
_WAITING = """
SELECT substring(init_code FOR 20), substring(paymaster_and_data FOR 52), sender,
       verification_gas_limit + call_gas_limit + pre_verification_gas, max_fee_per_gas_wei
FROM relayer_useroperation
WHERE chain_id = %(chain_id)s AND state IN ('queued', 'bundled') AND (
    substring(init_code FOR 20) = ANY(%(entities)s) OR substring(paymaster_and_data FOR 20) = ANY(%(entities)s)
    OR sender = ANY(%(entities)s)
)
"""


@db.durable
def check(
    *, operation: user_operations.UserOperation, deployment: deployments.Deployment, now: datetime.datetime
) -> list[str]:
    """Return the entities of an operation that have a reputation.

    :raises codes.RefusedCall: a rule stands against one of them; the message names it.
    :raises errors.Unreachable: the node does not answer.
    """
    factory, paymaster = operation.init_code[:20], operation.paymaster_and_data[:20]
    named = strangers(named={factory, paymaster}, deployment=deployment)
    if not named:
        return []
    raw = tuple(_raw(each) for each in named)
    standing = entities.read(entry_point=deployment.entry_point, addresses=raw)
    records = _records(chain_id=deployment.chain_id, named=named, now=now)
    waiting = _waiting(chain_id=deployment.chain_id, addresses=raw)
    cost_wei = _gas(operation) * operation.max_fee_per_gas
    for address, name in zip(raw, named, strict=True):
        entity = _entity(
            address=address,
            role=rules.Role.PAYMASTER if address == paymaster else rules.Role.FACTORY,
            record=records[name],
            at=standing[address],
            waiting=waiting,
        )
        objection = rules.objection_to(entity=entity, cost_wei=cost_wei)
        if objection is not None:
            code = codes.Code.DEPOSIT_TOO_LOW if objection.rule == "EREP-010" else codes.Code.THROTTLED
            raise codes.RefusedCall(code, f"{name} {objection.what} ({objection.rule}).")
    return named


@db.durable
def find_refused(
    *, operations: Sequence[models.UserOperation], chain_id: int, now: datetime.datetime
) -> list[tuple[models.UserOperation, refusals.Refusal]]:
    """Return the operations that a bundle must not carry for their entities' sake.

    Those of banned entities are over; of throttled ones a few go into each bundle, and none waits long.

    :raises errors.Unreachable: the node does not answer.
    """
    deployment = deployments.load(chain_id=chain_id)
    named = {str(row.hash): _named(row, deployment) for row in operations}
    all_named = sorted({each for names in named.values() for each in names})
    if not all_named:
        return []
    standing = {name: record.standing for name, record in _records(chain_id=chain_id, named=all_named, now=now).items()}
    bad = tuple(_raw(name) for name in all_named if standing[name] is not rules.Standing.OK)
    staked = {
        words.checksummed(address)
        for address, at in entities.read(entry_point=deployment.entry_point, addresses=bad).items()
        if _is_staked(at)
    }
    found: list[tuple[models.UserOperation, refusals.Refusal]] = []
    taken: dict[str, int] = {}
    for row in operations:
        for name, role in named[str(row.hash)].items():
            if standing[name] is rules.Standing.OK or not rules.has_reputation(role=role, is_staked=name in staked):
                continue
            taken[name] = taken.get(name, 0) + 1
            refusal = _refusal(row, name=name, standing=standing[name], place=taken[name], now=now)
            if refusal is not None:
                taken[name] -= 1
                found.append((row, refusal))
                break
    return found


@db.durable
def punish(
    *,
    refused: Sequence[tuple[models.UserOperation, refusals.Refusal]],
    chain_id: int,
    now: datetime.datetime,
) -> None:
    """Count against their entities that operations failed in a bundle although they were valid just before.

    :raises errors.Unreachable: the node does not answer.
    """
    deployment = deployments.load(chain_id=chain_id)
    for row, refusal in refused:
        named = {role: name for name, role in _named(row, deployment).items()}
        if not named:
            continue
        factory = named.get(rules.Role.FACTORY)
        at = {} if factory is None else entities.read(entry_point=deployment.entry_point, addresses=(_raw(factory),))
        blame = rules.blame_for(
            reason=refusal.reason,
            has_staked_factory=any(_is_staked(each) for each in at.values()),
            has_paymaster=rules.Role.PAYMASTER in named,
        )
        rows = models.Reputation.objects.filter(chain_id=chain_id)
        if blame.banned is not None:
            rows.filter(entity=named[blame.banned]).update(seen=rules.BAN_OPS_SEEN_PENALTY, included=0, counted_at=now)
        if blame.forgives_paymaster:
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE relayer_reputation SET seen = greatest(seen - 1, 0) WHERE chain_id = %s AND entity = %s",
                    [chain_id, _raw(named[rules.Role.PAYMASTER])],
                )


def strangers(*, named: Collection[bytes], deployment: deployments.Deployment) -> list[str]:
    """Return those of the paymasters and factories that are somebody's, and not ours."""
    known = {b"", deployment.account_factory, deployment.paymaster, deployment.relay_paymaster}
    return sorted(words.checksummed(each) for each in named if each not in known and any(each[2:]))


@db.durable
def count_seen(*, chain_id: int, entities: Collection[str], now: datetime.datetime) -> None:
    """Count operations that came in."""
    if entities:
        with connection.cursor() as cursor:
            cursor.execute(
                _SEEN, {"chain_id": chain_id, "entities": [_raw(each) for each in sorted(entities)], "now": now}
            )


@db.transaction_required
def count_included(*, chain_id: int, counts: Mapping[str, int]) -> None:
    """Count operations that stand in a block, by entity; only those that were counted as seen have a row."""
    if counts:
        names = sorted(counts)
        asked: dict[str, Any] = {
            "chain_id": chain_id,
            "entities": [_raw(each) for each in names],
            "counts": [counts[name] for name in names],
        }
        with connection.cursor() as cursor:
            cursor.execute(_INCLUDED, asked)


def _records(*, chain_id: int, named: Collection[str], now: datetime.datetime) -> dict[str, rules.Record]:
    rows = models.Reputation.objects.filter(chain_id=chain_id, entity__in=named)
    known = {
        str(row.entity): rules.Record(seen=row.seen, included=row.included).after(
            hours=int((now - row.counted_at).total_seconds()) // _HOUR_S
        )
        for row in rows
    }
    return {name: known.get(name, rules.Record()) for name in named}


def _waiting(*, chain_id: int, addresses: Sequence[bytes]) -> list[tuple[bytes, bytes, bytes, int]]:
    """Return factory, paymaster, sender and greatest cost of the waiting operations that name one of the addresses."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, {"chain_id": chain_id, "entities": list(addresses)})
        return [
            (
                bytes(factory),
                bytes(data)[:20],
                bytes(sender),
                (gas + int.from_bytes(bytes(data)[20:36]) + int.from_bytes(bytes(data)[36:52])) * int(price),
            )
            for factory, data, sender, gas, price in cursor.fetchall()
        ]


def _entity(
    *,
    address: bytes,
    role: rules.Role,
    record: rules.Record,
    at: entities.AtEntryPoint,
    waiting: Sequence[tuple[bytes, bytes, bytes, int]],
) -> rules.Entity:
    return rules.Entity(
        role=role,
        is_staked=_is_staked(at),
        record=record,
        waiting=sum(address in (factory, paymaster) for factory, paymaster, _, _ in waiting),
        is_a_sender=any(sender == address for _, _, sender, _ in waiting),
        waiting_wei=sum(cost for _, paymaster, _, cost in waiting if paymaster == address),
        deposit_wei=at.deposit_wei,
    )


def _is_staked(at: entities.AtEntryPoint) -> bool:
    """Say whether an entity is staked (SREP-010)."""
    return at.stake_wei >= settings.RELAYER_LEAST_STAKE_WEI and at.delay_s >= settings.RELAYER_LEAST_DELAY_S


def _refusal(
    row: models.UserOperation, *, name: str, standing: rules.Standing, place: int, now: datetime.datetime
) -> refusals.Refusal | None:
    """Return why an operation stays out of this bundle; one that only has too many before it waits for the next."""
    if standing is rules.Standing.BANNED:
        reason, meaning = f"{name} is banned for now (GREP-010).", refusals.Meaning.FINAL
    elif row.created_at + _LIVES_THROTTLED < now:
        reason, meaning = f"{name} is throttled, and this waited too long (GREP-020).", refusals.Meaning.FINAL
    elif place > rules.THROTTLED_ENTITY_BUNDLE_COUNT:
        reason, meaning = f"{name} is throttled: a few go into a bundle (GREP-020).", refusals.Meaning.WINDOW
    else:
        return None
    return refusals.Refusal(index=None, meaning=meaning, reason=reason)


def _named(row: models.UserOperation, deployment: deployments.Deployment) -> dict[str, rules.Role]:
    """Return the entities of an operation from outside that are not ours, and what each is to it."""
    if row.api_key_id is None:
        return {}
    factory, paymaster = bytes(row.init_code)[:20], bytes(row.paymaster_and_data)[:20]
    found = dict.fromkeys(strangers(named={factory}, deployment=deployment), rules.Role.FACTORY)
    return found | dict.fromkeys(strangers(named={paymaster}, deployment=deployment), rules.Role.PAYMASTER)


def _gas(operation: user_operations.UserOperation) -> int:
    data = operation.paymaster_and_data
    own = operation.verification_gas_limit + operation.call_gas_limit + operation.pre_verification_gas
    return own + int.from_bytes(data[20:36]) + int.from_bytes(data[36:52])


def _raw(address: str) -> bytes:
    return words.parse_address(address)
