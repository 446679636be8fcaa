"""Signatures at the door: a reading that a device signed is believed once, kept with its signature, and never twice."""

import dataclasses
import datetime
from collections.abc import Collection
from typing import Any

from django.db.models import QuerySet

from customers import models as customers_models
from meters import models
from meters.domain import signed_readings
from openvpp.core import db, errors


class UnableToBelieveReading(errors.Invalid):
    """The signature is missing, forged, by a key that is not this point's, or was used before; `code` says which."""


class UnableToRegisterKey(errors.UnableTo):
    """The key is none, is known already, or the point is another utility's."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a row carries: the fingerprint of the key, its counter, and the signature."""

    key: str
    counter: int
    signature: bytes


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Believed:
    """A signed reading that may be stored; `is_new` is false for one that was stored before, unchanged."""

    key_id: int
    flow: str
    counter: int
    starts_at: datetime.datetime
    ends_at: datetime.datetime
    message: bytes
    signature: bytes
    is_new: bool


def check_signature(
    *,
    utility: customers_models.Utility,
    service_point_id: int,
    reading: signed_readings.Reading,
    signature: Signature | None,
) -> Believed | None:
    """Return a signed reading that is genuine and new, or None where none was needed and none came.

    :raises UnableToBelieveReading: see its name.
    """
    keys = models.ReadingKey.objects.filter(utility=utility, service_point_id=service_point_id, ended_at__isnull=True)
    if signature is None:
        if keys.filter(is_required=True).exists():
            raise UnableToBelieveReading("This point's readings must be signed by its device.", code="unsigned")
        return None
    key = keys.filter(fingerprint=signature.key).first()
    if key is None:
        raise UnableToBelieveReading("No key of this point has that fingerprint.", code="unknown_key")
    try:
        message = reading.to_bytes()
    except signed_readings.Unsignable as error:
        raise UnableToBelieveReading(str(error), code="unsignable") from error
    algorithm = signed_readings.Algorithm(key.algorithm)
    if not signed_readings.is_genuine(
        algorithm=algorithm, public_key=bytes(key.public_key), message=message, signature=signature.signature
    ):
        raise UnableToBelieveReading("The signature is not this reading's.", code="forged")
    starts_at = datetime.datetime.fromtimestamp(reading.starts, tz=datetime.UTC)
    ends_at = starts_at + datetime.timedelta(seconds=reading.interval_seconds * len(reading.values))
    kept = key.readings.filter(counter=signature.counter).first()
    believed = Believed(
        key_id=key.pk,
        flow=reading.flow,
        counter=signature.counter,
        starts_at=starts_at,
        ends_at=ends_at,
        message=message,
        signature=signature.signature,
        is_new=kept is None,
    )
    if (kept is not None and bytes(kept.message) != message) or _is_corrected(believed):
        raise _replayed()
    return believed


def refuse_unsigned(*, service_point_ids: Collection[int] | QuerySet[Any]) -> None:
    """Refuse readings that carry no signatures, as files and register reads do, where a device has to sign.

    :raises UnableToBelieveReading: a key of one of these points is required.
    """
    required = models.ReadingKey.objects.filter(
        service_point_id__in=service_point_ids, is_required=True, ended_at__isnull=True
    ).select_related("service_point")
    if (key := required.first()) is not None:
        raise UnableToBelieveReading(
            f"Readings of {key.service_point.number} must be signed by its device; push them.", code="unsigned"
        )


@db.transaction_required
def keep_signature(*, believed: Believed, batch: models.ImportBatch, now: datetime.datetime) -> None:
    """Keep what was signed beside what was stored of it; one that is kept already stays as it is.

    Its channel is locked: whoever stored there meanwhile is seen.

    :raises django.db.IntegrityError: its counter was taken since it was checked.
    :raises UnableToBelieveReading: a later one corrected it since it was checked.
    """
    if _is_corrected(believed):
        raise _replayed()
    if believed.is_new:
        models.SignedReading.objects.create(
            key_id=believed.key_id,
            batch=batch,
            counter=believed.counter,
            flow=believed.flow,
            starts_at=believed.starts_at,
            ends_at=believed.ends_at,
            message=believed.message,
            signature=believed.signature,
            stored_at=now,
        )


@db.transaction_required
def register_reading_key(
    *,
    utility_id: int,
    service_point_id: int,
    device: str,
    algorithm: signed_readings.Algorithm,
    public_key: bytes,
    is_required: bool = False,
    registered_by_id: int | None = None,
    now: datetime.datetime,
) -> models.ReadingKey:
    """Believe from now on what this key signs for a service point.

    :raises UnableToRegisterKey: see its name.
    """
    points = customers_models.ServicePoint.objects.of_utility(utility_id)
    if not points.filter(pk=service_point_id).exists():
        raise UnableToRegisterKey("The utility has no such service point.", code="unknown_service_point")
    try:
        name = signed_readings.fingerprint(algorithm=algorithm, public_key=public_key)
    except signed_readings.Unsignable as error:
        raise UnableToRegisterKey(str(error), code="no_key") from error
    if models.ReadingKey.objects.of_utility(utility_id).filter(fingerprint=name).exists():
        raise UnableToRegisterKey("The key is registered already; a device has its own.", code="registered_already")
    made: models.ReadingKey = models.ReadingKey.objects.create(
        utility_id=utility_id,
        service_point_id=service_point_id,
        device=device,
        algorithm=algorithm.value,
        public_key=public_key,
        fingerprint=name,
        is_required=is_required,
        registered_by_id=registered_by_id,
        registered_at=now,
    )
    return made


def _is_corrected(believed: Believed) -> bool:
    later = models.SignedReading.objects.filter(
        key_id=believed.key_id,
        flow=believed.flow,
        starts_at__lt=believed.ends_at,
        ends_at__gt=believed.starts_at,
        counter__gt=believed.counter,
    )
    return later.exists()


def _replayed() -> UnableToBelieveReading:
    return UnableToBelieveReading(
        "The counter was used before, or a later one corrected this reading.", code="replayed"
    )
