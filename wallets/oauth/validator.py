"""What the authorization server stores and believes: django-oauth-toolkit's validator with its holes closed.

Every endpoint that calls it runs in one transaction. Rows are locked in the order spending grant, code, family, token,
so that what comes at once is decided one after the other.
"""

import base64
import datetime
import hashlib
import hmac
import json
import uuid
from typing import Any

from django.conf import settings
from oauth2_provider import oauth2_validators
from oauthlib.oauth2.rfc6749 import errors as oauth_errors

from openvpp.core import clock, db
from wallets import models
from wallets import queries as wallet_queries
from wallets.oauth import answers, data_access, dpop, id_tokens
from wallets.usecases import revoke_session_key

# A client that sends its code twice at once is clumsy; one that sends it later, or without the verifier, is a thief.
HONEST_REPEAT = datetime.timedelta(seconds=10)
SUPPORTED_GRANT_TYPES = frozenset({"authorization_code", "refresh_token", "client_credentials"})


class Validator(oauth2_validators.OAuth2Validator):
    """Codes are hashed, and known again when replayed; a replayed refresh token ends its family.

    Code and tokens carry the spending grant that the person agreed to, and end with it.
    """

    def save_authorization_code(
        self, client_id: str, code: dict[str, str], request: Any, *args: Any, **kw: Any
    ) -> None:
        """Store the code's hash, with the spending grant that the consent page put on the request."""
        row = self._create_authorization_code(request, {**code, "code": _digest(code["code"])})
        row.dpop_jkt = _own(request, "dpop_jkt") or ""
        row.sign_in_id = _own(request, "sign_in_id")
        row.save(update_fields=["dpop_jkt", "sign_in"])
        _carry_spending_grant(row=row, request=request)

    @db.transaction_required
    def validate_code(self, client_id: str, code: str, client: Any, request: Any, *args: Any, **kw: Any) -> bool:
        """Lock the code and refuse to redeem it twice.

        A second redemption also ends the first one's tokens, unless it is the client repeating itself, with the
        verifier and the key, within ten seconds.
        """
        now = clock.get_now()
        row = _lock_code(code=code)
        if row is None:
            return False
        is_own = row.application_id == client.pk
        if row.redeemed_at is not None:
            is_honest = is_own and row.dpop_jkt == _proven_key(request) and _knows_verifier(row=row, request=request)
            if not (is_honest and now - row.redeemed_at <= HONEST_REPEAT):
                end_family(family=row.token_family, spending_grant_id=row.session_key_grant_id, now=now)
            return False
        if not is_own or row.dpop_jkt not in ("", _proven_key(request)):
            return False
        spending_grant = row.session_key_grant
        if row.expires <= now or not row.user.is_active:
            return False
        if spending_grant is not None and not spending_grant.is_live(now=now):
            return False
        request.scopes = row.scope.split()
        request.user = row.user
        request.session_key_grant = spending_grant
        request.sign_in_id = row.sign_in_id
        if row.nonce:
            request.nonce = row.nonce
        if row.claims:
            request.claims = json.loads(row.claims)
        return True

    def confirm_redirect_uri(
        self, client_id: str, code: str, redirect_uri: str, client: Any, *args: Any, **kw: Any
    ) -> bool:
        return bool(_find_code(code=code, client=client).redirect_uri_allowed(redirect_uri))

    def get_code_challenge(self, code: str, request: Any) -> str | None:
        return _find_code(code=code, client=request.client).code_challenge or None

    def get_code_challenge_method(self, code: str, request: Any) -> str | None:
        return _find_code(code=code, client=request.client).code_challenge_method or None

    def get_authorization_code_scopes(self, client_id: str, code: str, redirect_uri: str, request: Any) -> list[str]:
        row = models.Grant.objects.filter(code=_digest(code)).first()
        return row.scope.split() if row else []

    def get_authorization_code_nonce(self, client_id: str, code: str, redirect_uri: str, request: Any) -> str | None:
        row = models.Grant.objects.filter(code=_digest(code)).first()
        return (row.nonce or None) if row else None

    def invalidate_authorization_code(self, client_id: str, code: str, request: Any, *args: Any, **kw: Any) -> None:
        """Mark the code as redeemed for the tokens just made; the row stays until it expires.

        :raises oauthlib InvalidGrantError: it was redeemed before.
        """
        taken = models.Grant.objects.filter(
            code=_digest(code), application=request.client, redeemed_at__isnull=True
        ).update(redeemed_at=clock.get_now(), token_family=_own(request, "token_family"), dpop_jkt=_proven_key(request))
        if not taken:
            raise oauth_errors.InvalidGrantError(request=request)

    @db.transaction_required
    def validate_refresh_token(  # noqa: PLR0911 - one return a rule
        self, refresh_token: str, client: Any, request: Any, *args: Any, **kw: Any
    ) -> bool:
        """Lock the token; one that was used before ends its whole family, and the spending grant with it.

        So does one that is bound to a key and comes with another. The holder of the key who repeats itself within
        ten seconds is given the first answer again.

        :raises answers.AnswerAgain: that answer.
        """
        now = clock.get_now()
        row = _lock_refresh_token(token=refresh_token, client=client)
        if row is None:
            return False
        key = _proven_key(request)
        if row.dpop_jkt and not key:
            return False
        if row.dpop_jkt not in ("", key):
            end_family(family=row.token_family, spending_grant_id=row.session_key_grant_id, now=now)
            return False
        if row.revoked is not None:
            is_honest = row.dpop_jkt and now - row.revoked <= HONEST_REPEAT
            if row.sealed_answer is not None and is_honest and _is_family_alive(row=row, now=now):
                raise answers.AnswerAgain(answers.unseal(sealed=bytes(row.sealed_answer), token=refresh_token))
            end_family(family=row.token_family, spending_grant_id=row.session_key_grant_id, now=now)
            return False
        lifetime = datetime.timedelta(seconds=settings.REFRESH_TOKEN_SECONDS)
        if row.access_token is None or row.created + lifetime <= now or not row.user.is_active:
            return False
        if row.session_key_grant is not None and not row.session_key_grant.is_live(now=now):
            return False
        request.user = row.user
        request.session_key_grant = row.session_key_grant
        request.sign_in_id = row.sign_in_id
        request.refresh_token = refresh_token
        request.refresh_token_instance = row
        return True

    @db.transaction_required
    def revoke_token(self, token: str, token_type_hint: str | None, request: Any, *args: Any, **kw: Any) -> None:
        """End the family of one of the client's own tokens, and the spending grant with it; others' are not known."""
        digest = _digest(token)
        lookup = {"token_checksum": digest, "application_id": request.client.pk}
        refresh = models.RefreshToken.objects.filter(**lookup).first()
        if refresh is None:
            refresh = models.RefreshToken.objects.filter(
                access_token__token_checksum=digest, application_id=request.client.pk
            ).first()
        access = models.AccessToken.objects.filter(**lookup).first()
        spending_grant_id = (refresh or access).session_key_grant_id if refresh or access else None
        # Another request may have ended the token since its refresh token was read.
        told = access or models.AccessToken.objects.filter(refresh_token=refresh).first() if refresh else access
        if told is not None:
            data_access.note_revoked(scope=told.scope, now=clock.get_now())
        end_family(
            family=refresh.token_family if refresh else None,
            spending_grant_id=spending_grant_id,
            now=clock.get_now(),
        )
        models.AccessToken.objects.filter(**lookup).delete()

    def validate_bearer_token(self, token: str, scopes: Any, request: Any) -> bool:
        """Refuse: only `wallets.oauth.authentication` decides about access tokens."""
        return False

    def validate_jwt_bearer_token(self, token: str, scopes: Any, request: Any) -> bool:
        """Refuse: an ID token says who signed in, and opens nothing."""
        return False

    validate_id_token = validate_jwt_bearer_token

    def validate_silent_authorization(self, request: Any) -> bool:
        """Refuse `prompt=none`: nobody is skipped past the consent page."""
        return False

    def validate_silent_login(self, request: Any) -> bool:
        return False

    def get_additional_claims(self, request: Any) -> dict[str, Any]:
        """Return the claims beside `sub`; each is told only with its scope."""
        return {"name": request.user.get_full_name(), "email": request.user.email}

    def finalize_id_token(self, id_token: dict[str, Any], token: Any, token_handler: Any, request: Any) -> str:
        """Return the ID token, signed with the first of our keys, and keep the row that its access token names."""
        claims, expires = self.get_id_token_dictionary(token, token_handler, request)
        nonce = {"nonce": request.nonce} if getattr(request, "nonce", None) else {}
        request.id_token = self._save_id_token(claims["jti"], request, expires)
        return id_tokens.sign({**nonce, **id_token, **claims})

    def get_oidc_issuer_endpoint(self, request: Any) -> str:
        return str(settings.ISSUER)

    def _load_id_token(self, token: str) -> models.IDToken:
        # Called with the token that was made a moment ago, to tie it to its access token; nobody else may bring one.
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        row: models.IDToken = models.IDToken.objects.get(jti=claims["jti"])
        return row

    def get_discovery_claims(self, request: Any) -> list[str]:
        return ["sub", "name", "email"]

    def _save_bearer_token(self, token: Any, request: Any, *args: Any, **kw: Any) -> None:
        request.refresh_token_instance = _own(request, "refresh_token_instance")
        super()._save_bearer_token(token, request, *args, **kw)

    def _create_access_token(self, expires: Any, request: Any, token: Any, source_refresh_token: Any = None) -> Any:
        row = super()._create_access_token(expires, request, token, source_refresh_token)
        _bind(row=row, request=request)
        return _carry_spending_grant(row=row, request=request)

    def _create_refresh_token(self, request: Any, code: str, access_token: Any, previous: Any) -> Any:
        row = super()._create_refresh_token(request, code, access_token, previous)
        request.token_family = row.token_family
        row.sign_in_id = _own(request, "sign_in_id")
        row.save(update_fields=["sign_in"])
        _bind(row=row, request=request)
        return _carry_spending_grant(row=row, request=request)

    def _check_and_set_request_resource(self, request: Any) -> None:
        # The toolkit looks the code up as it is stored, which is hashed.
        named = [value for name, value in request.decoded_body or [] if name == "resource"]
        if any(resource.rstrip("/") != settings.ISSUER for resource in named):
            raise oauth_errors.CustomOAuth2Error(
                error="invalid_target", description=f"The one resource here is {settings.ISSUER}", request=request
            )
        request.resource = [settings.ISSUER] if named else []
        presented = getattr(request, "code", None)
        request.code = _digest(presented) if presented else presented
        super()._check_and_set_request_resource(request)
        request.code = presented


