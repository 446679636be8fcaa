"""The grants that let an application spend."""

import dataclasses
import datetime
import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from contracts.bindings import sessions, words
from custody.domain import policies
from customers import models as customer_models
from openvpp.core import fields
from wallets.domain import limits
from wallets.domain import terms as grant_terms
from wallets.models import accounts, applications


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
    wallet = models.ForeignKey(accounts.Wallet, on_delete=models.PROTECT, related_name="grants")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="session_key_grants")
    application = models.ForeignKey(
        applications.Application, on_delete=models.PROTECT, related_name="session_key_grants"
    )
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

    @property
    def has_ended(self) -> bool:
        """Say whether nothing of it should stand on the chain any more."""
        return self.state in (self.State.REVOKED, self.State.FAILED)

    def is_live(self, *, now: datetime.datetime) -> bool:
        """Say whether its tokens are worth anything at this instant."""
        return self.state in self.LIVE_STATES and now < self.ends_at
