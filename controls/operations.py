"""What other apps may ask: whether an operation may happen, to freeze an account, to check addresses."""

import datetime
import logging
from collections.abc import Iterable

from controls import models, queries
from controls.adapters import screening
from controls.domain import conditions, spending
from customers import models as customer_models
from openvpp.core import db, errors, sql

logger = logging.getLogger(__name__)


class RefusedByPolicy(errors.UnableTo):
    """No policy gives leave, a rule refuses it, or the wallet is frozen; `extra` names the rule."""

    status = 403


def require_allowed(
    *, layers: list[spending.Layer], request: conditions.Request, facts: conditions.Facts
) -> spending.Allowed:
    """Return by which rule it is allowed.

    :raises RefusedByPolicy: it is not.
    """
    verdict = spending.decide(layers=layers, request=request, facts=facts)
    if isinstance(verdict, spending.Denied):
        decider = verdict.decided_by
        raise RefusedByPolicy(
            verdict.reason,
            code=verdict.code,
            extra={"scope": decider.scope, "version": decider.version, "rule": decider.rule} if decider else {},
        )
    return verdict


@db.transaction_required
def freeze(
    *,
    utility_id: int,
    account: str,
    chain_id: int,
    reason: str,
    by: customer_models.User | None,
    now: datetime.datetime,
) -> models.Freeze:
    """Let nothing leave an account from this transaction's commit on; an account that is frozen stays as it is."""
    row = models.Freeze(
        utility_id=utility_id, account=account, chain_id=chain_id, reason=reason[:300], made_by=by, made_at=now
    )
    models.Freeze.objects.bulk_create([row], ignore_conflicts=True)
    found = queries.get_freeze(account=account, chain_id=chain_id)
    if found is None:
        raise RuntimeError("A freeze was lifted while it was made.")
    if found.pk == row.pk:
        logger.error("account frozen: account=%s reason=%s", account, reason)
    return found


class UnableToPass(errors.UnableTo):
    """An address is listed, or the utility refuses what cannot be checked."""

    status = 403


class UnableToCheckYet(errors.UnableTo):
    """Nobody can say whether an address is listed, and the utility waits until somebody can."""


@db.durable
def screen(
    *, utility_id: int, direction: str, reference: str, addresses: Iterable[str], now: datetime.datetime
) -> None:
    """Check addresses that money comes from or goes to, and write down what was found and what follows.

    What was held is written down once; it is checked again each time that it is tried.

    :raises UnableToPass: one is listed, or cannot be checked at a utility that refuses then.
    :raises UnableToCheckYet: it cannot be checked at a utility that waits then.
    """
    wanted = sorted(set(addresses))
    listed: list[str] = []
    try:
        listed = sorted(screening.check(addresses=wanted))
        outcome = models.Screening.Outcome.LISTED if listed else models.Screening.Outcome.CLEAR
    except errors.Unreachable as error:
        logger.warning("addresses not checked: reference=%s reason=%s", reference, error)
        outcome = models.Screening.Outcome.DOWN
    decision = _decide(outcome=outcome, utility_id=utility_id)
    row = {"utility_id": utility_id, "reference": reference, "outcome": outcome, "decision": decision}
    held = decision == models.Screening.Decision.HELD
    if not (held and models.Screening.objects.filter(**row).exists()):
        # Whatever follows from it is committed later, so that it is never kept without it.
        sql.insert(
            models.Screening(
                **row,
                direction=direction,
                addresses=wanted,
                listed=listed,
                provider=screening.name(),
                made_at=now,
            ),
            may_lag=True,
        )
    if outcome == models.Screening.Outcome.LISTED:
        raise UnableToPass(
            f"{listed[0]} is on a list of addresses that nobody may be paid by or pay.",
            code="address_listed",
            extra={"addresses": listed},
        )
    if decision == models.Screening.Decision.REFUSED:
        raise UnableToPass("The addresses cannot be checked now, so this is refused.", code="screening_down")
    if held:
        raise UnableToCheckYet("The addresses cannot be checked now; this waits until they can.", code="screening_held")


@db.durable
def find_listed(*, utility_id: int, reference: str, addresses: Iterable[str], now: datetime.datetime) -> set[str]:
    """Return those of the addresses that are listed, once that is written down.

    While nobody can say none is returned: whatever is sent is checked again by `screen`, by the utility's rule.
    """
    wanted = sorted(set(addresses))
    try:
        listed = screening.check(addresses=wanted) if wanted else set()
    except errors.Unreachable as error:
        logger.warning("addresses not checked: reference=%s reason=%s", reference, error)
        return set()
    if listed:
        models.Screening.objects.create(
            utility_id=utility_id,
            reference=reference,
            direction=models.Screening.Direction.PAYOUT,
            addresses=wanted,
            listed=sorted(listed),
            outcome=models.Screening.Outcome.LISTED,
            decision=models.Screening.Decision.HELD,
            provider=screening.name(),
            made_at=now,
        )
    return listed


def _decide(*, outcome: models.Screening.Outcome, utility_id: int) -> models.Screening.Decision:
    if outcome == models.Screening.Outcome.CLEAR:
        return models.Screening.Decision.PASSED
    if outcome == models.Screening.Outcome.LISTED:
        return models.Screening.Decision.REFUSED
    return {
        models.ScreeningRule.WhenDown.ALLOW: models.Screening.Decision.PASSED,
        models.ScreeningRule.WhenDown.HOLD: models.Screening.Decision.HELD,
        models.ScreeningRule.WhenDown.REFUSE: models.Screening.Decision.REFUSED,
    }[models.ScreeningRule.WhenDown(queries.get_when_down(utility_id=utility_id))]
