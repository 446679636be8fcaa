"""Values of a URDB rate as JSON gives them: each is of its type, or refused by the name of its field."""

import datetime
import decimal
from collections.abc import Mapping, Sequence

from billing.domain import tariffs
from openvpp.core import errors


class UnableToReadTariff(errors.Invalid):
    """The file is not a rate that this engine can price; the detail names the field."""


def nano(value: object, where: str) -> int:
    """Return a price in whole nano-units, rounded half to even."""
    return int((number(value, where) * tariffs.NANO).to_integral_value(rounding=decimal.ROUND_HALF_EVEN))


def number(value: object, where: str) -> decimal.Decimal:
    """Return a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float | decimal.Decimal):
        raise UnableToReadTariff(f"`{where}` is {value!r}, not a number.")
    found = decimal.Decimal(repr(value)) if isinstance(value, float) else decimal.Decimal(value)
    if not found.is_finite() or abs(found) > decimal.Decimal("1e38"):
        raise UnableToReadTariff(f"`{where}` is {value!r}, not a finite number.")
    return found


def whole(value: object, where: str) -> int:
    """Return a number without a fraction."""
    if type(value) is int:
        return value
    found = number(value, where)
    if found != found.to_integral_value():
        raise UnableToReadTariff(f"`{where}` holds {value!r}, not a whole number.")
    return int(found)


def items(value: object, where: str) -> Sequence[object]:
    """Return what a list holds."""
    if not isinstance(value, list | tuple):
        raise UnableToReadTariff(f"`{where}` is not a list.")
    return value


def flag(rate: Mapping[str, object], field: str) -> bool | None:
    """Return true or false, None where the field is absent."""
    value = rate.get(field)
    if value is not None and not isinstance(value, bool):
        raise UnableToReadTariff(f"`{field}` is {value!r}, not true or false.")
    return value


def text(rate: Mapping[str, object], field: str) -> str:
    """Return words, empty where the field is absent."""
    value = rate.get(field)
    if value is not None and not isinstance(value, str):
        raise UnableToReadTariff(f"`{field}` is {value!r}, not text.")
    return value or ""


def date(rate: Mapping[str, object], field: str) -> datetime.date | None:
    """Return the day of epoch seconds in UTC, None where the field is absent."""
    if rate.get(field) is None:
        return None
    seconds = whole(rate[field], field)
    try:
        return datetime.datetime.fromtimestamp(seconds, tz=datetime.UTC).date()
    except (ValueError, OverflowError, OSError) as error:
        raise UnableToReadTariff(f"`{field}` is {seconds}, which is no instant.") from error


def is_something(value: object) -> bool:
    """Say whether anything but nothing stands in a value."""
    return any(map(is_something, value)) if isinstance(value, list | tuple) else bool(value)


def refuse_constant(name: str) -> object:
    """Refuse NaN and Infinity, which Python's JSON would take."""
    raise UnableToReadTariff(f"{name} is not a number.")
