"""How the relayer stands: pool, keys, bundles, what it lives on, what was refused of late."""

import dataclasses
import datetime
from collections.abc import Collection
from typing import Any

from django.db.models import Count, Q

from customers import models as customer_models
from openvpp.core import db, errors
from relayer import models
from relayer.adapters import chain
from relayer.domain import codes
from relayer.usecases import count_up

MOST_BUNDLES = 20
MOST_ACTIONS = 15
MOST_REFILLS = 5
_HOUR = datetime.timedelta(hours=1)
_STALE = datetime.timedelta(minutes=2)
# Ages that the pool is cut at, in seconds.
_AGES = (2, 10, 60, 600)
_State = models.UserOperation.State
_OPEN = (models.Bundle.State.PENDING, models.Bundle.State.MINED)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What waits: how many are how old, and the oldest."""

    queued: int
    by_age: list[tuple[str, int]]
    set_aside: int
    oldest: models.UserOperation | None
    bundled: int
    mined: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A relayer key; `nonce` and `balance_wei` are None when the chain does not answer and nothing was read before."""

    row: models.RelayerKey
    state: str
    is_held: bool
    nonce: int | None
    balance_wei: int | None
    open_bundles: int
    may_drain: bool
    is_last: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Utility:
    """A utility's side of the relayer."""

    row: customer_models.Utility
    pause: models.UtilityPause | None
    budget: models.Balance | None
    queued: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Everything on the page. Keys, bundles, deposits and refusals are the operator's alone; empty for others."""

    head: chain.Head | None
    head_is_old: bool
    chain_problem: str
    pool: Pool
    utilities: list[Utility]
    keys: list[Key]
    bundles: list[models.Bundle]
    deposits: list[models.Balance]
    refusals: list[tuple[str, int]]
    balances_read_at: datetime.datetime | None
    balances_are_old: bool
    refills: list[models.Refill]
    actions: list[models.StaffAction]


@db.durable
def read(
    *, chain_id: int, utilities: Collection[customer_models.Utility], is_operator: bool, now: datetime.datetime
) -> Status:
    """Return how the relayer stands for somebody who looks after these utilities."""
    keys = list(models.RelayerKey.objects.filter(chain_id=chain_id).order_by("pk")) if is_operator else []
    head, nonces, problem = _ask_chain(keys)
    balances = {(row.kind, row.name): row for row in models.Balance.objects.filter(chain_id=chain_id)}
    read_at = min((row.read_at for row in balances.values()), default=None)
    own = {utility.pk for utility in utilities}
    actions = models.StaffAction.objects.select_related("made_by", "utility", "relayer_key").order_by("-made_at", "-pk")
    return Status(
        head=head,
        head_is_old=head is not None and head.timestamp < (now - _STALE).timestamp(),
        chain_problem=problem,
        pool=_pool(chain_id=chain_id, utilities=None if is_operator else own, now=now),
        utilities=_utilities(utilities, balances),
        keys=_keys(keys, nonces=nonces, balances=balances, now=now),
        bundles=_bundles(chain_id) if is_operator else [],
        deposits=[row for (kind, _), row in sorted(balances.items()) if kind == "deposit"] if is_operator else [],
        refusals=_refusals(now) if is_operator else [],
        balances_read_at=read_at,
        balances_are_old=read_at is None or read_at < now - _STALE,
        refills=list(models.Refill.objects.filter(chain_id=chain_id).order_by("-pk")[:MOST_REFILLS])
        if is_operator
        else [],
        actions=list((actions if is_operator else actions.filter(utility__in=own))[:MOST_ACTIONS]),
    )


def _ask_chain(keys: list[models.RelayerKey]) -> tuple[chain.Head | None, dict[int, int], str]:
    try:
        head = chain.head()
        found = chain.account_nonces(addresses=[str(key.address) for key in keys])
    except (errors.Unreachable, errors.Refused) as error:
        return None, {}, str(error)
    return head, {key.pk: nonce for key, nonce in zip(keys, found, strict=True)}, ""


