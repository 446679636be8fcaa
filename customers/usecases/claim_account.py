"""A person claims an account that existed before they signed in: its number and a second proof.

Every try is written down before the proof is looked at, so that a hundred tries at once are still counted. A refusal
never says which of the two was wrong, nor whether the account exists, and takes as long either way. The proof works
once.
"""

import dataclasses
import datetime

from django.contrib.auth import hashers

from customers import models
from customers.domain import proofs
from openvpp.core import db, errors, upcalls

WINDOW = datetime.timedelta(hours=1)
MOST_FAILURES_PER_USER = 5
MOST_FAILURES_PER_ACCOUNT = 10


class UnableToClaimAccount(errors.UnableTo):
    """Number and proof do not belong together, or were tried too often."""

    status = 422


class UnableToTryAgain(errors.UnableTo):
    """Too many tries, by this person or for this account."""

    status = 429


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The account, and whether it is newly theirs."""

    account: models.CustomerAccount
    is_new: bool


@db.durable
def claim(*, user: models.User, utility_id: int, number: str, proof: str, now: datetime.datetime) -> Claim:
    """Give a person the account that they can prove to be theirs; who already has it has it still.

    :raises UnableToClaimAccount: number and proof do not belong together.
    :raises UnableToTryAgain: too many tries in the last hour.
    """
    number = number.strip()
    attempt = _write_down_attempt(user=user, utility_id=utility_id, number=number, now=now)
    account = models.CustomerAccount.objects.filter(utility_id=utility_id, number__iexact=number).first()
    if account is not None and _already_theirs(user=user, account=account):
        models.ClaimAttempt.objects.filter(pk=attempt.pk).update(succeeded=True)
        return Claim(account=account, is_new=False)
    # A hash that is not there costs as much to check as one that is.
    stored = account.claim_proof if account is not None else ""
    proven = hashers.check_password(proofs.normalize(proof), stored)
    if not proven or account is None:
        raise UnableToClaimAccount("That account number and proof do not belong together.", code="claim_refused")
    return _hand_over(user=user, account=account, proven_by=stored, attempt=attempt, now=now)


def _write_down_attempt(
    *, user: models.User, utility_id: int, number: str, now: datetime.datetime
) -> models.ClaimAttempt:
    with db.transaction():
        models.User.objects.select_for_update(no_key=True).get(pk=user.pk)
        models.CustomerAccount.objects.select_for_update(no_key=True).filter(
            utility_id=utility_id, number__iexact=number
        ).first()
        failures = models.ClaimAttempt.objects.filter(succeeded=False, made_at__gt=now - WINDOW)
        by_user = failures.filter(user=user).count()
        by_account = failures.filter(utility_id=utility_id, account_number=number.casefold()).count()
        if by_user >= MOST_FAILURES_PER_USER or by_account >= MOST_FAILURES_PER_ACCOUNT:
            raise UnableToTryAgain("Too many tries. Wait an hour, or call your utility.", code="too_many_claims")
        attempt: models.ClaimAttempt = models.ClaimAttempt.objects.create(
            user=user, utility_id=utility_id, account_number=number.casefold()[:32], succeeded=False, made_at=now
        )
        return attempt


def _already_theirs(*, user: models.User, account: models.CustomerAccount) -> bool:
    return bool(models.AccountAccess.objects.filter(account=account, customer__user=user).exists())


def _hand_over(
    *,
    user: models.User,
    account: models.CustomerAccount,
    proven_by: str,
    attempt: models.ClaimAttempt,
    now: datetime.datetime,
) -> Claim:
    with db.transaction():
        taken = models.CustomerAccount.objects.filter(pk=account.pk, claim_proof=proven_by).update(claim_proof="")
        if not taken:
            raise UnableToClaimAccount("That account number and proof do not belong together.", code="claim_refused")
        customer = _customer_for(user=user, account=account)
        models.AccountAccess.objects.update_or_create(
            customer=customer, account=account, defaults={"role": models.AccountAccess.Role.HOLDER}
        )
        models.ClaimAttempt.objects.filter(pk=attempt.pk).update(succeeded=True)
        upcalls.call(event="customers.account_claimed", customer_id=customer.pk, account_id=account.pk, now=now)
    account.refresh_from_db()
    return Claim(account=account, is_new=True)


def _customer_for(*, user: models.User, account: models.CustomerAccount) -> models.Customer:
    """Return this person as the utility knows them: already signed in, or the account's holder so far, or new."""
    models.User.objects.select_for_update(no_key=True).get(pk=user.pk)
    own: models.Customer | None = models.Customer.objects.filter(user=user, utility_id=account.utility_id).first()
    if own is not None:
        return own
    holder: models.Customer | None = (
        models.Customer.objects.select_for_update(of=("self",))
        .filter(user__isnull=True, accesses__account=account, accesses__role=models.AccountAccess.Role.HOLDER)
        .order_by("pk")
        .first()
    )
    if holder is not None:
        holder.user = user
        holder.save(update_fields=["user"])
        return holder
    created: models.Customer = models.Customer.objects.create(
        utility_id=account.utility_id, user=user, name=user.get_full_name(), email=user.email
    )
    return created
