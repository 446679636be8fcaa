"""ERC-7715: an application asks for a permission, and the person decides on the consent page.

The first request becomes a pushed authorization request (RFC 9126) of the application that the access token is of,
bound to the same key; it is answered 4100 with the address where the person is to go. Asked again once they have
agreed, the same request is answered with the permission.
"""

import base64
import datetime
import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django import http, urls
from django.conf import settings
from oauth2_provider import exceptions as toolkit_errors

from contracts import deployments
from contracts.bindings import accounts, words
from openvpp.core import db
from wallets import models
from wallets.domain import permission_requests, wallet_calls
from wallets.oauth import offers, pushed, requests, scopes
from wallets.usecases import revoke_session_key, send_calls

_Code = wallet_calls.Code


def request(*, token: models.AccessToken, wallet: models.Wallet, given: object, now: datetime.datetime) -> Any:
    """Return the permission that was granted, in the shape of the request.

    :raises wallet_calls.RefusedCall: it is malformed or goes beyond what the utility allows; or nobody has agreed yet,
        with the address of the consent page in its data.
    """
    wish = permission_requests.read(given, chain_id=wallet.chain_id)
    if wish.sender not in (None, wallet.address):
        raise wallet_calls.RefusedCall(_Code.UNAUTHORIZED, "This is not the person's wallet.")
    granted = _find(token=token, wallet=wallet, wish=wish, now=now)
    if granted is None:
        raise wallet_calls.RefusedCall(
            _Code.UNAUTHORIZED,
            "The person is to agree first, at the address in `data.consentUri`. Ask again then.",
            data=_push(token=token, wallet=wallet, wish=wish, now=now),
        )
    return _write(wish.request, grant=granted)


def supported(*, wallet: models.Wallet) -> dict[str, Any]:
    """Return what may be asked for, by type."""
    told = {"chainIds": [hex(wallet.chain_id)], "ruleTypes": ["expiry"]}
    return dict.fromkeys(permission_requests.TYPES, told)


def granted(*, token: models.AccessToken, wallet: models.Wallet, now: datetime.datetime) -> list[dict[str, Any]]:
    """Return the permissions that the token's application has from this person, each as one that is periodic."""
    return [
        {
            "chainId": hex(wallet.chain_id),
            "from": wallet.address,
            "permission": {
                "type": permission_requests.PERIODIC,
                "isAdjustmentAllowed": False,
                "data": {
                    "tokenAddress": grant.token,
                    "periodAmount": hex(int(grant.limit_per_period_units)),
                    "periodDuration": grant.period_seconds,
                },
            },
            "rules": [{"type": "expiry", "data": {"timestamp": int(grant.ends_at.timestamp())}}],
            "context": send_calls.context_of(grant),
            "dependencies": [made_by] if (made_by := _dependency(wallet)) else [],
        }
        for grant in _live(token=token, wallet=wallet, now=now).order_by("created_at")
    ]


@db.durable
def revoke(*, token: models.AccessToken, wallet: models.Wallet, context: object, now: datetime.datetime) -> None:
    """End a permission of the token's application; its tokens and its key stop working at once.

    :raises wallet_calls.RefusedCall: it has none of this context.
    """
    rows = _live(token=token, wallet=wallet, now=now)
    grant = next((each for each in rows if send_calls.context_of(each) == context), None)
    if grant is None:
        raise wallet_calls.RefusedCall(_Code.BAD_PARAMETERS, "There is no permission of this context.")
    with db.transaction():
        revoke_session_key.revoke(grant_id=grant.pk, now=now)


def _live(*, token: models.AccessToken, wallet: models.Wallet, now: datetime.datetime) -> Any:
    """Return the grants that the token's application may use, of keys that are kept here."""
    return models.SessionKeyGrant.objects.filter(
        wallet=wallet,
        user=token.user,
        application=token.application,
        state__in=models.SessionKeyGrant.LIVE_STATES,
        client_key__isnull=True,
        ends_at__gt=now,
    )


def _find(
    *, token: models.AccessToken, wallet: models.Wallet, wish: permission_requests.Wish, now: datetime.datetime
) -> models.SessionKeyGrant | None:
    rows = _live(token=token, wallet=wallet, now=now).filter(
        payee=wallet.utility.treasury_address,
        token=wish.token,
        limit_per_period_units=wish.period_units,
        ends_at=datetime.datetime.fromtimestamp(wish.expires_at, tz=datetime.UTC),
    )
    if wish.period_seconds is not None:
        rows = rows.filter(period_seconds=wish.period_seconds)
    found: models.SessionKeyGrant | None = rows.order_by("-created_at").first()
    return found


def _push(
    *, token: models.AccessToken, wallet: models.Wallet, wish: permission_requests.Wish, now: datetime.datetime
) -> dict[str, Any]:
    client = token.application
    verifier = secrets.token_urlsafe(48)
    cap = offers.fee_cap(utility=wallet.utility, token=wish.token)
    details = wish.details(fee_cap_units=cap, now_s=int(now.timestamp()))
    parameters = http.QueryDict(mutable=True)
    parameters.update(
        {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": client.redirect_uris.split()[0],
            "scope": " ".join(dict.fromkeys([*token.scope.split(), scopes.SPENDING_SCOPE])),
            "state": secrets.token_urlsafe(16),
            "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256",
            "authorization_details": json.dumps([details]),
        }
    )
    try:
        requests.read(view=pushed.Push(), parameters=parameters, dpop_jkt=token.dpop_jkt, is_pushed=True, now=now)
    except toolkit_errors.OAuthToolkitError as error:
        told = error.oauthlib_error
        raise wallet_calls.RefusedCall(
            _Code.BAD_PARAMETERS, told.description or told.error, data={"error": told.error}
        ) from None
    request_uri = pushed.keep(client=client, parameters=parameters, dpop_jkt=token.dpop_jkt, now=now)
    query = urlencode({"client_id": client.client_id, "request_uri": request_uri})
    return {
        "consentUri": f"{settings.ISSUER}{urls.reverse('oauth2_provider:authorize')}?{query}",
        "expiresIn": int(pushed.LIFETIME.total_seconds()),
        "redirectUri": parameters["redirect_uri"],
        "state": parameters["state"],
        "codeVerifier": verifier,
    }


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _write(asked: Mapping[str, Any], *, grant: models.SessionKeyGrant) -> Any:
    """Return the permission in the request's own shape; what is granted is exactly what was asked."""
    context, made_by = send_calls.context_of(grant), _dependency(grant.wallet)
    if "permissions" in asked:
        return {
            "expiry": int(grant.ends_at.timestamp()),
            "grantedPermissions": asked["permissions"],
            "permissionsContext": context,
            **({} if made_by is None else made_by),
        }
    answer = {**asked, "from": grant.wallet.address, "context": context}
    if "signer" in asked:
        return [answer | ({} if made_by is None else {"accountMeta": made_by})]
    return [answer | {"dependencies": [] if made_by is None else [made_by]}]


def _dependency(wallet: models.Wallet) -> dict[str, str] | None:
    """Return what makes a wallet that is not deployed; its first operation does so by itself."""
    if wallet.deployed_at is not None:
        return None
    factory = deployments.load(chain_id=wallet.chain_id).account_factory
    made_by = accounts.init_code(
        factory=factory,
        owner=words.parse_address(str(wallet.owner_key.address)),
        salt=bytes.fromhex(str(wallet.salt)[2:]),
    )
    return {"factory": words.checksummed(made_by[:20]), "factoryData": "0x" + made_by[20:].hex()}
