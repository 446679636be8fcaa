"""A utility registers a company that its customers may share their data with."""

import dataclasses
import datetime
import secrets
from collections.abc import Sequence
from urllib.parse import urlsplit

from django.conf import settings

from customers import models as customers_models
from openvpp.core import db, errors
from sharing import models
from sharing.adapters import third_party as third_party_adapter
from wallets import models as wallets_models
from wallets.domain import data_scopes

DEFAULT_SCOPE = "FB=1_3_4_5_8_13_31_37_39;IntervalDuration=900;BlockDuration=monthly;HistoryLength=34128000"
SYSTEM_SCOPE = "FB=41_44"
SECRET_BYTES = 32


class UnableToRegister(errors.Invalid):
    """The registration would not work, or would let anybody in between read along; nothing was kept."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What the third party is told once. `system_*` are for client credentials; `notice_secret` signs our notices."""

    third_party_id: int
    client_id: str
    client_secret: str
    system_client_id: str
    system_client_secret: str
    notice_secret: str


@db.durable
def register(
    *,
    utility_id: int,
    name: str,
    redirect_uris: Sequence[str],
    contact_email: str,
    scope: str = DEFAULT_SCOPE,
    notify_uri: str = "",
    description: str = "",
    website: str = "",
    registered_by_id: int | None = None,
    now: datetime.datetime,
) -> Credentials:
    """Make a third party and its two OAuth clients; its secrets are in the answer and nowhere else.

    :raises UnableToRegister: see its name.
    """
    _check(redirect_uris=redirect_uris, notify_uri=notify_uri, scope=scope, name=name)
    secret, system_secret = secrets.token_urlsafe(SECRET_BYTES), secrets.token_urlsafe(SECRET_BYTES)
    with db.transaction():
        utility = customers_models.Utility.objects.select_for_update(no_key=True).get(pk=utility_id)
        if models.ThirdParty.objects.of_utility(utility.pk).filter(name=name).exists():
            raise UnableToRegister("A third party of that name is registered already.", code="registered_already")
        application = _application(
            utility=utility,
            name=name,
            grant_type=wallets_models.Application.GRANT_AUTHORIZATION_CODE,
            redirect_uris=" ".join(redirect_uris),
            scope=scope,
            secret=secret,
        )
        system = _application(
            utility=utility,
            name=f"{name} (system)",
            grant_type=wallets_models.Application.GRANT_CLIENT_CREDENTIALS,
            redirect_uris="",
            scope=SYSTEM_SCOPE,
            secret=system_secret,
        )
        third_party = models.ThirdParty.objects.create(
            utility=utility,
            name=name,
            application=application,
            system_application=system,
            description=description[:256],
            website=website,
            contact_email=contact_email,
            notify_uri=notify_uri,
            registered_by_id=registered_by_id,
            registered_at=now,
        )
    return Credentials(
        third_party_id=third_party.pk,
        client_id=application.client_id,
        client_secret=secret,
        system_client_id=system.client_id,
        system_client_secret=system_secret,
        notice_secret=third_party_adapter.secret(third_party=third_party).hex(),
    )


def _application(
    *, utility: customers_models.Utility, name: str, grant_type: str, redirect_uris: str, scope: str, secret: str
) -> wallets_models.Application:
    made: wallets_models.Application = wallets_models.Application.objects.create(
        name=name,
        client_type=wallets_models.Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=grant_type,
        redirect_uris=redirect_uris,
        client_secret=secret,
        hash_client_secret=True,
        utility=utility,
        allowed_scopes=scope,
    )
    return made


def _check(*, redirect_uris: Sequence[str], notify_uri: str, scope: str, name: str) -> None:
    if not name.strip() or len(name) > 200:  # noqa: PLR2004 - the column's length
        raise UnableToRegister("Give the name that customers know it by, at most 200 characters.", code="name")
    if not redirect_uris:
        raise UnableToRegister("Give at least one redirect URI.", code="redirect_uri")
    for uri in [*redirect_uris, *([notify_uri] if notify_uri else [])]:
        parts = urlsplit(uri)
        is_open = settings.SHARING_MAY_NOTIFY_PRIVATE_ADDRESSES and parts.scheme == "http"
        if not (parts.scheme == "https" or is_open) or not parts.hostname or parts.fragment or parts.username:
            raise UnableToRegister(f"{uri} is not an https address without user name and fragment.", code="not_https")
    try:
        terms = data_scopes.DataScope.parse(scope)
    except data_scopes.Unreadable as error:
        raise UnableToRegister(str(error), code="scope") from error
    if terms.authorization_id is not None or not (terms.shares_energy or terms.retail_blocks):
        raise UnableToRegister("The scope shares nothing: FB 4 and 5 are intervals of electricity.", code="scope")
