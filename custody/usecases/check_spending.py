"""What the signer checks beside a key's own policy: caps of treasuries, freezes, and the spending policies.

The web judged the same when it reserved the operation; here it is judged again from the operation that is to be signed,
by rules that need no history, so that whoever holds the web process alone does not get around them.
"""

import dataclasses
import datetime
import zoneinfo

from contracts.bindings import accounts, payments, tokens, words
from controls import queries as controls
from controls.domain import conditions, spending
from custody import models, queries
from custody.domain import caps, intents, policies

BILL_PAYMENT = "billing.payment"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Spend:
    action: str
    token: bytes
    payees: tuple[bytes, ...]
    units: int


def check(
    *,
    key: models.SealedKey,
    policy: policies.Policy,
    intent: intents.Intent,
    place: queries.AskedPlace | None,
    now: datetime.datetime,
) -> policies.Verdict:
    """Say whether an operation that the key's own policy allows may be signed now.

    Whose account an operation is of is asked here, unless it was already.
    """
    if isinstance(intent, intents.SessionInstall):
        return _check_frozen(account=intent.account, chain_id=intent.chain_id)
    if not isinstance(intent, intents.UserOperation):
        return policies.Allowed()
    spend = _read(policy=policy, call_data=intent.operation.call_data)
    if spend is None:
        return policies.Allowed()
    if isinstance(policy, policies.TreasuryOwner):
        verdict = policy.check_day(intent=intent, others=_batches_since(key=key, since=now - caps.DAY))
        if isinstance(verdict, policies.Denied):
            return verdict
    account = intent.operation.sender
    place = place or queries.ask_place(account=account)
    return _check_policies(account=account, chain_id=intent.chain_id, place=place.get(), spend=spend, now=now)


def check_sponsored(*, intent: intents.Sponsorship, now: datetime.datetime) -> policies.Verdict:
    """Say whether an operation that another signs, a phone or an application's user, may be sponsored now.

    A payment from an account in custody is judged as if its key were here; of a frozen one nothing is sponsored.
    """
    account, chain_id = intent.operation.sender, intent.chain_id
    try:
        payment = payments.decode_pay_bill(call_data=intent.operation.call_data)
    except accounts.UnableToReadCall:
        return _check_frozen(account=account, chain_id=chain_id)
    if not queries.is_in_custody(account=account):
        return _check_frozen(account=account, chain_id=chain_id)
    place = queries.get_place(account=account)
    return _check_policies(account=account, chain_id=chain_id, place=place, spend=_spend_of(payment), now=now)


def _spend_of(payment: payments.BillPayment) -> _Spend:
    return _Spend(
        action=BILL_PAYMENT,
        token=payment.policy.token,
        payees=(payment.policy.payee,),
        units=payment.leaving_units,
    )


def _read(*, policy: policies.Policy, call_data: bytes) -> _Spend | None:
    if isinstance(policy, policies.Session):
        try:
            payment = payments.decode_pay_bill(call_data=call_data)
        except accounts.UnableToReadCall:
            return None
        return _spend_of(payment)
    batch = policies.payout_batch(call_data) if isinstance(policy, policies.TreasuryOwner) else None
    if batch is None:
        return None
    return _Spend(action="programs.payout", token=batch.token, payees=batch.recipients, units=sum(batch.amounts_units))


def _check_frozen(*, account: bytes, chain_id: int) -> policies.Verdict:
    freeze = controls.get_freeze(account=words.checksummed(account), chain_id=chain_id)
    if freeze is not None:
        return policies.Denied("wallet_frozen", f"The wallet is frozen: {freeze.reason}")
    return policies.Allowed()


def _check_policies(
    *, account: bytes, chain_id: int, place: queries.Place | None, spend: _Spend, now: datetime.datetime
) -> policies.Verdict:
    if place is None:
        return _check_frozen(account=account, chain_id=chain_id)
    if spend.action == BILL_PAYMENT and any(payee != place.treasury for payee in spend.payees):
        return policies.Denied("other_treasury", "The utility's treasury moved; agree to pay the new one.")
    rules = controls.get_rules(
        utility_id=place.utility_id,
        account=words.checksummed(account),
        chain_id=chain_id,
        customer_id=place.customer_id,
        program=place.program,
    )
    verdict = spending.decide(
        layers=rules.layers,
        request=conditions.Request(
            action=spend.action,
            token="0x" + spend.token.hex(),
            payees=tuple("0x" + payee.hex() for payee in spend.payees),
            units=spend.units,
            at=now,
        ),
        facts=conditions.Facts(
            treasury="0x" + place.treasury.hex(), zone=zoneinfo.ZoneInfo(place.time_zone), frozen=rules.frozen
        ),
    )
    if isinstance(verdict, spending.Denied):
        return policies.Denied(verdict.code, verdict.reason)
    return policies.Allowed()


def _batches_since(*, key: models.SealedKey, since: datetime.datetime) -> dict[bytes, tokens.PayoutBatch]:
    rows = models.SignatureLog.objects.filter(key=key, kind=intents.UserOperation.kind, made_at__gt=since)
    found = [
        policies.payout_batch(bytes.fromhex(statement["operation"]["call_data"][2:]))
        for statement in rows.values_list("statement", flat=True)
    ]
    return {batch.reference: batch for batch in found if batch is not None}
