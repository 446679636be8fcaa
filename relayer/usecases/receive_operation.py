"""Signed operations come in from outside: read, weighed, validated and put into the pool, all that wait in one go.

However many come together, the pool is asked once, the node is asked once and the pool is written once; one that is
refused leaves the others alone.
"""

import collections
import dataclasses
import datetime
import json
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from django.db import connection

from contracts import deployments
from contracts.bindings import user_operations
from openvpp.core import db, errors, steps
from relayer import models, queries
from relayer.adapters import simulation
from relayer.domain import codes, wire
from relayer.usecases import (
    check_authorization,
    count_reputation,
    replace_operation,
    use_quota,
    validate_operation,
    weigh_operation,
)

MAX_OF_SENDER = 4
_WAITING = """
SELECT hash, sender, nonce, state IN ('queued', 'bundled') FROM relayer_useroperation WHERE hash = ANY(%(hashes)s)
UNION
SELECT hash, sender, nonce, true FROM relayer_useroperation
WHERE chain_id = %(chain_id)s AND sender = ANY(%(senders)s) AND state IN ('queued', 'bundled')
"""
_INSERT = """
WITH made AS (
    INSERT INTO relayer_useroperation (
        hash, chain_id, entry_point, utility_id, api_key_id, validation, marks, sender, nonce, init_code, call_data,
        verification_gas_limit, call_gas_limit, pre_verification_gas, max_fee_per_gas_wei,
        max_priority_fee_per_gas_wei, paymaster_and_data, signature, delegation, quote_id, state, failure, attempts,
        leased_by, expires_at, created_at
    ) VALUES (
        %(hash)s, %(chain_id)s, %(entry_point)s, %(utility_id)s, %(api_key_id)s, %(validation)s, %(marks)s, %(sender)s,
        %(nonce)s, %(init_code)s, %(call_data)s, %(verification_gas_limit)s, %(call_gas_limit)s,
        %(pre_verification_gas)s, %(max_fee_per_gas_wei)s, %(max_priority_fee_per_gas_wei)s, %(paymaster_and_data)s,
        %(signature)s, %(delegation)s,
        (SELECT quote.id FROM relayer_sponsorship AS sponsorship
         JOIN relayer_feequote AS quote ON quote.sponsorship_id = sponsorship.id
         WHERE sponsorship.user_operation_hash = %(hash)s),
        'queued', '', 0, '', %(expires_at)s, %(now)s
    ) ON CONFLICT (hash) DO NOTHING RETURNING hash
)
INSERT INTO relayer_useroperationtransition (user_operation_id, state, detail, made_at)
SELECT hash, 'queued', '', %(now)s FROM made
"""

type Outcome = str | codes.RefusedCall | errors.Unreachable


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An operation that somebody's key brings, for the EntryPoint that they name."""

    key: models.ApiKey
    received: wire.Received
    entry_point: object


@dataclasses.dataclass(slots=True, kw_only=True)
class _Candidate:
    """What is known so far of an operation that nothing stands against yet."""

    asked: Asked
    digest: bytes
    expires_at: datetime.datetime
    delegated: simulation.Delegations = simulation.NONE
    strangers: Sequence[str] = ()
    replaces: bytes | None = None
    verdict: validate_operation.Verdict | None = None
    outcome: Outcome | None = None

    @property
    def operation(self) -> user_operations.UserOperation:
        return self.asked.received.operation

    @property
    def hash(self) -> str:
        return "0x" + self.digest.hex()


@db.durable
def receive(*, asked: Asked, chain_id: int, now: datetime.datetime) -> str:
    """Put an operation into the pool and return its hash; the same operation twice is once.

    :raises codes.RefusedCall: with the code that says why.
    :raises errors.Unreachable: the node does not answer.
    """
    (outcome,) = receive_together(asked=[asked], chain_id=chain_id, now=now)
    if isinstance(outcome, str):
        return outcome
    raise outcome


@db.durable
def receive_together(*, asked: Sequence[Asked], chain_id: int, now: datetime.datetime) -> list[Outcome]:
    """Put operations into the pool; return for each its hash, or why it is not in it."""
    deployment = deployments.load(chain_id=chain_id)
    candidates = [_read(each, deployment=deployment, now=now) for each in asked]
    _refuse_crowds(candidates)
    left = _open(candidates)
    while left:
        lot, left = _first_of_each_sender(left)
        _receive_lot(lot, deployment=deployment, now=now)
    for each in candidates:
        _note(each)
    return [each.outcome or each.hash for each in candidates]


