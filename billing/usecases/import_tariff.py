"""A utility's price sheet comes in, as the Utility Rate Database writes it; it becomes a new version."""

import datetime
from collections.abc import Mapping
from typing import Any

from billing import models
from billing.adapters import urdb
from billing.domain import currencies, statements
from customers import models as customer_models
from openvpp.core import db, errors

CENTS_DIGITS = 2


class UnableToImportTariff(errors.UnableTo):
    """The sheet can be read, but not as a version of this tariff."""


@db.transaction
def import_tariff(
    *,
    utility_id: int,
    code: str,
    text: str,
    effective_from: datetime.date | None = None,
    terms: Mapping[str, Any] | None = None,
    now: datetime.datetime,
) -> models.Tariff:
    """Keep a URDB rate as a version of tariff `code`, in force from its own start date or `effective_from`.

    The version before it ends where it begins. The same sheet from the same day is the same version.

    :raises urdb.UnableToReadTariff: the sheet holds what is not priced; the detail names the field.
    :raises UnableToImportTariff: no start date, unknown terms, rounding finer than bills are kept, or another sheet
        from the same day.
    :raises currencies.UnableToBillInCurrency: the utility's currency is not counted in hundredths.
    """
    utility = customer_models.Utility.objects.select_for_update(no_key=True).get(pk=utility_id)
    currencies.check(currency=utility.currency)
    sheet = urdb.read(text=text, currency=utility.currency)
    starts_on = effective_from or sheet.effective_from
    if starts_on is None:
        raise UnableToImportTariff("Say from which day it is in force: the sheet does not.", code="no_start_date")
    try:
        reading = statements.read_terms(saved=terms or {})
    except ValueError as error:
        raise UnableToImportTariff(str(error), code="unknown_terms") from error
    if reading.minor_digits > CENTS_DIGITS:
        raise UnableToImportTariff(
            "Bills are kept in hundredths: round to two digits at most.", code="too_fine_rounding"
        )
    versions = models.Tariff.objects.filter(utility=utility, code=code)
    existing = versions.filter(effective_from=starts_on).first()
    if existing is not None:
        if (existing.document, existing.terms) != (text, dict(terms or {})):
            raise UnableToImportTariff(f"{code} has another version from {starts_on} already.", code="version_exists")
        return existing  # type: ignore[no-any-return]
    versions.filter(effective_from__lt=starts_on).exclude(effective_until__lte=starts_on).update(
        effective_until=starts_on
    )
    following = versions.filter(effective_from__gt=starts_on).order_by("effective_from").first()
    ends = [day for day in (sheet.effective_until, following and following.effective_from) if day]
    tariff: models.Tariff = models.Tariff.objects.create(
        utility=utility,
        code=code,
        name=sheet.name[:300],
        effective_from=starts_on,
        effective_until=min(ends) if ends else None,
        document=text,
        terms=dict(terms or {}),
        warnings=list(sheet.warnings),
        imported_at=now,
    )
    return tariff