@db.transaction_required
def end_family(*, family: uuid.UUID | None, spending_grant_id: uuid.UUID | None, now: datetime.datetime) -> None:
    """End every token that came of one consent, and the leave to spend that it gave."""
    if spending_grant_id is not None:
        revoke_session_key.revoke(grant_id=spending_grant_id, now=now)
    if family is None:
        return
    _lock_family(family)
    members = models.RefreshToken.objects.filter(token_family=family)
    models.AccessToken.objects.filter(refresh_token__in=members).delete()
    members.filter(sealed_answer__isnull=False).update(sealed_answer=None)
    members.filter(revoked__isnull=True).update(revoked=now, updated=now)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _find_code(*, code: str, client: Any) -> models.Grant:
    row: models.Grant = models.Grant.objects.get(code=_digest(code), application=client)
    return row


def _lock_code(*, code: str) -> models.Grant | None:
    rows = models.Grant.objects.filter(code=_digest(code))
    _lock_spending_grant(rows.values_list("session_key_grant_id", flat=True).first())
    row: models.Grant | None = rows.select_for_update(of=("self",)).select_related("user", "session_key_grant").first()
    return row


def _lock_refresh_token(*, token: str, client: Any) -> models.RefreshToken | None:
    rows = models.RefreshToken.objects.filter(token_checksum=_digest(token), application=client)
    found = rows.values_list("session_key_grant_id", "token_family").first()
    if found is None:
        return None
    _lock_spending_grant(found[0])
    _lock_family(found[1])
    row: models.RefreshToken | None = (
        rows.select_for_update(of=("self",)).select_related("user", "session_key_grant", "access_token").first()
    )
    return row


