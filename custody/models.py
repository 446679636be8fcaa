"""Sealed keys: what the database knows of a key is useless without the signer's key-encryption key."""

from django.db import models

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

    purpose = models.CharField(max_length=20, choices=Purpose)
    subject = models.CharField(max_length=100, unique=True, help_text="What the key is for, such as wallet:<uuid>.")
    policy = models.JSONField(default=dict, help_text="What the key may sign; part of the seal.")
    address = fields.AddressField(unique=True)
    ciphertext = models.BinaryField()
    nonce = models.BinaryField()
    wrapped_data_key = models.BinaryField()
    wrap_nonce = models.BinaryField()
    key_encryption_key_id = models.CharField(max_length=64)
    created_at = models.DateTimeField()
    disabled_at = models.DateTimeField(null=True, blank=True, help_text="From here on nothing is signed.")

    def __str__(self) -> str:
        return f"{self.purpose} {self.address}"
