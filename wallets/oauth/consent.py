"""What a person is asked on the consent page, frozen before it is shown.

A consent is kept in the session, on this server. The page carries its id alone, so that what is allowed is what was
shown. Other limits make another consent, which is shown again before it can be allowed.
"""

import dataclasses
import datetime
import uuid
from collections.abc import Mapping
from typing import Any, Self

from django import http
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from customers import models as customer_models
from openvpp.core import errors
from wallets import models
from wallets.domain import authorization_details
from wallets.domain import terms as grant_terms
from wallets.oauth import data_access, offers, requests, words
from wallets.oauth import pushed as pushed_requests

SESSION_KEY = "oauth_consents"
LIFETIME = datetime.timedelta(minutes=10)
MOST_AT_ONCE = 5

SCOPE_WORDS = {
    "profile": gettext_lazy("See your name"),
    "email": gettext_lazy("See your e-mail address"),
    "account:read": gettext_lazy("See your accounts and addresses"),
    "account:write": gettext_lazy("Link an account to you"),
    "usage:read": gettext_lazy("See how much energy you use"),
    "usage:write": gettext_lazy("Send meter data in your utility's name"),
    "bills:read": gettext_lazy("See your bills"),
    "bills:write": gettext_lazy("Send bills in your utility's name"),
    "wallet:read": gettext_lazy("See your balances and activity"),
    "payments:write": gettext_lazy("Pay your bills, within the limits above"),
    "notices:read": gettext_lazy("Read your notices"),
    "devices:read": gettext_lazy("See your devices"),
    "devices:write": gettext_lazy("Add and remove your devices"),
    "sharing:read": gettext_lazy("See whom you share your data with"),
    "sharing:write": gettext_lazy("Stop sharing your data"),
    "programs:read": gettext_lazy("See programs and your part in them"),
    "programs:write": gettext_lazy("Join and leave programs for you"),
    "policies:read": gettext_lazy("See which payments are allowed, as staff do"),
}


