"""Changes of what a utility and its programs pay for: two people make them.

`subject` is a policy's id, or `new:<utility id>` for one that is to be. Words stand for what a form cannot leave empty:
`any`, `none`, `never`.
"""

import datetime
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from controls import models as controls_models
from customers import models as customer_models
from openvpp.core import clock, errors
from relayer import models
from relayer.adapters import budgets
from relayer.domain import sponsoring

ANY, NONE, NEVER = "any", "none", "never"
_NEW = "new:"
_MOST_DIGITS, _MOST_COUNT = 40, 2**31 - 1
_TEMPLATE: dict[str, Any] = {
    "name": "New gas budget",
    "program": ANY,
    "wallet": ANY,
    "method": ANY,
    "period": models.SponsorshipPolicy.Period.MONTH.value,
    "days_are_local": True,
    "each_wallet": False,
    "limit_wei": NONE,
    "limit_count": NONE,
    "enabled": True,
    "ends_at": NEVER,
}


class UnableToChangeSponsorship(errors.UnableTo):
    """These are no terms that a sponsorship policy can have."""

    status = 422


def list_subjects(*, utility_id: int) -> list[str]:
    rows = models.SponsorshipPolicy.objects.of_utility(utility_id).order_by("made_at")
    return [f"{_NEW}{utility_id}", *(str(pk) for pk in rows.values_list("pk", flat=True))]


def get_utility_id(*, subject: str) -> int:
    return _new_utility(subject).pk if subject.startswith(_NEW) else int(_get(subject).utility_id)


def name(*, subject: str) -> str:
    return f"A new one of {_new_utility(subject)}" if subject.startswith(_NEW) else str(_get(subject).name)


def read(*, subject: str) -> dict[str, Any]:
    if subject.startswith(_NEW):
        return dict(_TEMPLATE)
    row = _get(subject)
    return {
        "name": row.name,
        "program": ANY if row.program is None else str(row.program),
        "wallet": row.wallet or ANY,
        "method": row.method or ANY,
        "period": row.period,
        "days_are_local": row.is_local,
        "each_wallet": row.is_each,
        "limit_wei": NONE if row.limit_wei is None else str(row.limit_wei),
        "limit_count": NONE if row.limit_count is None else str(row.limit_count),
        "enabled": row.is_enabled,
        "ends_at": NEVER if row.ends_at is None else row.ends_at.isoformat(),
    }


def require_sound(*, subject: str, after: Mapping[str, Any]) -> None:
    """Refuse what no policy can have, and a change of a policy's period or counting: make another instead.

    :raises UnableToChangeSponsorship: with the first reason.
    """
    _sound(subject, after)


def apply(
    *, subject: str, after: Mapping[str, Any], change: controls_models.ChangeRequest, now: datetime.datetime
) -> None:
    """Write the policy; running budgets get the new limits at once, but never less than they already hold."""
    row = _sound(subject, after)
    if subject.startswith(_NEW):
        row.made_at = row.starts_at = now
        row.save(force_insert=True)
        return
    row.save(update_fields=["name", "program", "wallet", "method", "limit_wei", "limit_count", "is_enabled", "ends_at"])
    budgets.set_limits(policy_id=row.pk, limit_wei=row.limit_wei, limit_count=row.limit_count, now=now)


def _sound(subject: str, after: Mapping[str, Any]) -> models.SponsorshipPolicy:
    is_new = subject.startswith(_NEW)
    row = models.SponsorshipPolicy(utility=_new_utility(subject)) if is_new else _get(subject)
    fixed = {"period": row.period, "days_are_local": row.is_local, "each_wallet": row.is_each}
    if not is_new and any(after[field] != value for field, value in fixed.items()):
        raise UnableToChangeSponsorship(
            "A policy keeps its period and what it counts by. Make another, and disable this one.", code="not_sound"
        )
    if not isinstance(after["name"], str) or not 0 < len(after["name"].strip()) <= 100:  # noqa: PLR2004 - the column's
        raise UnableToChangeSponsorship("A name has 1 to 100 characters.", code="not_sound")
    if after["period"] not in models.SponsorshipPolicy.Period.values:
        raise UnableToChangeSponsorship("period is day, month or whole.", code="not_sound")
    if not all(isinstance(after[field], bool) for field in ("days_are_local", "each_wallet", "enabled")):
        raise UnableToChangeSponsorship("days_are_local, each_wallet and enabled are true or false.", code="not_sound")
    row.name, row.period, row.is_enabled = after["name"].strip(), after["period"], after["enabled"]
    row.is_local, row.is_each = after["days_are_local"], after["each_wallet"]
    row.program = _read(after, "program", uuid.UUID, "any, or a program's id")
    row.wallet = _read(after, "wallet", sponsoring.checked_wallet, "any, or an address")
    row.method = _read(after, "method", _method, "any, bill_payment, a selector, or address:selector") or ""
    row.limit_wei = _read(after, "limit_wei", _whole_wei, "none, or wei in decimal digits")
    row.limit_count = _read(after, "limit_count", _whole_count, "none, or how many operations in decimal digits")
    row.ends_at = _read(after, "ends_at", _instant, "never, or an instant with its zone, after the policy's beginning")
    begins_at = clock.get_now() if is_new else row.starts_at
    if row.ends_at is not None and row.ends_at <= begins_at:
        raise UnableToChangeSponsorship("A policy ends after it begins.", code="not_sound")
    if row.limit_wei is None and row.limit_count is None:
        raise UnableToChangeSponsorship("Limit it in wei, or in operations, or in both.", code="not_sound")
    return row


def _read[T](after: Mapping[str, Any], field: str, parse: Callable[[str], T], words: str) -> T | None:
    value = after[field]
    if value in (ANY, NONE, NEVER):
        return None
    try:
        return parse(str(value))
    except ValueError:
        raise UnableToChangeSponsorship(f"{field} is {words}.", code="not_sound") from None


def _method(text: str) -> str:
    if not sponsoring.is_method(text.lower()):
        raise ValueError(text)
    return text.lower()


def _whole_wei(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise ValueError(text)
    return int(text)


def _whole_count(text: str) -> int:
    if (count := _whole_wei(text)) > _MOST_COUNT:
        raise ValueError(text)
    return count


def _instant(text: str) -> datetime.datetime:
    found = datetime.datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(text)
    return found


def _get(subject: str) -> models.SponsorshipPolicy:
    try:
        row: models.SponsorshipPolicy = models.SponsorshipPolicy.objects.get(pk=uuid.UUID(subject))
    except (ValueError, models.SponsorshipPolicy.DoesNotExist):
        raise errors.NotFound("There is no such sponsorship policy.", code="not_found") from None
    return row


def _new_utility(subject: str) -> customer_models.Utility:
    number = subject.removeprefix(_NEW)
    found: customer_models.Utility | None = (
        customer_models.Utility.objects.filter(pk=number).first() if number.isdigit() else None
    )
    if found is None:
        raise errors.NotFound("There is no such utility.", code="not_found")
    return found
