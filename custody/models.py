"""Sealed keys: what the database knows of a key is useless without the signer's key-encryption key."""

from django.db import models
from django.db.models.fields import json

from custody.domain import sealing
from openvpp.core import fields


class SealedKey(models.Model):
    """A secp256k1 key under envelope encryption (AES-256-GCM, a data key wrapped by the key-encryption key).

    The associated data of the seal binds `purpose`, `subject` and `policy`: a ciphertext moved to another row, or a
    row whose policy was altered, does not open.
    """

    class Purpose(models.TextChoices):
        WALLET_OWNER = "wallet_owner", "Owner of a wallet"
        SESSION = "session", "Session key of a grant"
        RELAYER = "relayer", "Relayer"
        SPONSOR = "sponsor", "Sponsor of the paymaster"
        TREASURY_OWNER = "treasury_owner", "Owner of a program's treasury wallet"
        GUARDIAN = "guardian", "Owner of a utility's guardian wallet"
        REFILL = "refill", "Refills relayer keys and deposits"
        DEPLOYER = "deployer", "Deploys contracts and owns the paymasters"

    purpose = models.CharField(max_length=20, choices=Purpose)
    subject = models.CharField(max_length=100, unique=True, help_text="What the key is for, such as wallet:<uuid>.")
    policy = models.JSONField(default=dict, help_text="What the key may sign; part of the seal.")
    address = fields.AddressField(unique=True)
    key_encryption_key_id = models.CharField(max_length=64)
    created_at = models.DateTimeField()
    disabled_at = models.DateTimeField(null=True, blank=True, help_text="From here on nothing is signed.")

    class Meta:
        indexes = [models.Index(json.KeyTransform("account", "policy"), "purpose", name="sealed_key_by_account")]

    def __str__(self) -> str:
        return f"{self.purpose} {self.address}"

    # Properties

    @property
    def binding(self) -> sealing.Binding:
        """What the seal is bound to, read from this row."""
        return sealing.Binding(
            purpose=self.purpose, subject=self.subject, policy=self.policy, address=str(self.address)
        )

    @property
    def seal(self) -> sealing.Seal:
        """What the signer alone reads; another role of the database is refused.

        :raises sealing.UnableToOpenSeal: the key has no sealed secret.
        """
        secret = SealedSecret.objects.filter(key=self).values(*SealedSecret.PARTS).first()
        if secret is None:
            raise sealing.UnableToOpenSeal("The key's sealed secret is gone.")
        return self.seal_of(*map(bytes, secret.values()))

    def seal_of(self, *parts: bytes) -> sealing.Seal:
        """Return the seal whose parts stand in a row of the secrets, in the order of `SealedSecret.PARTS`."""
        columns = dict(zip(SealedSecret.PARTS, parts, strict=True))
        return sealing.Seal(**columns, key_encryption_key_id=self.key_encryption_key_id)

    # Mutators

    def seal_with(self, *, seal: sealing.Seal) -> None:
        """Take another seal, and save it with what it is bound to."""
        self.key_encryption_key_id = seal.key_encryption_key_id
        self.save()
        self.secret, _ = SealedSecret.objects.update_or_create(key=self, defaults=SealedSecret.columns(seal))


class SealedSecret(models.Model):
    """The sealed secret of a key, apart from the key's row: only the signer's role of the database may read it."""

    PARTS = ("ciphertext", "nonce", "wrapped_data_key", "wrap_nonce")

    key = models.OneToOneField(SealedKey, on_delete=models.CASCADE, primary_key=True, related_name="secret")
    ciphertext = models.BinaryField()
    nonce = models.BinaryField()
    wrapped_data_key = models.BinaryField()
    wrap_nonce = models.BinaryField()

    def __str__(self) -> str:
        return f"sealed {self.key_id}"

    @staticmethod
    def columns(seal: sealing.Seal) -> dict[str, bytes]:
        """Return what of a seal stands in this row."""
        return {name: getattr(seal, name) for name in SealedSecret.PARTS}


class Consent(models.Model):
    """What a customer agreed to, in the frozen terms that they read; append only.

    Their wallet's owner key lets a session in only with such a row, once, and in these terms.
    """

    key = models.ForeignKey(SealedKey, on_delete=models.PROTECT, related_name="consents")
    digest = fields.HashField(help_text="Keccak-256 of the terms' canonical JSON; stands on the chain.")
    terms = models.JSONField()
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["key", "digest"], name="consent_once_per_key")]

    def __str__(self) -> str:
        return str(self.digest)


class SignatureLog(models.Model):
    """One signature that the signer made; append only, and each entry carries the hash of the one before.

    The chain is the key's own: its first entry follows 32 zero bytes.
    """

    key = models.ForeignKey(SealedKey, on_delete=models.PROTECT, related_name="signatures")
    sequence = models.PositiveBigIntegerField(help_text="From 1, without gaps.")
    kind = models.CharField(max_length=32)
    digest = fields.HashField(help_text="What was signed.")
    statement = models.JSONField(help_text="The wish, decoded, as it was checked.")
    made_at = models.DateTimeField()
    previous_hash = fields.HashField()
    hash = fields.HashField(help_text="SHA-256 over every other field.")

    class Meta:
        verbose_name = "signature"
        constraints = [models.UniqueConstraint(fields=["key", "sequence"], name="signature_once_per_sequence")]

    def __str__(self) -> str:
        return f"{self.kind} {self.sequence}"
