"""Smart wallets, OAuth rows, the grants that let an application spend, and operations."""

import dataclasses
import datetime
import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from oauth2_provider import models as oauth_models

from contracts.bindings import sessions, words
from custody.domain import policies
from customers import models as customer_models
from openvpp.core import fields
from relayer.domain import receipts
from wallets.domain import limits, outcome, redirects
from wallets.domain import terms as grant_terms


class Wallet(models.Model):
    """A smart-contract account. Its address is known at once; it is deployed with its first operation."""

    class Kind(models.TextChoices):
        CUSTOMER = "customer", "Customer"
        TREASURY = "treasury", "Program treasury"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.CUSTOMER)
    utility = models.ForeignKey("customers.Utility", on_delete=models.PROTECT, related_name="wallets")
    customer = models.OneToOneField(
        "customers.Customer", on_delete=models.PROTECT, null=True, blank=True, related_name="wallet"
    )
    label = models.CharField(max_length=100, blank=True)
    chain_id = models.PositiveBigIntegerField()
    owner_key = models.OneToOneField("custody.SealedKey", on_delete=models.PROTECT, related_name="+")
    salt = fields.HashField(help_text="Random; with the owner it gives the address.")
    address = fields.AddressField()
    deployed_at = models.DateTimeField(null=True, blank=True)
    left_custody_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="From here on a key that the customer holds owns it, and nothing is signed here.",
    )
    created_at = models.DateTimeField()

    utility_path = "utility"
    user_path = "customer__user"
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["chain_id", "address"], name="wallet_address_once"),
            models.CheckConstraint(
                condition=Q(kind="customer", customer__isnull=False) | Q(kind="treasury", customer__isnull=True),
                name="wallet_of_customer_or_treasury",
            ),
        ]

    def __str__(self) -> str:
        return str(self.address)


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


