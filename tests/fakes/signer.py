"""A signer that seals nothing: it makes the row of a key, and signatures that only look like some."""

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

import pytest
from django.utils import timezone

from custody import models
from custody.adapters import signer
from openvpp.core import errors


class FakeSigner:
    """Stands in for `custody.adapters.signer`; counts what it was asked."""

    def __init__(self) -> None:
        self.signed: list[Mapping[str, Any]] = []
        self.is_reachable = True

    def create_key(self, *, purpose: str, subject: str, policy: Mapping[str, Any]) -> int:
        self._answer()
        made, _ = models.SealedKey.objects.get_or_create(
            subject=subject,
            defaults={
                "purpose": purpose,
                "policy": dict(policy),
                "address": "0x" + secrets.token_hex(20),
                "key_encryption_key_id": "fake",
                "created_at": timezone.now(),
            },
        )
        return made.pk

    def sign(self, *, key_id: int, intent: Mapping[str, Any]) -> bytes:
        self._answer()
        self.signed.append(intent)
        return hashlib.sha256(f"{key_id}".encode()).digest() + b"\x01" * 32 + b"\x1b"

    def _answer(self) -> None:
        if not self.is_reachable:
            raise errors.Unreachable("signer")


def install(monkeypatch: pytest.MonkeyPatch) -> FakeSigner:
    """Put a fake in the signer's place for one test."""
    fake = FakeSigner()
    monkeypatch.setattr(signer, "create_key", fake.create_key)
    monkeypatch.setattr(signer, "sign", fake.sign)
    return fake