class UnableToAskForConsent(errors.UnableTo):
    """There is no wallet to spend from, or no token to pay with."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """One question to one person.

    `terms` and `wallet_id` are None when nothing may be spent; `limits` is None too where an application asked in
    detail, which is allowed as it is or not at all. `steps_up` says that the person must have proven just before who
    they are. `pushed` names the pushed request that it came from.
    """

    id: uuid.UUID
    user_id: int
    application_id: int
    credentials: Mapping[str, Any]
    scopes: tuple[str, ...]
    asked_at: datetime.datetime
    return_path: str
    wallet_id: uuid.UUID | None = None
    limits: offers.Limits | None = None
    terms: grant_terms.GrantTerms | None = None
    steps_up: bool = False
    rows: tuple[tuple[str, str], ...] = ()
    pushed: str = ""
    data: data_access.Question | None = None

    def is_open(self, *, user: customer_models.User, now: datetime.datetime) -> bool:
        """Say whether this person may still answer."""
        return self.user_id == user.pk and now - self.asked_at < LIFETIME

    def to_json(self) -> dict[str, Any]:
        return {
            "id": str(self.id),
            "user_id": self.user_id,
            "application_id": self.application_id,
            "credentials": dict(self.credentials),
            "scopes": list(self.scopes),
            "asked_at": self.asked_at.isoformat(),
            "return_path": self.return_path,
            "wallet_id": str(self.wallet_id) if self.wallet_id else None,
            "limits": dataclasses.asdict(self.limits) if self.limits else None,
            "terms": self.terms.to_json() if self.terms else None,
            "steps_up": self.steps_up,
            "rows": [list(row) for row in self.rows],
            "pushed": self.pushed,
            "data": self.data.to_json() if self.data else None,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        return cls(
            id=uuid.UUID(value["id"]),
            user_id=value["user_id"],
            application_id=value["application_id"],
            credentials=value["credentials"],
            scopes=tuple(value["scopes"]),
            asked_at=datetime.datetime.fromisoformat(value["asked_at"]),
            return_path=value["return_path"],
            wallet_id=uuid.UUID(value["wallet_id"]) if value["wallet_id"] else None,
            limits=offers.Limits(**value["limits"]) if value["limits"] else None,
            terms=grant_terms.GrantTerms.from_json(value["terms"]) if value["terms"] else None,
            steps_up=value["steps_up"],
            rows=tuple((label, text) for label, text in value["rows"]),
            pushed=value["pushed"],
            data=data_access.Question.from_json(value["data"]) if value["data"] else None,
        )


def ask(
    *,
    user: customer_models.User,
    asked: requests.Asked,
    return_path: str,
    now: datetime.datetime,
    pushed: str = "",
    limits: offers.Limits | None = None,
) -> Consent:
    """Freeze a question; without details and `limits` the utility's own proposal is asked.

    :raises UnableToAskForConsent: the person has no wallet at the application's utility, or it takes no token.
    :raises data_access.UnableToAskForData: the person has nothing to share.
    :raises authorization_details.UnableToReadDetails: what is asked in detail is not this person's to allow.
    """
    application = asked.application
    consent = Consent(
        id=uuid.uuid4(),
        user_id=user.pk,
        application_id=application.pk,
        credentials=asked.credentials,
        scopes=asked.scopes,
        asked_at=now,
        return_path=return_path,
        pushed=pushed,
    )
    data = data_access.ask(
        user=user, application=application, scopes=asked.scopes, authorization_id=consent.id, now=now
    )
    consent = dataclasses.replace(
        consent, data=data, scopes=data_access.granted_scopes(scopes=asked.scopes, question=data)
    )
    if not asked.spends:
        return consent
    wallet = models.Wallet.objects.for_customer(user).filter(utility=application.utility_id).first()
    if application.utility is None or wallet is None:
        raise UnableToAskForConsent(
            _("You have no wallet here yet. Link your account in the app first, then come back."), code="no_wallet"
        )
    if asked.details is not None:
        if asked.details.wallet not in (None, wallet.address):
            raise authorization_details.UnableToReadDetails("wallet is not this person's.")
        offer = offers.read(utility=application.utility, details=asked.details, now=now)
        return _with_terms(consent=consent, application=application, wallet=wallet, offer=offer, limits=None)
    chosen = limits or offers.Limits.offered_by(application.utility)
    try:
        offer = offers.propose(utility=application.utility, limits=chosen, now=now)
    except offers.UnableToOffer as error:
        raise UnableToAskForConsent(error.detail, code=error.code) from None
    return _with_terms(consent=consent, application=application, wallet=wallet, offer=offer, limits=chosen)


def remember(*, request: http.HttpRequest, consent: Consent, instead_of: Consent | None = None) -> None:
    """Keep a consent in the person's session, the oldest making room."""
    kept: dict[str, Any] = request.session.get(SESSION_KEY, {})
    if instead_of is not None:
        kept.pop(str(instead_of.id), None)
    kept[str(consent.id)] = consent.to_json()
    request.session[SESSION_KEY] = dict(list(kept.items())[-MOST_AT_ONCE:])


def recall(*, request: http.HttpRequest, consent_id: str) -> Consent | None:
    """Return a consent of this session, or None."""
    value = request.session.get(SESSION_KEY, {}).get(consent_id)
    return Consent.from_json(value) if value else None


def forget(*, request: http.HttpRequest, consent: Consent) -> None:
    """Take an answered consent out of the session, and every other that the same request led to."""
    kept: dict[str, Any] = request.session.get(SESSION_KEY, {})
    request.session[SESSION_KEY] = {
        consent_id: value
        for consent_id, value in kept.items()
        if consent_id != str(consent.id) and not (consent.pushed and value["pushed"] == consent.pushed)
    }
    pushed_requests.forget(request=request, request_uri_digest=consent.pushed)


def _with_terms(
    *,
    consent: Consent,
    application: models.Application,
    wallet: models.Wallet,
    offer: offers.Offer,
    limits: offers.Limits | None,
) -> Consent:
    rows = words.rows(application=application, wallet=wallet, offer=offer, now=consent.asked_at)
    terms = dataclasses.replace(offer.terms, shown_text="\n".join(f"{label}: {text}" for label, text in rows))
    return dataclasses.replace(
        consent,
        wallet_id=wallet.pk,
        limits=limits,
        terms=terms,
        steps_up=offer.month_cents > wallet.utility.step_up_above_cents,
        rows=rows,
    )
