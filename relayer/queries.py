"""Reads of the relayer."""

import datetime
import decimal
import functools
import hashlib
import hmac
import time
import uuid
import zoneinfo
from collections.abc import Collection

from django.conf import settings

from contracts import deployments
from openvpp.core import errors
from relayer import models
from relayer.domain import codes, receipts, sponsoring, wire

NATIVE = "0x0000000000000000000000000000000000000000"
_HASH_BYTES = 32


class UnableToFindReceipt(errors.NotFound):
    """The operation stands in no block."""


class UnableToFindPrice(errors.UnableTo):
    """No price of the token, or none that is fresh."""

    status = 503


def get_receipt(*, user_operation_hash: str) -> receipts.Receipt:
    """Return what the chain says of an operation that stands in a block; final when the operation's state is.

    :raises UnableToFindReceipt: it stands in none that is known here.
    """
    row = models.UserOperationReceipt.objects.filter(user_operation__in=[user_operation_hash]).first()
    if row is None:
        raise UnableToFindReceipt("The operation stands in no block yet.")
    return receipts.Receipt(
        user_operation_hash=user_operation_hash,
        succeeded=row.has_succeeded,
        reason=row.reason,
        transaction_hash=str(row.transaction_hash),
        block_number=row.block_number,
        block_hash=str(row.block_hash),
        gas_used=row.gas_used,
        gas_cost_wei=int(row.gas_cost_wei),
        logs=tuple(
            receipts.Log(
                address=log["address"], topics=tuple(log["topics"]), data=log["data"], log_index=log["log_index"]
            )
            for log in row.logs
        ),
    )


def get_price_usd(*, chain_id: int, token: str, now: datetime.datetime) -> decimal.Decimal:
    """Return the US dollars of one whole token (`NATIVE` for the chain's coin).

    :raises UnableToFindPrice: there is none, or it is older than PRICE_MAX_AGE.
    """
    price = models.TokenPrice.objects.filter(chain_id=chain_id, token=token).first()
    if price is None:
        raise UnableToFindPrice("No price of the token is known.", code="price_unknown")
    if price.observed_at < now - settings.PRICE_MAX_AGE:
        raise UnableToFindPrice("The token's price is out of date. Try again shortly.", code="price_stale")
    return price.price_usd


def get_policies(*, utility_id: int) -> tuple[sponsoring.Policy, ...]:
    """Return what a utility and its programs pay for, as it was at most SPONSORSHIP_MAX_AGE_S ago.

    Limits are not among it: those are what the budgets' own rows say at the instant of reserving.
    """
    age_s: int = settings.SPONSORSHIP_MAX_AGE_S
    if not age_s:
        return _policies_of.__wrapped__(utility_id, 0)
    return _policies_of(utility_id, int(time.monotonic()) // age_s)


@functools.lru_cache(maxsize=1024)
def _policies_of(utility_id: int, _tick: int) -> tuple[sponsoring.Policy, ...]:
    rows = models.SponsorshipPolicy.objects.of_utility(utility_id).filter(is_enabled=True)
    return tuple(
        sponsoring.Policy(
            id=row.pk,
            name=row.name,
            program=row.program,
            wallet=row.wallet,
            method=row.method,
            period=sponsoring.Period(row.period),
            is_each=row.is_each,
            zone=zoneinfo.ZoneInfo(row.utility.time_zone if row.is_local else "UTC"),
            starts_at=row.starts_at,
            ends_at=row.ends_at,
        )
        for row in rows.select_related("utility").order_by("made_at", "pk")
    )


def get_programs_of(*, wallet: str) -> list[uuid.UUID]:
    """Return the programs that a wallet's owner takes part in, of those that pay for gas."""
    rows = models.ProgramWallet.objects.filter(wallet=wallet).order_by("pk")
    return list(rows.values_list("program", flat=True))


def get_paying_programs() -> list[uuid.UUID]:
    """Return the programs that a policy in force names as the one who pays."""
    rows = models.SponsorshipPolicy.objects.filter(is_enabled=True, program__isnull=False)
    return list(rows.order_by("program").values_list("program", flat=True).distinct())


def find_api_key(*, token: str) -> models.ApiKey | None:
    """Return the key that is not revoked and whose token this is, None if there is none."""
    prefix, _, rest = token.partition("_")
    identifier, _, secret = rest.partition("_")
    if prefix != "ovpp" or not secret:
        return None
    rows = models.ApiKey.objects.select_related("utility")
    key: models.ApiKey | None = rows.filter(identifier=identifier, revoked_at__isnull=True).first()
    digest = hashlib.sha256(secret.encode()).digest()
    return key if key is not None and hmac.compare_digest(bytes(key.digest), digest) else None


def find_api_keys(*, tokens: Collection[str]) -> dict[str, models.ApiKey]:
    """Return the keys that are not revoked, by those of the tokens that are theirs."""
    secrets: dict[str, tuple[str, bytes]] = {}
    for token in tokens:
        prefix, _, rest = token.partition("_")
        identifier, _, secret = rest.partition("_")
        if prefix == "ovpp" and secret:
            secrets[token] = identifier, hashlib.sha256(secret.encode()).digest()
    if not secrets:
        return {}
    rows = models.ApiKey.objects.select_related("utility").filter(revoked_at__isnull=True)
    keys = {key.identifier: key for key in rows.filter(identifier__in={each for each, _ in secrets.values()})}
    return {
        token: keys[identifier]
        for token, (identifier, digest) in secrets.items()
        if identifier in keys and hmac.compare_digest(bytes(keys[identifier].digest), digest)
    }


def check_entry_point(value: object, *, deployment: deployments.Deployment) -> None:
    """Refuse another EntryPoint than the chain's.

    :raises codes.RefusedCall: it is another, or no address.
    """
    if wire.parse_address(value, "entryPoint") != deployment.entry_point:
        raise codes.RefusedCall(codes.Code.BAD_PARAMETERS, "This EntryPoint is not served.")


def find_operation(*, utility_id: int, chain_id: int, user_operation_hash: object) -> models.UserOperation | None:
    """Return an operation of a utility, None if it has none of this hash.

    :raises codes.RefusedCall: that is no hash.
    """
    hash_ = wire.bytes_of({"hash": user_operation_hash}, "hash")
    if len(hash_) != _HASH_BYTES:
        raise codes.RefusedCall(codes.Code.BAD_PARAMETERS, "hash has not 32 bytes.")
    rows = models.UserOperation.objects.of_utility(utility_id).select_related("receipt")
    found: models.UserOperation | None = rows.filter(chain_id=chain_id, hash="0x" + hash_.hex()).first()
    return found


PAUSED = "The utility takes no new operations just now. Those under way go on."


def is_paused(*, utility_id: int) -> bool:
    """Say whether a utility's new operations are refused; read at most once a second."""
    return utility_id in _paused(int(time.monotonic()))


def check_not_paused(*, utility_id: int) -> None:
    """Refuse a call that would bring in a new operation of a paused utility.

    :raises codes.RefusedCall: `PAUSED`.
    """
    if is_paused(utility_id=utility_id):
        raise codes.RefusedCall(codes.Code.PAUSED, PAUSED)


def forget_pauses() -> None:
    """Read anew which utilities are paused, without waiting for the second to end."""
    _paused.cache_clear()


@functools.lru_cache(maxsize=2)
def _paused(_second: int) -> frozenset[int]:
    return frozenset(models.UtilityPause.objects.filter(resumed_at=None).values_list("utility_id", flat=True))