def _refuse_crowds(candidates: Sequence[_Candidate]) -> None:
    """Refuse what a key brings of one sender beyond MAX_OF_SENDER: all who came in this lot would wait for it."""
    brought: collections.Counter[tuple[int, bytes]] = collections.Counter()
    for each in _open(candidates):
        brought[each.asked.key.pk, each.operation.sender] += 1
        if brought[each.asked.key.pk, each.operation.sender] > MAX_OF_SENDER:
            each.outcome = codes.RefusedCall(
                codes.Code.THROTTLED, f"More than {MAX_OF_SENDER} operations of the sender came at once."
            )


def _first_of_each_sender(candidates: Sequence[_Candidate]) -> tuple[list[_Candidate], list[_Candidate]]:
    """Part what can go together from what must wait: one that is no good shall not stand in its rival's way."""
    first: dict[bytes, _Candidate] = {}
    for each in candidates:
        first.setdefault(each.operation.sender, each)
    chosen = {id(each) for each in first.values()}
    return list(first.values()), [each for each in candidates if id(each) not in chosen]


def _receive_lot(lot: Sequence[_Candidate], *, deployment: deployments.Deployment, now: datetime.datetime) -> None:
    try:
        _look_into_pool(_open(lot), chain_id=deployment.chain_id)
        _sift(_open(lot), lambda each: _weigh(each, deployment=deployment, now=now))
        _validate(_open(lot), deployment=deployment)
        _use_quotas(_open(lot), now=now)
        _write(_open(lot), deployment=deployment, now=now)
    except errors.Unreachable as error:
        for each in _open(lot):
            each.outcome = error


def _note(candidate: _Candidate) -> None:
    key, verdict, outcome = candidate.asked.key, candidate.verdict, candidate.outcome
    if isinstance(outcome, codes.RefusedCall):
        steps.note(
            "refused", operation=candidate.hash, key=key.identifier, code=int(outcome.code), reason=outcome.message
        )
    elif outcome is None and verdict is not None:
        steps.note("received", operation=candidate.hash, key=key.identifier, validation=verdict.validation.value)


def _open(candidates: Iterable[_Candidate]) -> list[_Candidate]:
    return [each for each in candidates if each.outcome is None]


def _sift(candidates: Sequence[_Candidate], examine: Callable[[_Candidate], None]) -> None:
    """Refuse those that do not stand the examination."""
    for each in candidates:
        try:
            examine(each)
        except (codes.RefusedCall, errors.Unreachable) as refusal:
            each.outcome = refusal


def _read(asked: Asked, *, deployment: deployments.Deployment, now: datetime.datetime) -> _Candidate:
    digest = asked.received.hash(chain_id=deployment.chain_id, entry_point=deployment.entry_point)
    found = _Candidate(asked=asked, digest=digest, expires_at=now)
    try:
        queries.check_entry_point(asked.entry_point, deployment=deployment)
        queries.check_not_paused(utility_id=asked.key.utility_id)
    except codes.RefusedCall as refusal:
        found.outcome = refusal
    return found


def _look_into_pool(candidates: Sequence[_Candidate], *, chain_id: int) -> None:
    """Answer what is in the pool already; refuse what has a rival there, or too many of its sender before it."""
    if not candidates:
        return
    known, waiting = _find_waiting(candidates, chain_id=chain_id)
    for each in candidates:
        others = waiting.get(each.operation.sender, {})
        if each.digest in known:
            each.outcome = each.hash
        elif each.operation.nonce in others:
            each.replaces = others[each.operation.nonce]
            _sift([each], _check_replacement)
        elif len(others) >= MAX_OF_SENDER:
            each.outcome = codes.RefusedCall(
                codes.Code.THROTTLED, f"The sender has {len(others)} operations in the pool already."
            )


def _find_waiting(
    candidates: Sequence[_Candidate], *, chain_id: int
) -> tuple[Collection[bytes], dict[bytes, dict[int, bytes]]]:
    """Return which are known, and what waits of their senders: hashes by nonce."""
    asked: dict[str, Any] = {
        "hashes": [each.digest for each in candidates],
        "senders": list({each.operation.sender for each in candidates}),
        "chain_id": chain_id,
    }
    known, waiting = set(), dict[bytes, dict[int, bytes]]()
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, asked)
        for hash_, sender, nonce, is_waiting in cursor.fetchall():
            known.add(bytes(hash_))
            if is_waiting:
                waiting.setdefault(bytes(sender), {})[int(nonce)] = bytes(hash_)
    return known, waiting