def _pool(*, chain_id: int, utilities: set[int] | None, now: datetime.datetime) -> Pool:
    rows = models.UserOperation.objects.filter(chain_id=chain_id)
    if utilities is not None:
        rows = rows.filter(utility__in=utilities)
    queued = rows.filter(state=_State.QUEUED)
    limits = [now - datetime.timedelta(seconds=age) for age in _AGES]
    newer = [*limits, None]
    older = [None, *limits]
    names = [f"under {_AGES[0]} s", *(f"{_AGES[i]} to {_AGES[i + 1]} s" for i in range(len(_AGES) - 1)), "over 10 min"]
    classes = {f"class_{i}": Count("pk", filter=_between(since=newer[i], before=older[i])) for i in range(len(names))}
    found = queued.aggregate(
        count=Count("pk"), aside=Count("pk", filter=Q(leased_by="", leased_until__gt=now)), **classes
    )
    open_ = models.Bundle.objects.filter(chain_id=chain_id, state__in=_OPEN)
    return Pool(
        queued=found["count"],
        by_age=[(name, found[f"class_{i}"]) for i, name in enumerate(names)],
        set_aside=found["aside"],
        oldest=queued.order_by("created_at").first(),
        bundled=rows.filter(state=_State.BUNDLED).count(),
        mined=rows.filter(bundle__in=open_, state=_State.MINED).count(),
    )


def _between(*, since: datetime.datetime | None, before: datetime.datetime | None) -> Q:
    found = Q() if since is None else Q(created_at__gt=since)
    return found if before is None else found & Q(created_at__lte=before)


def _utilities(
    utilities: Collection[customer_models.Utility], balances: dict[tuple[str, str], models.Balance]
) -> list[Utility]:
    pauses = {row.utility_id: row for row in models.UtilityPause.objects.filter(resumed_at=None, utility__in=utilities)}
    queued = dict(
        models.UserOperation.objects.filter(state=_State.QUEUED, utility__in=utilities)
        .order_by()
        .values_list("utility_id")
        .annotate(Count("pk"))
    )
    return [
        Utility(
            row=utility,
            pause=pauses.get(utility.pk),
            budget=balances.get(("budget", utility.slug)),
            queued=queued.get(utility.pk, 0),
        )
        for utility in utilities
    ]


def _keys(
    keys: list[models.RelayerKey],
    *,
    nonces: dict[int, int],
    balances: dict[tuple[str, str], models.Balance],
    now: datetime.datetime,
) -> list[Key]:
    open_: dict[Any, int] = dict(
        models.Bundle.objects.filter(relayer_key__in=keys, state__in=_OPEN)
        .order_by()
        .values_list("relayer_key_id")
        .annotate(Count("pk"))
    )
    in_use = [key.pk for key in keys if key.is_enabled and key.draining_since is None]
    found = []
    for key in keys:
        balance = balances.get(("key", str(key.address)))
        is_held = bool(key.leased_by) and key.leased_until is not None and key.leased_until > now
        found.append(
            Key(
                row=key,
                state=_state_of(key, is_held=is_held),
                is_held=is_held,
                nonce=nonces.get(key.pk),
                balance_wei=None if balance is None else int(balance.wei),
                open_bundles=open_.get(key.pk, 0),
                may_drain=key.pk in in_use,
                is_last=in_use == [key.pk],
            )
        )
    return found


def _state_of(key: models.RelayerKey, *, is_held: bool) -> str:
    if not key.is_enabled:
        return "disabled"
    if key.draining_since is not None:
        return "draining"
    return "in use" if is_held else "free"


def _bundles(chain_id: int) -> list[models.Bundle]:
    """Return the open bundles, the one that waits longest first."""
    rows = models.Bundle.objects.filter(chain_id=chain_id).select_related("relayer_key")
    rows = rows.prefetch_related("transactions").annotate(size=Count("user_operations"))
    return list(rows.filter(state__in=_OPEN).order_by("created_at")[:MOST_BUNDLES])


def _refusals(now: datetime.datetime) -> list[tuple[str, int]]:
    rows = models.RecentCount.objects.filter(name=count_up.REFUSED, minute__gt=now - _HOUR).values_list(
        "label", "count"
    )
    counts: dict[str, int] = {}
    for label, count in rows:
        counts[label] = counts.get(label, 0) + count
    known = {str(int(code)): code.name.replace("_", " ").lower() for code in codes.Code}
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return [(f"{label} {known.get(label, '')}".strip(), count) for label, count in ordered]
