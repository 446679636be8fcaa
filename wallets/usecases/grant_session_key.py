"""A person lets an application spend from their wallet, within limits that also stand on the chain.

The session key is made, unless the phone keeps its own, and the owner's leave is signed outside of any transaction; the
grant is one row. The policy goes onto the chain with the first payment. Doing it twice for one consent makes one key
and one grant.
"""

import datetime
import uuid

from contracts.bindings import sessions, words
from custody import models as custody_models
from custody import operations as custody
from custody import queries as custody_queries
from customers import models as customer_models
from openvpp.core import db, errors
from wallets import models
from wallets.domain import terms as grant_terms


class UnableToGrantSessionKey(errors.UnableTo):
    """The wallet is not this person's, or the application is of another utility."""

    status = 403


@db.durable
def grant(
    *,
    grant_id: uuid.UUID,
    user: customer_models.User,
    wallet: models.Wallet,
    application: models.Application,
    terms: grant_terms.GrantTerms,
    now: datetime.datetime,
) -> models.SessionKeyGrant:
    """Make the grant that `grant_id` names, and its session key unless the terms name the phone's own, once.

    :raises UnableToGrantSessionKey: the wallet is not this person's, or not at the application's utility.
    :raises errors.Unreachable: the signer does not answer.
    :raises custody.UnableToSign: no account would install such a session, or it would pay another than the utility.
    """
    if not models.Wallet.objects.for_customer(user).filter(pk=wallet.pk, utility=application.utility_id).exists():
        raise UnableToGrantSessionKey("That wallet is not yours to spend from.", code="other_wallet")
    key = None
    if terms.client_key is None:
        key = custody.create_key(
            purpose=custody_models.SealedKey.Purpose.SESSION,
            subject=f"grant:{grant_id}",
            policy=_sealed_policy(wallet=wallet, terms=terms),
        )
    policy = terms.policy(grant_id=grant_id) if key is None else custody_queries.session_policy(key=key)
    details = terms.details(wallet=str(wallet.address), identifier=str(grant_id)).to_json()
    consent = custody.record_consent(key_id=wallet.owner_key_id, terms=details, now=now)
    leave = custody.sign_session_install(
        key_id=wallet.owner_key_id,
        policy=policy,
        consent=consent,
        account=words.parse_address(wallet.address),
        chain_id=wallet.chain_id,
    )
    with db.transaction():
        row: models.SessionKeyGrant
        row, _ = models.SessionKeyGrant.objects.get_or_create(
            pk=grant_id,
            user=user,
            wallet=wallet,
            application=application,
            key=key,
            defaults={
                "client_key": terms.client_key,
                "payee": terms.payee,
                "payee_name": terms.payee_name,
                "token": terms.token,
                "fee_token": terms.fee_token,
                "limit_per_payment_units": terms.limit_per_payment_units,
                "limit_per_period_units": terms.limit_per_period_units,
                "period_seconds": terms.period_seconds,
                "limit_total_units": terms.limit_total_units,
                "fee_cap_units": terms.fee_cap_units,
                "fee_token_cap_units": terms.fee_token_cap_units,
                "starts_at": terms.starts_at,
                "ends_at": terms.ends_at,
                "policy_hash": "0x" + sessions.session_id(policy=policy).hex(),
                "consent_digest": "0x" + consent.hex(),
                "owner_leave": leave,
                "shown_text": terms.shown_text,
                "authorization_details": [details],
                "period_started_at": terms.starts_at,
                "created_at": now,
            },
        )
    return row


def _sealed_policy(*, wallet: models.Wallet, terms: grant_terms.GrantTerms) -> dict[str, object]:
    """Return what is sealed with the key, which is also what the account installs.

    The salt is zero: it tells equal policies apart, and no two keys are equal.
    """
    return {
        "chain_id": wallet.chain_id,
        "account": wallet.address.lower(),
        "payee": terms.payee.lower(),
        "token": terms.token.lower(),
        **({"fee_token": terms.fee_token.lower()} if terms.fee_token else {}),
        "max_per_payment_units": terms.limit_per_payment_units,
        "max_per_period_units": terms.limit_per_period_units,
        "max_total_units": terms.limit_total_units,
        "max_fee_units": terms.fee_cap_units,
        "max_fee_in_fee_token_units": terms.fee_token_cap_units,
        "starts_at": int(terms.starts_at.timestamp()),
        "ends_at": int(terms.ends_at.timestamp()),
        "period_seconds": terms.period_seconds,
        "salt": 0,
    }