def _check_replacement(candidate: _Candidate) -> None:
    if candidate.replaces is not None:
        replace_operation.check(
            hash_=candidate.replaces, operation=candidate.operation, utility_id=candidate.asked.key.utility_id
        )


@db.transaction_required
def _replace(candidate: _Candidate, *, now: datetime.datetime) -> None:
    if candidate.replaces is not None:
        replace_operation.replace(hash_=candidate.replaces, by=candidate.digest, now=now)


def _weigh(candidate: _Candidate, *, deployment: deployments.Deployment, now: datetime.datetime) -> None:
    operation, key = candidate.operation, candidate.asked.key
    candidate.delegated = check_authorization.find_due(received=candidate.asked.received, chain_id=deployment.chain_id)
    weigh_operation.check_limits(operation, authorizations=len(candidate.delegated))
    candidate.expires_at = weigh_operation.check_paymaster(
        utility_id=key.utility_id, operation=operation, deployment=deployment, now=now
    )
    candidate.strangers = count_reputation.check(operation=operation, deployment=deployment, now=now)


def _validate(candidates: Sequence[_Candidate], *, deployment: deployments.Deployment) -> None:
    verdicts = validate_operation.validate_together(
        wishes=[(each.operation, each.delegated) for each in candidates], deployment=deployment
    )
    for each, verdict in zip(candidates, verdicts, strict=True):
        if isinstance(verdict, codes.RefusedCall):
            each.outcome = verdict
        else:
            each.verdict = verdict


def _use_quotas(candidates: Sequence[_Candidate], *, now: datetime.datetime) -> None:
    """Take all that come by one key from its quota together; if that is too much, one by one."""
    by_key: dict[int, list[_Candidate]] = {}
    for each in candidates:
        by_key.setdefault(each.asked.key.pk, []).append(each)
    quota = models.ApiKeyUsage.Quota.OPERATIONS
    for group in by_key.values():
        try:
            use_quota.use(key=group[0].asked.key, quota=quota, count=len(group), now=now)
        except codes.RefusedCall:
            _sift(group, lambda each: use_quota.use(key=each.asked.key, quota=quota, count=1, now=now))


def _write(candidates: Sequence[_Candidate], *, deployment: deployments.Deployment, now: datetime.datetime) -> None:
    if not candidates:
        return
    with db.transaction(), connection.cursor() as cursor:
        _sift(candidates, lambda each: _replace(each, now=now))
        rows = [_row(each, deployment=deployment, now=now) for each in _open(candidates)]
        cursor.executemany(_INSERT, rows)
    for each in _open(candidates):
        count_reputation.count_seen(chain_id=deployment.chain_id, entities=each.strangers, now=now)


def _row(candidate: _Candidate, *, deployment: deployments.Deployment, now: datetime.datetime) -> dict[str, Any]:
    operation, verdict, key = candidate.operation, candidate.verdict, candidate.asked.key
    if verdict is None:
        raise AssertionError("an operation that was not validated")
    authorization = candidate.asked.received.authorization
    return {
        "hash": candidate.digest,
        "chain_id": deployment.chain_id,
        "entry_point": deployment.entry_point,
        "utility_id": key.utility_id,
        "api_key_id": key.pk,
        "validation": verdict.validation,
        "marks": json.dumps(dict(verdict.marks)),
        "sender": operation.sender,
        "nonce": operation.nonce,
        "init_code": operation.init_code,
        "call_data": operation.call_data,
        "verification_gas_limit": operation.verification_gas_limit,
        "call_gas_limit": operation.call_gas_limit,
        "pre_verification_gas": operation.pre_verification_gas,
        "max_fee_per_gas_wei": operation.max_fee_per_gas,
        "max_priority_fee_per_gas_wei": operation.max_priority_fee_per_gas,
        "paymaster_and_data": operation.paymaster_and_data,
        "signature": operation.signature,
        "delegation": None if authorization is None else authorization.pack(),
        "expires_at": candidate.expires_at,
        "now": now,
    }
