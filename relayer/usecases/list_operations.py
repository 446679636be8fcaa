"""Operations in the order in which they came, page by page: nothing is counted, none costs more than the first."""

import base64
import binascii
import dataclasses
import datetime
import re
from typing import Any

from django.db.models import Q, QuerySet

from relayer import models

ROWS = 50
_HASH = re.compile(r"0x[0-9a-fA-F]{64}")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_State = models.UserOperation.State
_FROM_OUTSIDE = "applications"
_OWN = "own"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is looked for; empty texts look for nothing. `asked_by` is `own`, `applications`, or the id of a key."""

    text: str = ""
    state: str = ""
    utility_id: int | None = None
    asked_by: str = ""
    validation: str = ""
    since: datetime.datetime | None = None
    before: datetime.datetime | None = None
    after: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Operations, the newest first; `after` leads to the next page, empty where there is none."""

    operations: list[models.UserOperation]
    after: str
    is_unreadable: bool


def find(*, rows: "QuerySet[Any]", wish: Wish) -> Page:
    """Return a page of `rows`, which are all that the person may see."""
    rows = rows.prefetch_related("utility", "api_key").defer("call_data", "signature", "init_code", "marks")
    text = wish.text.strip()
    if text:
        found = _search(rows, text)
        return Page(operations=found or [], after="", is_unreadable=found is None)
    rows = _after(_filtered(rows, wish), wish.after).order_by("-created_at", "-hash")
    page = list(rows[: ROWS + 1])
    return Page(operations=page[:ROWS], after=_mark(page[ROWS - 1]) if len(page) > ROWS else "", is_unreadable=False)


def _search(rows: "QuerySet[Any]", text: str) -> list[models.UserOperation] | None:
    """Return the operation of a hash, those of a transaction, or a sender's latest; None if it is none of these."""
    if _ADDRESS.fullmatch(text):
        return list(rows.filter(sender=text).order_by("-created_at", "-hash")[:ROWS])
    if not _HASH.fullmatch(text):
        return None
    found = list(rows.filter(hash=text.lower()))
    if found:
        return found
    ours = models.BundleTransaction.objects.filter(hash=text.lower()).values_list("bundle_id", flat=True)
    strangers = models.Bundle.objects.filter(
        relayer_key__isnull=True, state__in=["mined", "final"], transaction_hash=text.lower()
    )
    bundles = [*ours, *strangers.values_list("pk", flat=True)]
    return list(rows.filter(bundle__in=bundles).order_by("-created_at", "-hash")) if bundles else []


def _filtered(rows: "QuerySet[Any]", wish: Wish) -> "QuerySet[Any]":
    if wish.state in _State.values:
        rows = rows.filter(state=wish.state)
        if wish.state == _State.MINED:  # found by the few open bundles, not by looking through all operations
            open_ = models.Bundle.objects.filter(state__in=["pending", "mined"]).values_list("pk", flat=True)
            rows = rows.filter(bundle__in=list(open_))
    if wish.utility_id is not None:
        rows = rows.filter(utility_id=wish.utility_id)
    if wish.asked_by == _OWN:
        rows = rows.filter(api_key__isnull=True)
    elif wish.asked_by == _FROM_OUTSIDE:
        rows = rows.filter(api_key__isnull=False)
    elif wish.asked_by.isdecimal():
        rows = rows.filter(api_key_id=int(wish.asked_by))
    if wish.validation in models.UserOperation.Validation.values:
        rows = rows.filter(validation=wish.validation)
    if wish.since is not None:
        rows = rows.filter(created_at__gte=wish.since)
    if wish.before is not None:
        rows = rows.filter(created_at__lt=wish.before)
    return rows


def _after(rows: "QuerySet[Any]", mark: str) -> "QuerySet[Any]":
    """Return what comes after a row; all where the mark is none of ours."""
    try:
        instant, hash_ = base64.urlsafe_b64decode(mark.encode()).decode().split("|") if mark else ("", "")
        at = datetime.datetime.fromisoformat(instant) if instant else None
    except (ValueError, binascii.Error):
        return rows
    if at is None or at.tzinfo is None or not _HASH.fullmatch(hash_):
        return rows
    return rows.filter(Q(created_at__lt=at) | Q(created_at=at, hash__lt=hash_), created_at__lte=at)


def _mark(row: models.UserOperation) -> str:
    return base64.urlsafe_b64encode(f"{row.created_at.isoformat()}|{row.hash}".encode()).decode()
