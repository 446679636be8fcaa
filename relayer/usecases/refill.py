"""Keys and deposits are kept in coin: what has fallen below its threshold is filled up from the refill key.

One transfer is under way at a time, written down before it is sent, sent again while no block has it, and replaced by a
dearer one under the same nonce when it waits too long. Whatever goes wrong is said and tried again; nothing here ends
a process, and the relay goes on with the keys that have coin.
"""

import dataclasses
import datetime
import logging

from django import db as django_db
from django.conf import settings

from contracts import deployments
from contracts.bindings import user_operations, words
from custody import operations as custody_operations
from custody import queries as custody_queries
from custody.domain import transactions
from openvpp.core import db, errors
from relayer import models
from relayer.adapters import chain, funds, rpc
from relayer.domain import fees

logger = logging.getLogger(__name__)

REPLACE_AFTER = datetime.timedelta(seconds=45)
# Below this part of its threshold something is close to empty: whoever is on duty should know.
_ALARM_PART = 4
# The other paymaster's deposit is kept once there is one.
_ALWAYS_USED = "paymaster"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Something that has less than its threshold, in wei."""

    receiver: str
    has_wei: int
    least_wei: int
    full_wei: int
    to: bytes
    data: bytes

    @property
    def is_nearly_empty(self) -> bool:
        return self.has_wei * _ALARM_PART < self.least_wei


@db.durable
def refill(*, chain_id: int, now: datetime.datetime) -> list[str]:
    """Follow the transfer under way, start the next where one is needed; return what was found and done, in words.

    :raises errors.Unreachable: chain or signer do not answer; nothing is lost.
    """
    needs = find_needs(chain_id=chain_id)
    said = [_sound(need) for need in needs]
    under_way = models.Refill.objects.filter(chain_id=chain_id, state=models.Refill.State.OPEN).first()
    if under_way is not None:
        _follow(row=under_way, now=now)
        return [*said, str(under_way)]
    if needs:
        said.append(_start(need=needs[0], chain_id=chain_id, now=now))
    return said


@db.durable
def find_needs(*, chain_id: int) -> list[Need]:
    """Return what has fallen below its threshold, the emptiest first.

    :raises errors.Unreachable: the node does not answer.
    """
    deployment = deployments.load(chain_id=chain_id)
    keys = models.RelayerKey.objects.filter(chain_id=chain_id, is_enabled=True).values_list("address", flat=True)
    found = funds.read(deployment=deployment, keys=[str(each) for each in keys], utilities=[])
    needs = [
        Need(
            receiver=address,
            has_wei=wei,
            least_wei=settings.REFILL_KEY_BELOW_WEI,
            full_wei=settings.REFILL_KEY_TO_WEI,
            to=words.parse_address(address),
            data=b"",
        )
        for address, wei in found.keys.items()
    ]
    needs += [
        Need(
            receiver=name,
            has_wei=wei,
            least_wei=settings.REFILL_DEPOSIT_BELOW_WEI,
            full_wei=settings.REFILL_DEPOSIT_TO_WEI,
            to=deployment.entry_point,
            data=user_operations.encode_deposit_to(
                account=deployment.paymaster if name == _ALWAYS_USED else deployment.relay_paymaster
            ),
        )
        for name, wei in found.deposits.items()
        if wei or name == _ALWAYS_USED
    ]
    low = [need for need in needs if need.has_wei < need.least_wei]
    return sorted(low, key=lambda need: need.has_wei * 1_000 // need.least_wei)


def subject(*, chain_id: int) -> str:
    """Return the subject of the key that refills on a chain."""
    return f"refill:{chain_id}"


def _sound(need: Need) -> str:
    said = f"{need.receiver} has {need.has_wei} wei, below {need.least_wei}"
    logger.log(logging.ERROR if need.is_nearly_empty else logging.WARNING, "coin is low: %s", said)
    return said


def _start(*, need: Need, chain_id: int, now: datetime.datetime) -> str:
    try:
        key = custody_queries.get_key_of(subject=subject(chain_id=chain_id))
    except custody_queries.UnableToFindKey:
        return "no key refills on this chain"
    prices = fees.capped(prices=chain.gas_prices(), most_wei=settings.CHAIN_MOST_FEE_WEI)
    if prices is None:
        return "gas is above the cap; refilled later"
    address = words.parse_address(str(key.address))
    (nonce,) = chain.account_nonces(addresses=[str(key.address)])
    try:
        gas = chain.estimate_gas(to=need.to, data=need.data, sender=address, value_wei=1)
        most = min(int(key.policy["max_per_transfer_wei"]), chain.balance_wei(address=str(key.address)))
        amount = min(need.full_wei - need.has_wei, most - 2 * gas * prices.max_fee_per_gas_wei)
        if amount <= 0:
            logger.error("the refill key %s is empty", key.address)
            return f"{need.receiver} is not refilled: the refill key {key.address} is empty"
        row = models.Refill(
            chain_id=chain_id,
            receiver=need.receiver,
            to=words.checksummed(need.to),
            data=need.data,
            amount_wei=amount,
            nonce=nonce,
            gas_limit=gas,
            hashes=[],
            created_at=now,
        )
        _sign(row=row, key_id=key.pk, prices=prices, now=now)
    except (custody_operations.UnableToSign, rpc.NodeRefused) as error:
        logger.error("%s is not refilled: %s", need.receiver, error)  # noqa: TRY400 - no trace needed
        return f"{need.receiver} is not refilled: {error}"
    try:
        with db.transaction():
            row.save()
    except django_db.IntegrityError:
        return "another refill is under way"
    _send(row)
    return str(row)


def _follow(*, row: models.Refill, now: datetime.datetime) -> None:
    key = custody_queries.get_key_of(subject=subject(chain_id=row.chain_id))
    (nonce,) = chain.account_nonces(
        addresses=[str(key.address)]
    )  # before the receipts: one that lands between is found
    found = [each for each in chain.receipts(hashes=row.hashes) if each is not None]
    if found:
        if chain.head().number >= int(found[0]["blockNumber"], 16) + settings.CHAIN_CONFIRMATIONS:
            has_landed = int(found[0]["status"], 16) == 1
            _settle(row=row, state=models.Refill.State.DONE if has_landed else models.Refill.State.FAILED, now=now)
        return
    if nonce > row.nonce:
        if row.signed_at + REPLACE_AFTER <= now and chain.have_none(hashes=row.hashes):
            logger.error("refill %s lost its nonce %s to another transaction", row.pk, row.nonce)
            _settle(row=row, state=models.Refill.State.FAILED, now=now)
        return
    if row.signed_at + REPLACE_AFTER <= now:
        _replace(row=row, key_id=key.pk, now=now)
    _send(row)


def _replace(*, row: models.Refill, key_id: int, now: datetime.datetime) -> None:
    prices = fees.replacing(
        prices=chain.gas_prices(),
        old_max_fee_wei=int(row.max_fee_per_gas_wei),
        old_tip_wei=int(row.max_priority_fee_per_gas_wei),
    )
    if settings.CHAIN_MOST_FEE_WEI and prices.max_fee_per_gas_wei > settings.CHAIN_MOST_FEE_WEI:
        return
    try:
        _sign(row=row, key_id=key_id, prices=prices, now=now)
    except custody_operations.UnableToSign as error:
        logger.error("refill %s cannot be replaced: %s", row.pk, error.detail)  # noqa: TRY400 - no trace needed
        return
    row.save()


def _sign(*, row: models.Refill, key_id: int, prices: fees.GasPrices, now: datetime.datetime) -> None:
    raw = custody_operations.sign_transaction(
        key_id=key_id,
        transaction=transactions.Transaction(
            chain_id=row.chain_id,
            nonce=row.nonce,
            max_priority_fee_per_gas_wei=prices.max_priority_fee_per_gas_wei,
            max_fee_per_gas_wei=prices.max_fee_per_gas_wei,
            gas_limit=row.gas_limit,
            to=words.parse_address(str(row.to)),
            value_wei=int(row.amount_wei),
            data=bytes(row.data),
        ),
    )
    row.raw, row.hashes, row.signed_at = raw, [*row.hashes, "0x" + words.keccak(raw).hex()], now
    row.max_fee_per_gas_wei = prices.max_fee_per_gas_wei
    row.max_priority_fee_per_gas_wei = prices.max_priority_fee_per_gas_wei


def _send(row: models.Refill) -> None:
    try:
        chain.send(raw=bytes(row.raw))
    except (rpc.NodeRefused, errors.Unreachable) as error:
        logger.warning("refill %s is not taken: %s", row.pk, error)


@db.transaction
def _settle(*, row: models.Refill, state: models.Refill.State, now: datetime.datetime) -> None:
    models.Refill.objects.filter(pk=row.pk, state=models.Refill.State.OPEN).update(state=state, settled_at=now)
    row.state = state
