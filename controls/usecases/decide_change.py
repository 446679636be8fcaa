"""Four eyes: one person asks for a change, another applies or rejects it, and nobody does both.

What a kind of change reads, requires and writes is said by its handler in the table `CHANGES`
(`openvpp/settings/upcalls.py`), a module with the functions of `Handler`.
"""

import dataclasses
import datetime
import importlib
import uuid
from collections.abc import Mapping
from typing import Any, Protocol, cast

from django.conf import settings

from controls import models, queries
from customers import models as customer_models
from openvpp.core import db, errors

LIFETIME = datetime.timedelta(days=3)
State = models.ChangeRequest.State


class Handler(Protocol):
    """How one kind of change is read and written. `subject` is the id of what is changed."""

    def list_subjects(self, *, utility_id: int) -> list[str]: ...

    def get_utility_id(self, *, subject: str) -> int: ...

    def name(self, *, subject: str) -> str: ...

    def read(self, *, subject: str) -> dict[str, Any]: ...

    def require_sound(self, *, subject: str, after: Mapping[str, Any]) -> None: ...

    def apply(
        self, *, subject: str, after: Mapping[str, Any], change: models.ChangeRequest, now: datetime.datetime
    ) -> None: ...


def get_handler(*, kind: str) -> Handler:
    """Return how a kind of change is read and written."""
    return cast("Handler", importlib.import_module(settings.CHANGES[kind]))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Something that a person may ask to change."""

    kind: models.ChangeRequest.Kind
    subject: str
    name: str


def list_subjects(*, user: customer_models.User) -> list[Subject]:
    """Return what a person may ask to change, by utility and kind."""
    utilities = [
        utility
        for utility in customer_models.Utility.objects.for_staff(user).order_by("name")
        if queries.may_decide(user=user, utility_id=utility.pk)
    ]
    return [
        Subject(
            kind=models.ChangeRequest.Kind(kind), subject=subject, name=get_handler(kind=kind).name(subject=subject)
        )
        for utility in utilities
        for kind in settings.CHANGES
        for subject in get_handler(kind=kind).list_subjects(utility_id=utility.pk)
    ]


def get_current(*, kind: str, subject: str, user: customer_models.User) -> dict[str, Any]:
    """Return how something is now, for whoever may ask to change it.

    :raises errors.NotFound: there is no such subject, or none where this person may ask.
    """
    if kind not in settings.CHANGES:
        raise errors.NotFound("There is nothing of this kind to change.", code="not_found")
    handler = get_handler(kind=kind)
    if not queries.may_decide(user=user, utility_id=handler.get_utility_id(subject=subject)):
        raise errors.NotFound("There is nothing of this id to change.", code="not_found")
    return handler.read(subject=subject)


class UnableToPropose(errors.UnableTo):
    """Nobody asked for anything, this person may not, or it is not sound."""


@db.transaction
def propose(
    *,
    kind: str,
    subject: str,
    after: Mapping[str, Any],
    reason: str,
    maker: customer_models.User,
    now: datetime.datetime,
) -> models.ChangeRequest:
    """Ask for a change; `after` names what is to differ from how it is now, all else stays.

    :raises errors.NotFound: there is no such subject, or none where this person may ask.
    :raises UnableToPropose: nothing would differ, no reason is given, or a name is unknown.
    :raises errors.UnableTo: the value is not sound.
    """
    handler = get_handler(kind=kind)
    utility_id = handler.get_utility_id(subject=subject)
    if not queries.may_decide(user=maker, utility_id=utility_id):
        raise errors.NotFound("There is nothing of this id to change.", code="not_found")
    before = handler.read(subject=subject)
    if unknown := sorted(after.keys() - before.keys()):
        raise UnableToPropose(f"There is no {', '.join(unknown)} to change.", code="unknown_field")
    wanted = before | dict(after)
    if wanted == before:
        raise UnableToPropose("This is how it is already.", code="no_difference")
    if not reason.strip():
        raise UnableToPropose("Say why.", code="reason_required")
    handler.require_sound(subject=subject, after=wanted)
    change: models.ChangeRequest = models.ChangeRequest.objects.create(
        utility_id=utility_id,
        kind=kind,
        subject=subject,
        title=f"{models.ChangeRequest.Kind(kind).label}: {handler.name(subject=subject)}"[:200],
        before=before,
        after=wanted,
        reason=reason.strip()[:500],
        maker=maker,
        made_at=now,
        expires_at=now + LIFETIME,
    )
    return change


class UnableToDecide(errors.UnableTo):
    """This person may not decide about it, or it is not to be decided any more."""


@db.transaction
def approve(*, change_id: uuid.UUID, checker: customer_models.User, now: datetime.datetime) -> models.ChangeRequest:
    """Apply a change that somebody else asked for, once.

    :raises queries.UnableToFindChange: none that this person may decide about.
    :raises UnableToDecide: `own_change`, `already_decided`, `expired`, or `changed_since` when what is to be changed is
        no longer as it was shown: nothing moves.
    """
    change = _lock_open(change_id=change_id, user=checker)
    _require_other(change=change, checker=checker)
    if change.expires_at <= now:
        raise UnableToDecide("This change expired. Ask for it anew.", code="expired")
    handler = get_handler(kind=change.kind)
    if handler.read(subject=change.subject) != change.before:
        raise UnableToDecide(
            "What is to be changed is no longer as it was when this was asked for. Ask for it anew.",
            code="changed_since",
        )
    handler.require_sound(subject=change.subject, after=change.after)
    _close(change=change, state=State.APPLIED, checker=checker, now=now)
    handler.apply(subject=change.subject, after=change.after, change=change, now=now)
    return change


@db.transaction
def reject(*, change_id: uuid.UUID, checker: customer_models.User, now: datetime.datetime) -> models.ChangeRequest:
    """Turn a change down that somebody else asked for.

    :raises queries.UnableToFindChange: none that this person may decide about.
    :raises UnableToDecide: `own_change` or `already_decided`.
    """
    change = _lock_open(change_id=change_id, user=checker)
    _require_other(change=change, checker=checker)
    _close(change=change, state=State.REJECTED, checker=checker, now=now)
    return change


@db.transaction
def withdraw(*, change_id: uuid.UUID, maker: customer_models.User, now: datetime.datetime) -> models.ChangeRequest:
    """Take one's own change back.

    :raises queries.UnableToFindChange: none that this person may know of.
    :raises UnableToDecide: `not_own_change` or `already_decided`.
    """
    change = _lock_open(change_id=change_id, user=maker)
    if change.maker_id != maker.pk:
        raise UnableToDecide("Somebody else asked for this: reject it instead.", code="not_own_change")
    _close(change=change, state=State.WITHDRAWN, checker=None, now=now)
    return change


def _lock_open(*, change_id: uuid.UUID, user: customer_models.User) -> models.ChangeRequest:
    change = queries.lock_change(change_id=change_id, user=user)
    if change.state != State.OPEN:
        raise UnableToDecide(f"This change is {change.get_state_display().lower()} already.", code="already_decided")
    return change


def _require_other(*, change: models.ChangeRequest, checker: customer_models.User) -> None:
    if change.maker_id == checker.pk:
        raise UnableToDecide("You asked for this; somebody else decides about it.", code="own_change")


def _close(
    *, change: models.ChangeRequest, state: State, checker: customer_models.User | None, now: datetime.datetime
) -> None:
    change.state, change.checker, change.decided_at = state, checker, now
    change.save(update_fields=["state", "checker", "decided_at"])