class SessionKeyGrant(models.Model):
    """A person's leave for an application to spend from a wallet within limits that also stand on the chain."""

    class State(models.TextChoices):
        PENDING = "pending", "Agreed, not yet on the chain"
        INSTALLING = "installing", "On its way to the chain"
        ACTIVE = "active", "Active"
        REVOKING = "revoking", "Revoked, still to leave the chain"
        REVOKED = "revoked", "Revoked"
        EXPIRED = "expired", "Expired"
        FAILED = "failed", "Failed"

    LIVE_STATES = (State.PENDING, State.INSTALLING, State.ACTIVE)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="grants")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="session_key_grants")
    application = models.ForeignKey(Application, on_delete=models.PROTECT, related_name="session_key_grants")
    key = models.OneToOneField("custody.SealedKey", on_delete=models.PROTECT, null=True, related_name="+")
    client_key = models.JSONField(null=True, help_text="Public key (JWK) of the phone that signs by itself.")
    payee = fields.AddressField()
    payee_name = models.CharField(max_length=200)
    token = fields.AddressField()
    fee_token = fields.AddressField(null=True, blank=True, help_text="Token of the fee besides the bill's own.")
    limit_per_payment_units = fields.Uint256Field()
    limit_per_period_units = fields.Uint256Field()
    period_seconds = models.PositiveIntegerField()
    limit_total_units = fields.Uint256Field()
    fee_cap_units = fields.Uint256Field(help_text="Most fee per payment in the bill's token.")
    fee_token_cap_units = fields.Uint256Field(default=0, help_text="Most fee per payment in `fee_token`.")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    policy_hash = fields.HashField(help_text="Identity of the session on the chain: hash of its packed policy.")
    consent_digest = fields.HashField(help_text="Digest of the frozen terms; the owner signs it, the chain tells it.")
    owner_leave = models.BinaryField(help_text="The owner's leave to install it; useless with another policy.")
    shown_text = models.TextField(help_text="The words of the consent page that the person agreed to.")
    authorization_details = models.JSONField(
        default=list, help_text="The same, as applications read it (RFC 9396); its digest stands on the chain."
    )
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    period_started_at = models.DateTimeField()
    reserved_in_period_units = fields.Uint256Field(default=0)
    reserved_total_units = fields.Uint256Field(default=0)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    utility_path = "wallet__utility"
    user_path = "user"
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="grant_period_is_forward"),
            models.CheckConstraint(
                condition=Q(key__isnull=False, client_key__isnull=True) | Q(key__isnull=True, client_key__isnull=False),
                name="grant_has_one_key",
            ),
            models.CheckConstraint(
                condition=Q(reserved_in_period_units__lte=F("limit_per_period_units")), name="grant_period_limit_holds"
            ),
            models.CheckConstraint(
                condition=Q(reserved_total_units__lte=F("limit_total_units")), name="grant_total_limit_holds"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.application} pays {self.payee_name}"

    @property
    def policy(self) -> sessions.SessionPolicy:
        """Return what stands on the chain: as it is sealed with the key, or as it is written for a phone's."""
        if self.key is not None:
            sealed = policies.Session.parse(self.key.policy)
            return sealed.on_chain(key=words.parse_address(self.key.address))
        return self.terms.policy(grant_id=self.pk)

    @property
    def terms(self) -> grant_terms.GrantTerms:
        """Return what the person agreed to."""
        names = [field.name for field in dataclasses.fields(grant_terms.GrantTerms)]
        return grant_terms.GrantTerms(**{name: getattr(self, name) for name in names})

    def limits(self, *, period_started_at: datetime.datetime) -> tuple[limits.Limit, ...]:
        """Return its limits with what counts towards each in the period that began then."""
        in_period = self.reserved_in_period_units if self.period_started_at == period_started_at else 0
        return tuple(
            limits.Limit(code=code, words=words_for_it, limit_units=limit_units, spent_units=spent_units)
            for code, words_for_it, limit_units, spent_units in (
                ("over_payment_limit", "for one payment", self.limit_per_payment_units, 0),
                ("over_period_limit", "for this period", self.limit_per_period_units, in_period),
                ("over_total_limit", "in all", self.limit_total_units, self.reserved_total_units),
            )
        )

    def is_live(self, *, now: datetime.datetime) -> bool:
        """Say whether its tokens are worth anything at this instant."""
        return self.state in self.LIVE_STATES and now < self.ends_at


class Grant(oauth_models.AbstractGrant):
    """An authorization code; carries the spending grant that the person agreed to.

    `code` holds the SHA-256 of the code. A redeemed row stays until it expires, so that a replay is seen for what
    it is.
    """

    session_key_grant = models.OneToOneField(
        SessionKeyGrant, on_delete=models.CASCADE, null=True, related_name="authorization_code"
    )
    dpop_jkt = models.CharField(
        max_length=43, blank=True, help_text="Thumbprint of the key that may redeem it; then of the one that did."
    )
    redeemed_at = models.DateTimeField(null=True)
    token_family = models.UUIDField(null=True, help_text="Family of the tokens that it was redeemed for.")


class AccessToken(oauth_models.AbstractAccessToken):
    """An access token; spends only through its grant."""

    session_key_grant = models.ForeignKey(
        SessionKeyGrant, on_delete=models.CASCADE, null=True, related_name="access_tokens"
    )
    dpop_jkt = models.CharField(max_length=43, blank=True, help_text="Thumbprint of the key that it is bound to.")


class RefreshToken(oauth_models.AbstractRefreshToken):
    """A refresh token; what it renews never widens."""

    session_key_grant = models.ForeignKey(
        SessionKeyGrant, on_delete=models.CASCADE, null=True, related_name="refresh_tokens"
    )
    dpop_jkt = models.CharField(max_length=43, blank=True, help_text="Thumbprint of the key that it is bound to.")
    sealed_answer = models.BinaryField(
        null=True, help_text="What it was exchanged for, readable only with the token itself."
    )


