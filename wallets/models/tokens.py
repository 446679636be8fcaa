"""Codes, tokens and what proves them, as the authorization server keeps them."""

import datetime
import uuid

from django.db import models
from oauth2_provider import models as oauth_models

from openvpp.core import sql
from wallets.models import applications, grants


class Grant(oauth_models.AbstractGrant):
    """An authorization code; carries the spending grant that the person agreed to.

    `code` holds the SHA-256 of the code. A redeemed row stays until it expires, so that a replay is seen for what
    it is.
    """

    session_key_grant = models.OneToOneField(
        grants.SessionKeyGrant, on_delete=models.CASCADE, null=True, related_name="authorization_code"
    )
    dpop_jkt = models.CharField(
        max_length=43, blank=True, help_text="Thumbprint of the key that may redeem it; then of the one that did."
    )
    redeemed_at = models.DateTimeField(null=True)
    token_family = models.UUIDField(null=True, help_text="Family of the tokens that it was redeemed for.")
    sign_in = models.ForeignKey("customers.SignIn", on_delete=models.SET_NULL, null=True, related_name="+")


class AccessToken(oauth_models.AbstractAccessToken):
    """An access token; spends only through its grant."""

    session_key_grant = models.ForeignKey(
        grants.SessionKeyGrant, on_delete=models.CASCADE, null=True, related_name="access_tokens"
    )
    dpop_jkt = models.CharField(max_length=43, blank=True, help_text="Thumbprint of the key that it is bound to.")

    @property
    def sign_in_id(self) -> uuid.UUID | None:
        """Where its person was signed in when they let the application in, if that is known."""
        refresh: RefreshToken | None = getattr(self, "refresh_token", None)
        return None if refresh is None else refresh.sign_in_id


class RefreshToken(oauth_models.AbstractRefreshToken):
    """A refresh token; what it renews never widens."""

    session_key_grant = models.ForeignKey(
        grants.SessionKeyGrant, on_delete=models.CASCADE, null=True, related_name="refresh_tokens"
    )
    dpop_jkt = models.CharField(max_length=43, blank=True, help_text="Thumbprint of the key that it is bound to.")
    sealed_answer = models.BinaryField(
        null=True, help_text="What it was exchanged for, readable only with the token itself."
    )
    sign_in = models.ForeignKey(
        "customers.SignIn",
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        help_text="Where its person was signed in when they let the application in; it ends with that.",
    )


class PushedRequest(models.Model):
    """An authorization request that an application sent ahead (RFC 9126); good for one browser, once."""

    request_uri_digest = models.CharField(max_length=64, primary_key=True, help_text="SHA-256 of its request_uri.")
    application = models.ForeignKey(applications.Application, on_delete=models.CASCADE, related_name="+")
    parameters = models.JSONField(help_text="As they were sent: names and lists of values.")
    dpop_jkt = models.CharField(max_length=43, blank=True, help_text="Thumbprint of the key that may redeem its code.")
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True)


class ProofUse(models.Model):
    """A DPoP proof that was used for something that changes things; kept for as long as it could be sent again."""

    digest = models.CharField(max_length=64, primary_key=True, help_text="SHA-256 of the key's thumbprint and `jti`.")
    expires_at = models.DateTimeField(db_index=True)

    @classmethod
    def use(cls, *, digest: str, expires_at: datetime.datetime) -> bool:
        """Say whether a proof is used for the first time; every request that changes things asks.

        What the request changes is committed later, so that it is never kept without the proof's use.
        """
        return sql.insert_if_new(cls(digest=digest, expires_at=expires_at), may_lag=True)


class SocketTicket(models.Model):
    """Opens one websocket, once, for whoever holds the access token that it was made with."""

    digest = models.CharField(max_length=64, primary_key=True, help_text="SHA-256 of the ticket.")
    access_token = models.ForeignKey(AccessToken, on_delete=models.CASCADE, related_name="+")
    expires_at = models.DateTimeField(db_index=True)


class IDToken(oauth_models.AbstractIDToken):
    """An OpenID Connect ID token."""


class DeviceGrant(oauth_models.AbstractDeviceGrant):
    """A device authorization (RFC 8628)."""
