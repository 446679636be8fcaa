"""Who may ask for a wallet's recovery, prove a key, see it, and call it off; a token alone asks for nothing."""

import json
import secrets

import pytest
from django import test

from custody import models as custody_models
from openvpp.core import clock
from tests.factories import wallets
from wallets import models

pytestmark = pytest.mark.django_db(transaction=True)
PATH = "/api/v1/wallet/recovery/"
OWNER = "0x8ba1f109551bD432803012645Ac136ddd64DBA72"
SIGNATURE = "0x" + "11" * 64 + "1b"


@pytest.fixture
def recovery() -> models.WalletRecovery:
    wallet = wallets.Wallet.create()
    assert wallet.customer is not None
    assert wallet.customer.user is not None
    row: models.WalletRecovery = models.WalletRecovery.objects.create(
        wallet=wallet, new_owner=OWNER, asked_by=wallet.customer.user, created_at=clock.get_now()
    )
    return row


def answers(
    recovery: models.WalletRecovery, method: str, path: str, scope: str, body: dict[str, str] | None = None
) -> list[tuple[int, str]]:
    """Call as nobody, with the wrong scope, as another customer, and as the right one."""
    customer = recovery.wallet.customer
    assert customer is not None
    other = wallets.Wallet.create().customer.user
    application = wallets.Application.create(utility=recovery.wallet.utility)
    tokens = [
        wallets.AccessToken.create(application=application, user=user, scope=given)
        for user, given in ((customer.user, "bills:read"), (other, scope), (customer.user, scope))
    ]
    found = []
    for headers in ({}, *(wallets.bearer(token=token) for token in tokens)):
        client = test.Client()
        sent = json.dumps(body or {}) if method == "post" else None
        answer = getattr(client, method)(path, sent, content_type="application/json", headers=headers)
        found.append((answer.status_code, answer.json().get("code", "")))
    return found


def test_four_callers_of_seeing_it(recovery: models.WalletRecovery) -> None:
    found = answers(recovery, "get", PATH, "wallet:read")
    assert [status for status, _code in found] == [401, 403, 404, 200]


def test_four_callers_of_asking(recovery: models.WalletRecovery) -> None:
    found = answers(recovery, "post", PATH, "account:write", {"new_owner": OWNER})
    assert [status for status, _code in found] == [401, 403, 403, 403]
    assert [code for _status, code in found[2:]] == ["step_up_required", "step_up_required"]
    assert models.WalletRecovery.objects.get().state == "asked"


def test_four_callers_of_proving(recovery: models.WalletRecovery) -> None:
    found = answers(recovery, "post", f"{PATH}proof/", "account:write", {"signature": SIGNATURE})
    assert [status for status, _code in found] == [401, 403, 409, 422]
    assert [code for _status, code in found[2:]] == ["no_recovery", "invalid_signature"]
    assert models.WalletRecovery.objects.get().state == "asked"
    assert not custody_models.Consent.objects.exists()


def test_four_callers_of_what_calls_it_off(recovery: models.WalletRecovery) -> None:
    found = answers(recovery, "get", f"{PATH}cancel/", "wallet:read")
    assert [status for status, _code in found] == [401, 403, 404, 409]
    assert [code for _status, code in found[2:]] == ["no_recovery", "recovery_not_announced"]


def test_four_callers_of_calling_off(recovery: models.WalletRecovery) -> None:
    found = answers(recovery, "post", f"{PATH}cancel/", "account:write")
    assert [status for status, _code in found] == [401, 403, 409, 202]
    row = models.WalletRecovery.objects.get()
    assert (row.state, row.ended_at is not None) == ("cancelled", True)


def test_a_signature_has_one_of_two_lengths(recovery: models.WalletRecovery) -> None:
    body = {"signature": "0x" + secrets.token_hex(66)}
    found = answers(recovery, "post", f"{PATH}proof/", "account:write", body)
    assert found[3][0] == 400