class PushedRequest(models.Model):
    """An authorization request that an application sent ahead (RFC 9126); good for one browser, once."""

    request_uri_digest = models.CharField(max_length=64, primary_key=True, help_text="SHA-256 of its request_uri.")
    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="+")
    parameters = models.JSONField(help_text="As they were sent: names and lists of values.")
    dpop_jkt = models.CharField(max_length=43, blank=True, help_text="Thumbprint of the key that may redeem its code.")
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True)


class ProofUse(models.Model):
    """A DPoP proof that was used for something that changes things; kept for as long as it could be sent again."""

    digest = models.CharField(max_length=64, primary_key=True, help_text="SHA-256 of the key's thumbprint and `jti`.")
    expires_at = models.DateTimeField(db_index=True)


class SocketTicket(models.Model):
    """Opens one websocket, once, for whoever holds the access token that it was made with."""

    digest = models.CharField(max_length=64, primary_key=True, help_text="SHA-256 of the ticket.")
    access_token = models.ForeignKey(AccessToken, on_delete=models.CASCADE, related_name="+")
    expires_at = models.DateTimeField(db_index=True)


class IDToken(oauth_models.AbstractIDToken):
    """An OpenID Connect ID token."""


class DeviceGrant(oauth_models.AbstractDeviceGrant):
    """A device authorization (RFC 8628)."""


class Operation(models.Model):
    """A wish that waits on the chain, as the person who made it follows it."""

    class Kind(models.TextChoices):
        BILL_PAYMENT = "billing.payment", "Bill payment"
        PROGRAM_PAYOUT = "programs.payout", "Program payout"
        REVOKE_SESSION = "wallets.revoke_session", "Session key removal"
        ANNOUNCE_EXIT = "wallets.announce_exit", "Exit announced"
        CANCEL_EXIT = "wallets.cancel_exit", "Exit called off"
        EXIT = "wallets.exit", "Exit from custody"
        ANNOUNCE_OWNER = "wallets.announce_owner", "New owner key announced"
        CHANGE_OWNER = "wallets.change_owner", "New owner key"

    class State(models.TextChoices):
        RESERVED = "reserved", "Reserved"
        AWAITING_SIGNATURE = "awaiting_signature", "Waits for the phone's signature"
        QUEUED = "queued", "Queued"
        SUBMITTED = "submitted", "Sent to the chain"
        MINED = "mined", "In a block"
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="operations")
    grant = models.ForeignKey(SessionKeyGrant, on_delete=models.PROTECT, null=True, related_name="operations")
    quote = models.OneToOneField("relayer.FeeQuote", on_delete=models.PROTECT, null=True, related_name="+")
    user_operation = models.OneToOneField(
        "relayer.UserOperation", on_delete=models.PROTECT, null=True, related_name="operation"
    )
    kind = models.CharField(max_length=32, choices=Kind)
    reference = fields.ReferenceField(unique=True, help_text="Random; names the wish on the chain.")
    intent = models.JSONField(help_text="What is to happen, decoded; what is signed says exactly this.")
    spend_units = fields.Uint256Field(default=0, help_text="Counted against the grant, fee in the same token included.")
    spend_period_started_at = models.DateTimeField(null=True, help_text="The grant's period that it was counted in.")
    state = models.CharField(max_length=20, choices=State, default=State.RESERVED)
    failure = models.CharField(max_length=500, blank=True)
    attempts = models.PositiveIntegerField(default=0, help_text="How often it was tried to send.")
    leased_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    utility_path = "wallet__utility"
    user_path = "wallet__customer__user"
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["created_at"], name="operation_reserved", condition=Q(state="reserved")),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["wallet"],
                condition=Q(state__in=["queued", "submitted", "mined"]),
                name="operation_in_flight_once_per_wallet",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.id}"

    def ended(self, *, succeeded: bool, reason: str, receipt: receipts.Receipt | None) -> outcome.Outcome:
        """Return how it ended, as the app that asked for it is told."""
        return outcome.Outcome(
            operation_id=self.pk,
            kind=self.kind,
            reference=self.reference,
            intent=self.intent,
            succeeded=succeeded,
            reason=reason,
            receipt=receipt,
        )


