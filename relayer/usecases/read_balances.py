"""What the relayer lives on, the refill key included, is read of the chain and kept for when no node answers."""

import contextlib
import datetime

from contracts import deployments
from contracts.bindings import paymaster
from custody import queries as custody_queries
from customers import models as customer_models
from openvpp.core import db
from relayer import models
from relayer.adapters import funds
from relayer.usecases import refill

_DAY_S = 86_400
_Kind = models.Balance.Kind


@db.durable
def read_balances(*, chain_id: int, now: datetime.datetime) -> None:
    """Keep what keys, paymasters and utilities' budgets hold now.

    :raises errors.Unreachable: the node does not answer; what was read last stands, with its time.
    """
    utilities = dict(customer_models.Utility.objects.filter(chain_id=chain_id).values_list("pk", "slug"))
    keys = [str(each) for each in models.RelayerKey.objects.filter(chain_id=chain_id).values_list("address", flat=True)]
    with contextlib.suppress(custody_queries.UnableToFindKey):
        keys.append(str(custody_queries.get_key_of(subject=refill.subject(chain_id=chain_id)).address))
    found = funds.read(
        deployment=deployments.load(chain_id=chain_id),
        keys=keys,
        utilities=list(utilities),
    )
    rows = [_row(_Kind.KEY, name, wei) for name, wei in found.keys.items()]
    rows += [_row(_Kind.DEPOSIT, name, wei) for name, wei in found.deposits.items()]
    today = int(now.timestamp()) // _DAY_S
    rows += [_budget(utilities[each], budget, today=today) for each, budget in found.budgets.items()]
    for row in rows:
        row.chain_id, row.read_at = chain_id, now
    models.Balance.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["chain_id", "kind", "name"],
        update_fields=["wei", "limit_wei", "spent_wei", "read_at"],
    )


def _row(kind: models.Balance.Kind, name: str, wei: int) -> models.Balance:
    return models.Balance(kind=kind, name=name[:60], wei=wei)


def _budget(slug: str, budget: paymaster.Budget, *, today: int) -> models.Balance:
    row = _row(_Kind.BUDGET, slug, budget.left_wei)
    row.limit_wei = budget.max_per_day_wei or None
    row.spent_wei = budget.spent_on_day_wei if budget.day == today else 0
    return row
