"""What codes are made from is sealed in the database, and opens under an older SECRET_KEY that is still named."""

import json
from typing import Any

import pytest
from allauth.mfa import models
from allauth.mfa.recovery_codes.internal import auth as recovery_codes
from allauth.mfa.totp.internal import auth as totp
from cryptography import fernet

from customers.adapters import second_factors
from tests.factories import customers

SECRET = "JBSWY3DPEHPK3PXP"


@pytest.mark.django_db
def test_the_database_knows_no_second_factor() -> None:
    user = customers.User.create()
    by_app = totp.TOTP.activate(user, SECRET)
    by_paper = recovery_codes.RecoveryCodes.activate(user)

    stored = json.dumps(list(models.Authenticator.objects.values_list("data", flat=True)))
    assert SECRET not in stored
    counter = next(iter(totp.yield_hotp_counters_from_time()))
    assert by_app.validate_code(totp.format_hotp_value(totp.hotp_value(SECRET, counter)))
    assert by_paper.validate_code(by_paper.get_unused_codes()[0])


def test_a_key_that_changed_opens_what_the_old_one_sealed(settings: Any) -> None:
    sealed = second_factors.Adapter().encrypt(SECRET)
    old = settings.SECRET_KEY

    settings.SECRET_KEY = "another"
    with pytest.raises(fernet.InvalidToken):
        second_factors.Adapter().decrypt(sealed)
    settings.SECRET_KEY_FALLBACKS = [old]
    assert second_factors.Adapter().decrypt(sealed) == SECRET