class SignatureRequest(models.Model):
    """An operation, sponsored and whole, that waits for the signature of a key which the customer's phone keeps."""

    operation = models.OneToOneField(
        Operation, on_delete=models.CASCADE, primary_key=True, related_name="signature_request"
    )
    user_operation = models.JSONField(help_text="The user operation, unsigned.")
    user_operation_hash = fields.HashField(help_text="What the phone signs.")
    sign_by = models.DateTimeField(db_index=True, help_text="Unsigned by then, the operation fails.")
    lands_by = models.DateTimeField(help_text="Until when the sponsor pays for it.")

    utility_path = "operation__wallet__utility"
    user_path = "operation__wallet__customer__user"
    objects = customer_models.TenantQuerySet.as_manager()

    def __str__(self) -> str:
        return str(self.user_operation_hash)


class OperationTransition(models.Model):
    """One step of an operation's history; append only."""

    operation = models.ForeignKey(Operation, on_delete=models.PROTECT, related_name="history")
    state = models.CharField(max_length=20, choices=Operation.State)
    detail = models.CharField(max_length=500, blank=True)
    made_at = models.DateTimeField()

    utility_path = "operation__wallet__utility"
    user_path = "operation__wallet__customer__user"
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.state} at {self.made_at}"


class CustodyExit(models.Model):
    """A customer's wish to own their account with a key that they hold; announced 48 hours before on the chain."""

    class State(models.TextChoices):
        ASKED = "asked", "Asked for, not yet on the chain"
        ANNOUNCED = "announced", "Announced"
        CANCELLING = "cancelling", "Being called off"
        CANCELLED = "cancelled", "Called off"
        LEFT = "left", "Left custody"
        FAILED = "failed", "Failed"

    OPEN_STATES = (State.ASKED, State.ANNOUNCED, State.CANCELLING)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="exits")
    new_owner = fields.AddressField(help_text="Owner afterwards: an address, or the name of a passkey.")
    passkey = models.JSONField(null=True, blank=True, help_text="Coordinates `x` and `y` of a P-256 key, if it is one.")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    change = models.OneToOneField(
        "controls.ChangeRequest",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="By which two people of the utility asked for it.",
    )
    state = models.CharField(max_length=10, choices=State, default=State.ASKED)
    ready_at = models.DateTimeField(null=True, blank=True, help_text="From here on anybody may carry it out.")
    failure = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    utility_path = "wallet__utility"
    user_path = "wallet__customer__user"
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["wallet"],
                condition=Q(state__in=["asked", "announced", "cancelling"]),
                name="exit_open_once_per_wallet",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["announced", "left"]) | Q(ready_at__isnull=False),
                name="exit_announced_with_its_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_state_display()}: {self.new_owner}"


class OwnerRotation(models.Model):
    """Another sealed key becomes the owner of an account, as two people decided; announced 48 hours before."""

    class State(models.TextChoices):
        DECIDED = "decided", "Decided, not yet on the chain"
        ANNOUNCED = "announced", "Announced"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    OPEN_STATES = (State.DECIDED, State.ANNOUNCED)

    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="rotations")
    change = models.OneToOneField(
        "controls.ChangeRequest", on_delete=models.PROTECT, primary_key=True, related_name="+"
    )
    new_key = models.OneToOneField("custody.SealedKey", on_delete=models.PROTECT, null=True, related_name="+")
    state = models.CharField(max_length=10, choices=State, default=State.DECIDED)
    ready_at = models.DateTimeField(null=True, blank=True)
    failure = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    utility_path = "wallet__utility"
    user_path = "wallet__customer__user"
    objects = customer_models.TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["wallet"], condition=Q(state__in=["decided", "announced"]), name="rotation_open_once_per_wallet"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_state_display()}: {self.wallet_id}"
