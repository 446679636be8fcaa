"""OAuth clients."""

from django.db import models
from django.db.models import Q
from oauth2_provider import models as oauth_models

from customers import models as customer_models
from wallets.domain import redirects


class Application(oauth_models.AbstractApplication):
    """An OAuth client: a utility's mobile app, or one of its systems."""

    GRANT_TYPES = (
        (oauth_models.AbstractApplication.GRANT_AUTHORIZATION_CODE, "Authorization code"),
        (oauth_models.AbstractApplication.GRANT_CLIENT_CREDENTIALS, "Client credentials"),
    )
    authorization_grant_type = models.CharField(max_length=44, choices=GRANT_TYPES)
    algorithm = models.CharField(max_length=5, choices=[("ES256", "ES256")], default="ES256")
    is_active = models.BooleanField(default=True, help_text="Off: no sign-in, and its tokens are refused.")
    utility = models.ForeignKey(
        "customers.Utility", on_delete=models.PROTECT, null=True, blank=True, related_name="applications"
    )
    allowed_scopes = models.TextField(default="", blank=True, help_text="Scopes it may ask for, separated by spaces.")

    utility_path = "utility"
    user_path = ""
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(authorization_grant_type="authorization-code")
                | Q(authorization_grant_type="client-credentials", client_type="confidential"),
                name="application_grant_type_known",
            ),
            models.CheckConstraint(condition=Q(skip_authorization=False), name="application_always_asks"),
        ]

    def is_usable(self, request: object) -> bool:
        """Say whether it may act now; asked at every issue and every use of a token."""
        return self.is_active

    def get_allowed_schemes(self) -> list[str]:
        """Return the schemes of its own redirect URIs."""
        return sorted({uri.partition(":")[0] for uri in self.redirect_uris.split()})

    def redirect_uri_allowed(self, uri: str) -> bool:
        """Compare letter by letter, save for the port of a loopback address (RFC 8252, section 7.3)."""
        return any(
            uri == known or redirects.is_same_loopback(uri=uri, known=known) for known in self.redirect_uris.split()
        )