def _lock_spending_grant(grant_id: uuid.UUID | None) -> None:
    if grant_id is not None:
        wallet_queries.lock_grant(grant_id=grant_id)


def _lock_family(family: uuid.UUID | None) -> None:
    # Its first token stands for all of them, those not yet written included.
    models.RefreshToken.objects.filter(token_family=family).order_by("pk").select_for_update(of=("self",)).first()


def _is_family_alive(*, row: models.RefreshToken, now: datetime.datetime) -> bool:
    if not row.user.is_active or (row.session_key_grant is not None and not row.session_key_grant.is_live(now=now)):
        return False
    living = models.RefreshToken.objects.filter(token_family=row.token_family, revoked__isnull=True)
    return bool(living.filter(access_token__isnull=False).exists())


def _knows_verifier(*, row: models.Grant, request: Any) -> bool:
    digest = hashlib.sha256((getattr(request, "code_verifier", None) or "").encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return hmac.compare_digest(challenge, row.code_challenge)


def _own(request: Any, name: str) -> Any:
    """Return what this server put on the request; a plain attribute would also read what the client sent."""
    return vars(request).get(name)


def _proven_key(request: Any) -> str:
    """Return the thumbprint of the key whose proof the endpoint checked, or ""."""
    return str(request.headers.get(dpop.PROVEN_KEY, ""))


def _bind(*, row: Any, request: Any) -> None:
    key = _proven_key(request)
    if key:
        row.dpop_jkt = key
        row.save(update_fields=["dpop_jkt"])


def _carry_spending_grant(*, row: Any, request: Any) -> Any:
    row.session_key_grant = _own(request, "session_key_grant")
    row.save(update_fields=["session_key_grant"])
    return row
