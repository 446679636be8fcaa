"""Leave to have a person's data (Green Button Connect My Data): asked in words on the consent page, kept by upcall.

Who keeps it, and serves the data, is a higher storey's matter; here it is a scope, a question and an answer.
"""

import dataclasses
import datetime
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Self

from django.conf import settings
from django.utils import formats
from django.utils.translation import gettext as _

from customers import models as customer_models
from openvpp.core import db, errors, upcalls
from wallets import models
from wallets.domain import data_scopes

LIFETIME = datetime.timedelta(days=365)
_RESOURCES = "/espi/1_1/resource"


class UnableToAskForData(errors.UnableTo):
    """The person has nothing to share here."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a person is asked to share: the scope as it would be granted, where, until when, and in which words."""

    scope: str
    service_point_ids: tuple[int, ...]
    ends_at: datetime.datetime
    rows: tuple[tuple[str, str], ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "scope": self.scope,
            "service_point_ids": list(self.service_point_ids),
            "ends_at": self.ends_at.isoformat(),
            "rows": [list(row) for row in self.rows],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        return cls(
            scope=value["scope"],
            service_point_ids=tuple(value["service_point_ids"]),
            ends_at=datetime.datetime.fromisoformat(value["ends_at"]),
            rows=tuple((label, text) for label, text in value["rows"]),
        )


def ask(
    *,
    user: customer_models.User,
    application: models.Application,
    scopes: Iterable[str],
    authorization_id: uuid.UUID,
    now: datetime.datetime,
) -> Question | None:
    """Return what is asked, or None when no data are.

    :raises UnableToAskForData: the person holds no account with service at the application's utility.
    """
    asked = data_scopes.find(" ".join(scopes))
    allowed = data_scopes.find(application.allowed_scopes)
    if asked is None or allowed is None:
        return None
    agreements = _shareable(user=user, application=application)
    if not agreements:
        raise UnableToAskForData(
            _("You hold no account with service here, so there is nothing to share. Link your account first."),
            code="nothing_to_share",
        )
    granted = asked.granted_from(allowed, authorization_id=authorization_id)
    ends_at = now.replace(microsecond=0) + LIFETIME
    places = list(dict.fromkeys(str(agreement.service_point.premise) for agreement in agreements))
    return Question(
        scope=str(granted),
        service_point_ids=tuple(sorted({agreement.service_point_id for agreement in agreements})),
        ends_at=ends_at,
        rows=_rows(application=application, granted=granted, places=places, ends_at=ends_at, now=now),
    )


def granted_scopes(*, scopes: Iterable[str], question: Question | None) -> tuple[str, ...]:
    """Return the scopes with the one of Green Button as it would be granted."""
    return tuple(question.scope if question and data_scopes.is_data_scope(scope) else scope for scope in scopes)


def may_ask(*, scope: str, application: models.Application, request: Any) -> bool:
    """Say whether an application may ask for a scope of Green Button, or is being granted it just now."""
    granted = vars(request).get("data_scope") if request is not None else None
    return scope == granted or data_scopes.may_ask(asked=scope, allowed=application.allowed_scopes)


@db.transaction_required
def allow(
    *,
    question: Question,
    authorization_id: uuid.UUID,
    user: customer_models.User,
    application: models.Application,
    now: datetime.datetime,
) -> None:
    """Have the answer kept, in the transaction that makes the code.

    :raises errors.UnableTo: whoever keeps it refuses.
    """
    upcalls.call(
        event="wallets.data_access_allowed",
        authorization_id=authorization_id,
        user_id=user.pk,
        application_id=application.pk,
        scope=question.scope,
        service_point_ids=question.service_point_ids,
        shown_text="\n".join(f"{label}: {text}" for label, text in question.rows),
        ends_at=question.ends_at,
        now=now,
    )


@db.transaction_required
def note_revoked(*, scope: str, now: datetime.datetime) -> None:
    """Tell whoever keeps it that a third party gave its tokens back."""
    found = data_scopes.find(scope)
    if found is not None and found.authorization_id is not None:
        upcalls.call(event="wallets.data_access_given_back", authorization_id=found.authorization_id, now=now)


def addresses(*, scope: str) -> dict[str, str]:
    """Return what ESPI adds to a token's answer: where the data and the authorization are; nothing for others."""
    found = data_scopes.find(scope)
    if found is None or found.authorization_id is None:
        return {}
    base = f"{settings.BASE_URL}{_RESOURCES}"
    told = {
        "resourceURI": f"{base}/Batch/Subscription/{found.authorization_id}",
        "authorizationURI": f"{base}/Authorization/{found.authorization_id}",
    }
    if found.retail_blocks:
        told["customerResourceURI"] = f"{base}/Batch/RetailCustomer/{found.authorization_id}"
    return told


def _shareable(*, user: customer_models.User, application: models.Application) -> list[Any]:
    held = customer_models.AccountAccess.objects.filter(
        customer__user=user,
        role=customer_models.AccountAccess.Role.HOLDER,
        account__utility_id=application.utility_id,
    )
    rows = customer_models.ServiceAgreement.objects.for_customer(user).filter(account__in=held.values("account"))
    return list(rows.select_related("service_point__premise").order_by("starts_on", "pk"))


def _rows(
    *,
    application: models.Application,
    granted: data_scopes.DataScope,
    places: list[str],
    ends_at: datetime.datetime,
    now: datetime.datetime,
) -> tuple[tuple[str, str], ...]:
    told = [
        (_("Who sees it"), _("%(app)s, not your utility's own app") % {"app": application.name}),
        (_("Where"), "; ".join(places)),
    ]
    if granted.shares_energy:
        told.append((_("How much you use"), _how_fine(granted)))
        told.append(
            (
                _("What you give to the grid"),
                _("yes, as finely as your use") if granted.shares_export else _("not shared"),
            )
        )
        history = granted.history or datetime.timedelta()
        since = formats.date_format(now - history, "DATE_FORMAT")
        told.append((_("How far back"), _("%(day)s, and whatever your meter sends from now on") % {"day": since}))
    personal = [_(words) for block, words in data_scopes.RETAIL_BLOCKS.items() if block in granted.retail_blocks]
    told.append((_("About you"), "; ".join(personal) if personal else _("nothing: not your name, not your bills")))
    told.append(
        (
            _("Until"),
            _("%(day)s, or until you stop it") % {"day": formats.date_format(ends_at, "DATE_FORMAT")},
        )
    )
    return tuple(told)


def _how_fine(granted: data_scopes.DataScope) -> str:
    if granted.finest_seconds is None:
        return _("as finely as your meter reads")
    return _("every %(minutes)d minutes") % {"minutes": granted.finest_seconds // 60}
